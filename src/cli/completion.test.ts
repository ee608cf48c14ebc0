// Shell completion: scripts that the shells can read, and that know every command.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { runLateen } from '../../test/harness/cli.js';
import { createProgram } from './cli.js';

const hasShell = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).status === 0;
const visible = createProgram()
  .createHelp()
  .visibleCommands(createProgram())
  .map((command) => command.name());
const scriptOf = async (shell: string) => (await runLateen('completion', shell)).stdout;

/** What bash offers after these words. */
async function offered(...words: string[]): Promise<string[]> {
  const script = `${await scriptOf('bash')}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length - 1}
cd /proc/self/fd 2>/dev/null || cd /
_lateen
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  assert.equal(stderr, '');
  return stdout.split('\n').filter((word) => word !== '');
}

describe('completion', () => {
  for (const shell of ['bash', 'zsh', 'fish'])
    it(`for ${shell} knows every command and no hidden one`, async () => {
      const script = await scriptOf(shell);
      for (const name of visible) assert.match(script, new RegExp(`\\b${name}\\b`));
      assert.doesNotMatch(script, /\bcontrol-plane\b|undefined|\[object/);
    });

  for (const [shell, flag] of [
    ['bash', '-n'],
    ['zsh', '-n'],
    ['fish', '-n'],
  ] as const)
    it(
      `for ${shell} is read by ${shell} without complaint`,
      { skip: hasShell(shell) ? false : `${shell} is not installed` },
      async () => {
        const { status, stderr } = spawnSync(shell, [flag, '-c', await scriptOf(shell)], { encoding: 'utf8' });
        assert.deepEqual([status, stderr], [0, '']);
      },
    );

  it(
    'in bash offers commands, kinds and options',
    { skip: hasShell('bash') ? false : 'bash is not installed' },
    async () => {
      assert.deepEqual(
        (await offered('lateen', 'ge')).filter((word) => !/^\d/.test(word)),
        ['get'],
      );
      assert.deepEqual(await offered('lateen', 'get', 'virt'), ['virtualservices']);
      assert.deepEqual(await offered('lateen', 'get', '--out'), ['--output']);
      assert.deepEqual(await offered('lateen', 'completion', 'z'), ['zsh']);
    },
  );

  it('for another shell is refused', async () => {
    for (const shell of ['tcsh', 'constructor', 'toString']) {
      const { code, stderr } = await runLateen('completion', shell);
      assert.deepEqual(
        [code, stderr],
        [2, `lateen: no completion for ${shell}; there is one for bash, zsh and fish\n`],
      );
    }
  });
});

describe('the help', () => {
  it('describes every command that works and no role', async () => {
    const { code, stdout } = await runLateen('--help');
    assert.equal(code, 0);
    for (const name of visible) assert.match(stdout, new RegExp(`^  ${name}\\b.* {2,}\\w`, 'm'));
  });

  it('of every command says what it is for', async () => {
    for (const name of visible) {
      const { code, stdout } = await runLateen(name, '--help');
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^Usage: lateen ${name}\\b`));
    }
  });
});
