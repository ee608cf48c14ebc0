// A started command: its output in lines, how it ended, and that nothing of it is left when it is stopped.
import assert from 'node:assert/strict';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { Command, workloadVariable, type CommandExit } from './command.js';
import { isGroupAlive } from './process-table.js';

const cwd = realpathSync(mkdtempSync(join(tmpdir(), 'lateen-command-')));
after(() => rmSync(cwd, { recursive: true, force: true }));

const commands: Command[] = [];
afterEach(async () => {
  await Promise.all(commands.splice(0).map((command) => command.stop(false)));
});

let count = 0;
function start(command: string | readonly string[], env: Record<string, string> = {}) {
  const lines: string[] = [];
  const waiting: { readonly count: number; readonly resolve: (lines: string[]) => void }[] = [];
  let onExit: (exit: CommandExit) => void;
  const exit = new Promise<CommandExit>((resolve) => (onExit = resolve));
  const marker = `test/${process.pid}-${++count}@run`;
  const started = new Command({
    command,
    cwd,
    env: { PATH: process.env['PATH'] ?? '', [workloadVariable]: marker, ...env },
    onLine: (line) => {
      lines.push(line);
      for (const one of waiting) if (lines.length >= one.count) one.resolve(lines);
    },
    onExit: (how) => onExit(how),
  });
  commands.push(started);
  const linesOf = (wanted: number) =>
    new Promise<string[]>((resolve) =>
      lines.length >= wanted ? resolve(lines) : waiting.push({ count: wanted, resolve }),
    );
  return { started, exit, linesOf };
}

describe('a command', () => {
  it('is run by a shell where it is a text, in its folder and with its variables alone', async () => {
    const { linesOf } = start('pwd; echo "$A-$HOME" | tr a-z A-Z', { A: 'b' });
    assert.deepEqual(await linesOf(2), [cwd, 'B-']);
  });

  it('is run as it is where it is a list', async () => {
    const { linesOf } = start(['echo', '$A', 'a  b']);
    assert.deepEqual(await linesOf(1), ['$A a  b']);
  });

  it('tells lines of both outputs, the last one also without a line break', async () => {
    const { linesOf } = start("printf 'one\\ntwo'; printf 'three' >&2");
    assert.deepEqual((await linesOf(3)).sort(), ['one', 'three', 'two']);
  });

  it('reads nothing', async () => {
    assert.equal((await start('cat; exit 7').exit).code, 7);
  });

  it('tells how it ended', async () => {
    assert.deepEqual(await start('exit 3').exit, { code: 3, signal: null, startError: undefined, leftBehind: [] });
    assert.deepEqual(await start('kill -TERM $$').exit, {
      code: null,
      signal: 'SIGTERM',
      startError: undefined,
      leftBehind: [],
    });
  });

  it('tells why it could not be started', async () => {
    const { started, exit } = start(['/nowhere/at-all']);
    assert.match((await exit).startError!, /ENOENT/);
    assert.equal(started.pid, undefined);
    await started.stop();
  });
});

describe('stopping', () => {
  it('ends the whole group, asking first', async () => {
    const { started, exit, linesOf } = start("trap 'echo asked; exit 0' TERM; sh -c 'echo up; exec sleep 600' & wait");
    await linesOf(1);
    await started.stop();
    assert.deepEqual(await linesOf(2), ['up', 'asked']);
    assert.equal((await exit).code, 0);
    assert.equal(isGroupAlive(started.pid!), false);
  });

  it('insists where asking does not help', async () => {
    const { started, exit, linesOf } = start("trap '' TERM; echo up; while :; do sleep 600; done");
    await linesOf(1);
    await started.stop(false);
    assert.equal((await exit).signal, 'SIGKILL');
  });

  it('of what has ended is done at once', async () => {
    const { started, exit } = start('exit 0');
    await exit;
    await started.stop();
  });

  it('ends also what left the group', { skip: process.platform === 'linux' ? false : 'needs /proc' }, async () => {
    const { started, exit } = start(
      "setsid sh -c 'echo up > up; sleep 600; :' >/dev/null 2>&1 & while [ ! -s up ]; do sleep 0.01; done",
    );
    assert.notDeepEqual((await exit).leftBehind, []);
    await started.stop();
    assert.deepEqual(started.leftBehind(), []);
  });
});
