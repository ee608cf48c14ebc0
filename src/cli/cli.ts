// The command line: one file a command, the same help, errors and exit codes for all.
import { Command, CommanderError } from 'commander';
import { UserError } from '../util/errors.js';
import { version } from '../util/version.js';
import { getCommand } from './get.js';
import { proxyConfigCommand } from './proxy-config.js';
import { proxyStatusCommand } from './proxy-status.js';
import { roleCommands } from './roles.js';
import { upCommand } from './up.js';
import { completionCommand } from './completion.js';

/** Runs one command; the result is the exit code: 0 done, 1 found problems, 2 wrong use. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const program = createProgram();
  try {
    await program.parseAsync([...argv]);
    return process.exitCode === undefined ? 0 : Number(process.exitCode);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof UserError) {
      process.stderr.write(`lateen: ${error.message}\n`);
      return error.exitCode;
    }
    throw error;
  }
}

/** The program with all its commands; also read by shell completion. */
export function createProgram(): Command {
  const program = new Command('lateen')
    .description("A service mesh with Istio's API that runs anywhere.")
    .version(version, '-v, --version', 'print the version')
    .helpCommand(false)
    .showHelpAfterError('(see `lateen --help`)')
    .showSuggestionAfterError()
    .exitOverride();
  for (const command of [
    upCommand(),
    getCommand(),
    proxyStatusCommand(),
    proxyConfigCommand(),
    completionCommand(program),
  ])
    program.addCommand(command.exitOverride().showHelpAfterError(`(see \`lateen ${command.name()} --help\`)`));
  for (const role of roleCommands()) program.addCommand(role.exitOverride(), { hidden: true });
  return program;
}
