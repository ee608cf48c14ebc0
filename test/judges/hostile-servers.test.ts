// HTTP/2 servers that break the protocol, give up or hold back: the caller gets one answer that says so, nothing is tried twice that
// may not be, and what has nothing to do with it goes on.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request, SteadyLoad, type Answer } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { HostileServer } from './hostile-server.js';
import { routeOnce } from './mesh-objects.js';
import { requireTools, skipWithout } from './peers.js';
import { megabytes, residentBytes } from './process-memory.js';
import { goodAnswer, serverFaults, type ServerFault } from './server-faults.js';

const pathOf = (i: number) => `/fault/${i}`;

it('an HTTP/2 server that answers with: the judge is there', { skip: skipWithout('python3') }, () =>
  requireTools('python3'),
);

describe('an HTTP/2 server that answers with', { skip: skipWithout('python3') }, () => {
  let server: HostileServer;
  let stingy: HostileServer;
  let single: HostileServer;
  let deaf: HostileServer;
  let mesh: TestMesh;
  let outbound: number;
  let load: SteadyLoad;

  before(async () => {
    [server, stingy, single, deaf] = await Promise.all([
      HostileServer.start({
        scripts: Object.fromEntries(serverFaults.map(({ attempts }, i) => [pathOf(i), attempts])),
        default: goodAnswer,
      }),
      HostileServer.start({ scripts: { '/upload': [[]] }, default: goodAnswer, settings: [[4, 0]] }),
      HostileServer.start({ scripts: {}, default: [{ do: 'pause', ms: 20 }, ...goodAnswer], settings: [[3, 1]] }),
      HostileServer.start({
        scripts: { '/deaf': [[{ do: 'stop_reading' }]] },
        default: goodAnswer,
        acknowledges: false,
      }),
    ]);
    const at = ({ port }: HostileServer) => `{ port: 8080, protocol: http2, address: "127.0.0.1:${port}" }`;
    mesh = await TestMesh.start({
      'mesh.yaml': `
meshConfig: { accessLogFile: access.log }
services:
  once: ${at(server)}
  again: ${at(server)}
  stingy: ${at(stingy)}
  single: ${at(single)}
  deaf: ${at(deaf)}
  beside: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }
  client: { command: sleep 1000 }
`,
      'routes.yaml': ['once', 'stingy', 'deaf'].map((host) => routeOnce(host, '3s')).join(''),
    });
    outbound = mesh.workload('client-0').outboundHttp.port;
    load = new SteadyLoad(20, () => ({ port: outbound, headers: { host: 'beside' }, path: '/status/200' }));
  });
  after(async () => {
    await load?.stop();
    await mesh?.close();
    for (const one of [server, stingy, single, deaf]) one?.close();
  });

  const call = (
    host: string,
    path: string,
    method = 'GET',
    body?: string | Buffer,
    timeoutMs = 30_000,
  ): Promise<Answer | 'broken'> =>
    request({
      port: outbound,
      path,
      method,
      headers: { host },
      timeoutMs,
      ...(body === undefined ? {} : { body }),
    }).catch(() => 'broken' as const);

  for (const [i, fault] of serverFaults.entries())
    it(fault.fact, async () => {
      const path = pathOf(i);
      const host = fault.retried === true ? 'again' : 'once';
      const answer = await call(host, path, fault.method, fault.method === 'POST' ? 'body' : undefined);
      judge(fault, answer);
      const requests = fault.requests ?? 1;
      await eventually(() => server.requests(path).length >= requests, `${requests} requests at the server`, 5000);
      assert.equal(server.requests(path).length, requests, 'requests at the server');
      if (fault.flags !== undefined && answer !== 'broken') await logged(path, fault.flags);
      const next = await call(host, '/good');
      assert.equal(next === 'broken' ? next : next.status, 200, 'the next request');
    });

  const logged = (path: string, flags: RegExp) =>
    eventually(
      () =>
        readFileSync(join(mesh.directory, 'access.log'), 'utf8')
          .split('\n')
          .some((line) => line.includes(` ${path} `) && flags.test(/ \d{3} (\S+) /.exec(line)?.[1] ?? '')),
      `a line of ${path} with ${flags}`,
      5000,
    );

  it('nothing, and gives no window to a body of 20 MB: it waits at the caller, and others are served', async () => {
    const body = Buffer.alloc(20 * 1024 * 1024);
    const before = residentBytes(mesh.run.pids.data!);
    const upload = call('stingy', '/upload', 'POST', body, 4000);
    const answers = await Promise.all(Array.from({ length: 20 }, () => call('stingy', '/good')));
    assert.deepEqual(new Set(answers.map((one) => (one === 'broken' ? one : one.status))), new Set([200]));
    const answer = await upload;
    assert.ok(answer === 'broken' || answer.status === 504, JSON.stringify(answer));
    const grown = residentBytes(mesh.run.pids.data!) - before;
    assert.ok(grown < 64 * 1024 * 1024, `${megabytes(grown)} MB more`);
  });

  it('one stream at a time: forty requests at once are all answered', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => call('single', '/good')));
    assert.deepEqual(new Set(answers.map((one) => (one === 'broken' ? one : one.status))), new Set([200]));
  });

  it('nothing, and reads nothing any more: 504 for what was sent to it, and later requests find another connection', async () => {
    const stuck = Array.from({ length: 5 }, () => call('deaf', '/deaf', 'POST', Buffer.alloc(8 * 1024 * 1024), 4000));
    for (const answer of await Promise.all(stuck))
      assert.ok(answer === 'broken' || answer.status === 504, JSON.stringify(answer));
    await eventually(async () => {
      const answer = await call('deaf', '/good');
      return answer !== 'broken' && answer.status === 200;
    }, 'an answer');
  });

  it('whatever it was: callers of other services were served all the while, by the same data plane', async () => {
    const { outcomes } = await load.stop();
    assert.deepEqual([...outcomes.keys()], ['200']);
    assert.doesNotMatch(mesh.output, /data plane ended|it was ended by|it ended with|internal error/);
  });
});

function judge({ answers, never }: ServerFault, answer: Answer | 'broken'): void {
  const seen = answer === 'broken' ? answer : answer.status;
  assert.ok(answers.includes(seen), `${seen} ${answer === 'broken' ? '' : answer.body}`);
  if (never !== undefined && answer !== 'broken')
    assert.doesNotMatch(`${answer.rawHeaders.join('\n')}\n${answer.body}`, never);
}
