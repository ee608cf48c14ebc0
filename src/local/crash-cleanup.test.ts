// What a killed run left behind is ended: its processes, and no others.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { cleanUpAfterCrash } from './crash-cleanup.js';
import { findStartTime, isGroupAlive } from './process-table.js';
import { StateFolder } from './state-folder.js';

const base = mkdtempSync(join(tmpdir(), 'lateen-crash-'));
after(() => rmSync(base, { recursive: true, force: true }));
const state = new StateFolder(base);
state.create();

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
/** A process group of its own that does nothing. */
async function start(env: Record<string, string> = {}): Promise<number> {
  const child = spawn('/bin/sh', ['-c', 'echo up; exec sleep 600'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'], ...env },
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child.pid!;
}
const runFile = (startTimes: Record<string, string | undefined>, workloads: object[] = [], runId = 'run-1') =>
  state.write('run', JSON.stringify({ startTimes, workloads, runId }));

describe('after a crash', () => {
  it('there is nothing to do without a run', () => assert.equal(cleanUpAfterCrash(state), 0));

  it('processes of the run are ended, and it is forgotten', async () => {
    const pid = await start();
    const ended = once(children[0]!, 'exit');
    runFile({ [pid]: findStartTime(pid) });
    assert.equal(cleanUpAfterCrash(state), 1);
    await ended;
    assert.equal(state.read('run'), undefined);
    assert.equal(cleanUpAfterCrash(state), 0);
  });

  it('a process of the run that leads no group is ended too', async () => {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    children.push(child);
    await once(child, 'spawn');
    const ended = once(child, 'exit');
    runFile({ [child.pid!]: findStartTime(child.pid!) });
    assert.equal(cleanUpAfterCrash(state), 1);
    await ended;
  });

  it('processes that only have the number of one are left alone', async () => {
    const pid = await start();
    runFile({ [pid]: 'long ago', [process.pid]: findStartTime(process.pid) });
    assert.equal(cleanUpAfterCrash(state), 0);
    assert.ok(isGroupAlive(pid));
  });

  it(
    'processes that left their group are found by the workload and run in their environment',
    { skip: process.platform === 'linux' ? false : 'needs /proc' },
    async () => {
      const mine = await start({ LATEEN_WORKLOAD: `shop/web-0@${base}` });
      const others = await start({ LATEEN_WORKLOAD: `shop/web-0@another-run` });
      const ended = once(children[0]!, 'exit');
      runFile({}, [{ namespace: 'shop', name: 'web-0' }], base);
      assert.equal(cleanUpAfterCrash(state), 1);
      await ended;
      assert.ok(isGroupAlive(others) && !isGroupAlive(mine));
    },
  );

  for (const text of [
    '',
    '{',
    'null',
    '5',
    '[]',
    '{}',
    '{"startTimes": null, "workloads": 1}',
    '{"startTimes": {"x": "y", "0": "1", "-1": "1"}, "workloads": [null]}',
  ])
    it(`a run file that says ${text || 'nothing'} is no obstacle`, () => {
      state.write('run', text);
      assert.equal(cleanUpAfterCrash(state), 0);
      assert.equal(state.read('run'), undefined);
    });
});
