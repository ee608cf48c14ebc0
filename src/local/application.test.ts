// An application is started, watched and started again, and what is wrong with it is said in one sentence.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { Application, type ApplicationOptions, type ApplicationState } from './application.js';
import type { Guard } from './guard.js';
import { isGroupAlive } from './process-table.js';

const running: Application[] = [];
const servers: net.Server[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((application) => application.stop(false)));
  for (const server of servers.splice(0)) server.close();
});

/** An application with everything that it tells, and a way to wait for it. */
function start(command: string | readonly string[] | undefined, listens: ApplicationOptions['listens'] = []) {
  const states: ApplicationState[] = [];
  const lines: string[] = [];
  const groups: string[] = [];
  const waiting: {
    readonly matches: (state: ApplicationState) => boolean;
    readonly resolve: (state: ApplicationState) => void;
  }[] = [];
  const guard = {
    add: (group: number) => groups.push(`add ${group}`),
    remove: (group: number) => groups.push(`del ${group}`),
  } as unknown as Guard;
  const application = new Application({
    command: command === undefined ? undefined : { command, cwd: '/', env: { PATH: process.env['PATH'] ?? '' } },
    listens,
    guard,
    onLine: (line) => lines.push(line),
    onState: (state) => {
      states.push(state);
      for (const one of waiting) if (one.matches(state)) one.resolve(state);
    },
  });
  running.push(application);
  const until = (matches: (state: ApplicationState) => boolean) =>
    new Promise<ApplicationState>((resolve) => waiting.push({ matches, resolve }));
  return { application, states, lines, groups, until };
}

async function listen(): Promise<{ address: string; port: number; server: net.Server }> {
  const server = net.createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return { address: '127.0.0.1', port: (server.address() as net.AddressInfo).port, server };
}

describe('an application that runs already', () => {
  it('is ready when it accepts', async () => {
    const { application, until } = start(undefined, [await listen()]);
    const ready = until((state) => state.ready);
    application.start();
    assert.deepEqual(await ready, { pid: undefined, ready: true, problem: undefined });
  });

  it('is not ready while one of its ports does not accept', async () => {
    const [open, late] = [await listen(), await listen()];
    late.server.close();
    await once(late.server, 'close');
    const { application, states, until } = start(undefined, [open, late]);
    const ready = until((state) => state.ready);
    application.start();
    const again = net.createServer((socket) => socket.destroy()).listen(late.port, '127.0.0.1');
    servers.push(again);
    await ready;
    assert.ok(again.listening && states.filter((state) => state.ready).length === 1);
  });
});

describe('a command', () => {
  it('without a port is ready when it runs, and known to the guard while it does', async () => {
    const { application, until, groups } = start('exec sleep 600');
    const ready = until((state) => state.ready);
    application.start();
    const { pid } = await ready;
    assert.deepEqual(groups, [`add ${pid}`]);
    await application.stop();
    assert.deepEqual(groups, [`add ${pid}`, `del ${pid}`]);
    assert.equal(isGroupAlive(pid!), false);
  });

  it('that ends is said to have, with its code, and is started again after pauses that grow', async () => {
    const { application, until, states } = start('echo last words; exit 3');
    let ends = 0;
    const third = until(({ problem, pid }) => problem !== undefined && pid === undefined && ++ends === 3);
    application.start();
    await third;
    const pauses = states
      .filter(({ pid, problem }) => pid === undefined && problem !== undefined)
      .map(({ problem, ready }) => {
        assert.equal(ready, false);
        assert.match(problem!, /^the command ended with code 3 after \d+\.\d s and is started again in \d\.\d s/);
        return Number(/again in (\d\.\d) s/.exec(problem!)![1]);
      });
    assert.ok(pauses[1]! > pauses[0]! && pauses[2]! > pauses[1]!, `the pauses are ${pauses.join(', ')} s`);
  });

  it('that is killed is said to have been', async () => {
    const { application, until } = start('kill -9 $$');
    const ended = until(({ problem }) => problem !== undefined);
    application.start();
    assert.match((await ended).problem!, /^the command ended by SIGKILL /);
  });

  it('that cannot be started is said to be wrong', async () => {
    const { application, until } = start(['/nowhere/at-all']);
    const ended = until(({ problem }) => problem !== undefined);
    application.start();
    assert.match((await ended).problem!, /^the command cannot be started: .*ENOENT; correct `command`$/);
  });

  it('keeps its problem until it is ready again', async () => {
    const { application, until, states } = start('exit 1', [{ address: '127.0.0.1', port: 1 }]);
    const second = until(({ pid, problem }) => pid !== undefined && problem !== undefined);
    application.start();
    assert.match((await second).problem!, /code 1/);
    assert.ok(states.every((state) => !state.ready));
  });

  it('tells its lines', async () => {
    const { application, lines, until } = start('echo one; echo two >&2; exec sleep 600');
    const ready = until((state) => state.ready);
    application.start();
    await ready;
    // The lines come when they come; a state is told after every one only by chance.
    while (lines.length < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([...lines].sort(), ['one', 'two']);
  });

  it('is not started again after stop', async () => {
    const { application, until, states } = start('exit 1');
    const ended = until(({ problem }) => problem !== undefined);
    application.start();
    await ended;
    await application.stop();
    const told = states.length;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(states.length, told);
  });
});
