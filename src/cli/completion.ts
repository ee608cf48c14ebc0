// `lateen completion SHELL`: prints a script that completes commands and options.
import { Command, type Option } from 'commander';
import { kinds } from '../api/kinds.js';
import { UserError } from '../util/errors.js';
import { proxyConfigKinds } from './proxy-config.js';

export function completionCommand(program: Command): Command {
  return new Command('completion')
    .description('print a script that completes commands in a shell')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText(
      'after',
      '\nExamples:\n  source <(lateen completion bash)\n  lateen completion zsh > "${fpath[1]}/_lateen"\n  lateen completion fish > ~/.config/fish/completions/lateen.fish',
    )
    .action((shell: string) => {
      const script = new Map([
        ['bash', bash],
        ['zsh', zsh],
        ['fish', fish],
      ]).get(shell);
      if (script === undefined)
        throw new UserError(`no completion for ${shell}; there is one for bash, zsh and fish`, 2);
      process.stdout.write(script(describeCommands(program)));
    });
}

interface DescribedCommand {
  readonly name: string;
  readonly description: string;
  readonly words: readonly string[];
}

function describeCommands(program: Command): DescribedCommand[] {
  return program
    .createHelp()
    .visibleCommands(program)
    .map((command) => ({
      name: command.name(),
      description: command.description(),
      words: [
        ...command.options.filter(({ hidden }) => !hidden).map((option: Option) => option.long ?? option.short ?? ''),
        ...(argumentWords[command.name()] ?? []),
      ],
    }));
}

const argumentWords: Readonly<Record<string, readonly string[]>> = {
  get: ['workloads', 'diagnostics', ...kinds.map((kind) => kind.names[0]!)],
  'proxy-config': [...proxyConfigKinds, 'all'],
  completion: ['bash', 'zsh', 'fish'],
};

function bash(commands: readonly DescribedCommand[]): string {
  const cases = commands.map(({ name, words }) => `    ${name}) words="${words.join(' ')}" ;;`).join('\n');
  return `_lateen() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words="${commands.map(({ name }) => name).join(' ')}"
  if [ "$COMP_CWORD" -gt 1 ]; then
    case "\${COMP_WORDS[1]}" in
${cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -d -- "$current"))
}
complete -F _lateen lateen
`;
}

function zsh(commands: readonly DescribedCommand[]): string {
  const list = commands.map(({ name, description }) => `    '${name}:${description.replaceAll("'", '')}'`).join('\n');
  const cases = commands
    .map(({ name, words }) => `    ${name}) compadd -- ${words.join(' ')}; _files -/ ;;`)
    .join('\n');
  return `#compdef lateen
_lateen() {
  if (( CURRENT == 2 )); then
    local -a commands=(
${list}
    )
    _describe command commands
    return
  fi
  case $words[2] in
${cases}
  esac
}
compdef _lateen lateen
`;
}

function fish(commands: readonly DescribedCommand[]): string {
  return commands
    .flatMap(({ name, description, words }) => [
      `complete -c lateen -n __fish_use_subcommand -f -a ${name} -d '${description.replaceAll("'", '')}'`,
      ...words.map(
        (word) =>
          `complete -c lateen -n '__fish_seen_subcommand_from ${name}' ${word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`}`,
      ),
    ])
    .join('\n')
    .concat('\n');
}
