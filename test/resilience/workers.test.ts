// Data planes of several processes (`--workers`): they share the ports and the work, add up to one proxy in numbers and logs, and
// die one at a time.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { after, afterEach, before, describe, it } from 'node:test';
import { request } from '../harness/http.js';
import { app, eventually, isAlive, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';
import { callersOf } from '../harness/sockets.js';

const web = `web: { namespace: shop, port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }`;
const files = {
  'mesh.yaml': `
meshConfig: { accessLogFile: access.log, accessLogEncoding: JSON }
services:
  ${web}
  client: { namespace: shop, command: sleep 1000 }
  stranger: { namespace: other, command: sleep 1000 }
`,
  // Failures are to be seen, not tried again.
  'routes.yaml': `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, namespace: shop }
spec: { hosts: [web], http: [{ route: [{ destination: { host: web } }], retries: { attempts: 0 } }] }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`,
};
const workers = ['--workers', '2'];

/** One kept connection that asks one thing after the other. */
class Caller {
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;
  readonly outcomes: string[] = [];
  #socket: Socket | undefined;
  #stopped = false;

  constructor(port: number) {
    this.#port = port;
  }

  /** Port of this end of the connection. */
  get localPort(): number {
    return this.#socket?.localPort ?? 0;
  }

  ask(path = '/status/200'): Promise<string> {
    return new Promise<string>((resolve) => {
      http
        .get({ host: '127.0.0.1', port: this.#port, path, agent: this.#agent, timeout: 10_000 }, (response) => {
          response.resume();
          response.on('error', (error) => resolve(error.message));
          response.on('end', () => resolve(String(response.statusCode)));
        })
        .on('socket', (socket) => (this.#socket = socket))
        .on('timeout', () => resolve('no answer'))
        .on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    }).then((outcome) => {
      this.outcomes.push(outcome);
      return outcome;
    });
  }

  /** Asks until it is stopped. */
  async run(): Promise<void> {
    while (!this.#stopped) await this.ask('/delay/3');
  }

  close(): void {
    this.#stopped = true;
    this.#agent.destroy();
  }

  stop(): void {
    this.#stopped = true;
  }
}

const callers: Caller[] = [];

/** Callers whose connections are open. */
async function callersAt(port: number, count: number): Promise<Caller[]> {
  const made = Array.from({ length: count }, () => new Caller(port));
  callers.push(...made);
  for (const caller of made) assert.equal(await caller.ask(), '200');
  return made;
}

/** The port of a workload at which it calls web. */
function webPortOf(mesh: TestMesh, workload = 'client-0'): number {
  return Object.values(mesh.workload(workload).upstreams)[0]!;
}

/** Resolves with the worker that has come in the place of a dead one. */
function successorOf(mesh: TestMesh, workload: string, before: readonly number[]): Promise<number> {
  return eventually(() => {
    const { workerPids } = mesh.workload(workload);
    return workerPids.length === before.length && workerPids.find((pid) => !before.includes(pid));
  }, `another worker of ${workload}`);
}

/** The public key of the certificate that a port shows, to callers whom it then refuses too. */
async function shownKey(port: number): Promise<string> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  const { publicKey } = socket.getPeerX509Certificate()!;
  socket.destroy();
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

describe('two workers', () => {
  let mesh: TestMesh;
  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close();
    await mesh?.close();
  });

  it('share the connections, are one in metrics, log and API, and count every request once', async () => {
    mesh = await TestMesh.start(files, { args: workers });
    const pids = mesh.workload('web-0').workerPids;
    assert.equal(pids.length, 2);
    assert.deepEqual(mesh.workload('client-0').workerPids, pids, 'one data plane for all');
    const port = webPortOf(mesh);
    const made = await callersAt(port, 10);
    const shares = pids.map((pid) => callersOf(pid, port).size);
    assert.ok(Math.min(...shares) >= 3, `of 10 connections each has its part: ${shares.join(' and ')}`);
    await Promise.all(
      made.map(async (caller) => {
        for (let i = 0; i < 50; i++) await caller.ask();
      }),
    );
    const total = made.flatMap(({ outcomes }) => outcomes).length;
    assert.equal(total, 510);
    const { url } = mesh.run;
    for (const reporter of ['source', 'destination'])
      await eventually(
        async () => sumOf(await scrape(url), 'istio_requests_total', { reporter, response_code: '200' }) === total,
        `${total} requests counted by the ${reporter}`,
      );
    const samples = await scrape(url);
    const series = samples.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`);
    assert.deepEqual(
      series.filter((one, i) => series.indexOf(one) !== i),
      [],
      'no series stands there twice',
    );
    assert.equal(sumOf(samples, 'istio_build', { component: 'proxy' }), 3, 'three proxies, of six processes');
    const proxies = (await mesh.fetchJson('/api/proxies')) as { workload: string; processes: number }[];
    assert.deepEqual(proxies.map(({ workload, processes }) => `${workload} ${processes}`).sort(), [
      'other/stranger-0 2',
      'shop/client-0 2',
      'shop/web-0 2',
    ]);
    const lines = await eventually(() => {
      const text = readFileSync(join(mesh.directory, 'access.log'), 'utf8').trimEnd().split('\n');
      return text.length >= 2 * total && text;
    }, 'all lines of the log');
    assert.equal(lines.length, 2 * total);
    for (const line of lines) assert.equal((JSON.parse(line) as { response_code: number }).response_code, 200);
  });

  it('a change of policy is in force when the mesh says so, in both', async () => {
    mesh = await TestMesh.start(files, { args: workers });
    const ports = { client: webPortOf(mesh), stranger: webPortOf(mesh, 'stranger-0') };
    const made = { client: await callersAt(ports.client, 6), stranger: await callersAt(ports.stranger, 6) };
    const [load] = (await callersAt(ports.client, 1)) as [Caller];
    const running = load.run();
    interface Proxy {
      readonly workload: string;
      readonly inForce: boolean;
      readonly applied: readonly { readonly type: string; readonly version: string }[];
    }
    const listeners = async () => {
      const all = (await mesh.fetchJson('/api/proxies')) as Proxy[];
      const called = all.find(({ workload }) => workload === 'shop/web-0')!;
      return { ...called, version: called.applied.find(({ type }) => type === 'listener')?.version };
    };
    for (let change = 0; change < 8; change++) {
      const allowed = change % 2 === 0 ? 'client' : 'stranger';
      const before = (await listeners()).version;
      const principal = `cluster.local/ns/${allowed === 'client' ? 'shop' : 'other'}/sa/${allowed}`;
      mesh.write({
        'policy.yaml': `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: web, namespace: shop }
spec: { selector: { matchLabels: { app: web } }, rules: [{ from: [{ source: { principals: ["${principal}"] } }] }] }
`,
      });
      await eventually(async () => {
        const { version, inForce } = await listeners();
        return inForce && version !== before;
      }, `change ${change} in force`);
      for (const who of ['client', 'stranger'] as const) {
        const expected = who === allowed ? '200' : '403';
        const fresh = Array.from({ length: 4 }, async () =>
          String((await request({ port: ports[who], path: '/status/200' })).status),
        );
        const answers = await Promise.all([...made[who].map((caller) => caller.ask()), ...fresh]);
        assert.deepEqual([...new Set(answers)], [expected], `${who}, change ${change}: ${answers.join()}`);
      }
    }
    load.stop();
    await running;
    assert.deepEqual([...new Set(load.outcomes)].sort(), ['200', '403']);
  });

  it('end in order under load: Ctrl-C fails no request and leaves no process', async () => {
    const caller = `client: { namespace: shop, command: ${JSON.stringify(app('caller.mjs'))} }`;
    mesh = await TestMesh.start({ ...files, 'mesh.yaml': `services: { ${web}, ${caller} }` }, { args: workers });
    const { url, pids, workloads } = mesh.run;
    await eventually(
      async () => sumOf(await scrape(url), 'istio_requests_total', { reporter: 'destination' }) > 300,
      'load',
    );
    mesh.process.kill('SIGINT');
    assert.equal(await mesh.exited(), 0);
    const outcomes = JSON.parse(readFileSync(join(mesh.directory, 'outcomes.json'), 'utf8')) as object;
    assert.deepEqual(Object.keys(outcomes), ['200']);
    for (const pid of [pids.data!, ...workloads.flatMap(({ workerPids }) => workerPids)])
      assert.equal(existsSync(`/proc/${pid}`), false, `process ${pid} has ended and been collected`);
  });

  it('go with their first process, which comes back, and with the supervisor', async () => {
    mesh = await TestMesh.start(files, { args: workers });
    const { data, supervisor } = mesh.run.pids;
    const before = mesh.workload('web-0').workerPids;
    process.kill(before[0]!, 'SIGSTOP'); // hears nothing any more
    process.kill(data!, 'SIGKILL');
    await eventually(() => before.every((pid) => !isAlive(pid)), 'the end of the workers');
    await eventually(
      () => mesh.workload('web-0').workerPids.length === 2 && !mesh.workload('web-0').workerPids.includes(before[0]!),
      'others',
    );
    await eventually(
      async () => (await request({ port: webPortOf(mesh), path: '/status/200' })).status === 200,
      'a request',
    );
    const pids = [mesh.run.pids.data!, ...mesh.workload('web-0').workerPids];
    process.kill(supervisor, 'SIGKILL');
    await mesh.exited();
    await eventually(() => pids.every((pid) => !isAlive(pid)), 'the end of all');
  });
});

describe('two workers of every isolated proxy', () => {
  let mesh: TestMesh;
  before(async () => {
    mesh = await TestMesh.start(files, { args: [...workers, '--isolate'] });
  });
  after(() => mesh?.close());
  afterEach(() => {
    for (const caller of callers.splice(0)) caller.close();
  });

  it('are processes of their own, with keys of their own', async () => {
    assert.equal(new Set(mesh.run.workloads.flatMap(({ workerPids }) => workerPids)).size, 6);
    assert.equal(new Set(mesh.run.workloads.map(({ proxyPid }) => proxyPid)).size, 3);
    const keys = new Set<string>();
    await eventually(async () => {
      keys.add(await shownKey(mesh.workload('web-0').inbound!.port));
      return keys.size === 2;
    }, 'certificates with two keys');
    for (let i = 0; i < 10; i++) keys.add(await shownKey(mesh.workload('web-0').inbound!.port));
    assert.equal(keys.size, 2);
  });

  it('of the calling side: kill -9 of one ends its connections, nobody else notices, and it comes back', async () => {
    const { proxyPid, workerPids } = mesh.workload('client-0');
    const [dead, other] = workerPids as [number, number];
    const port = webPortOf(mesh);
    const made = await callersAt(port, 12);
    const doomed = callersOf(dead, port);
    const lost = made.filter(({ localPort }) => doomed.has(localPort));
    const kept = made.filter(({ localPort }) => !doomed.has(localPort));
    assert.ok(lost.length > 0 && kept.length > 0);
    const running = made.map((caller) => caller.run());
    await eventually(() => made.every(({ outcomes }) => outcomes.length > 5), 'load');
    process.kill(dead, 'SIGKILL');
    await eventually(() => !isAlive(dead), 'its death');
    // New connections, from the moment of its death to when another is there and longer.
    const fresh: string[] = [];
    const ask = async () => {
      fresh.push(
        await request({ port, path: '/status/200', timeoutMs: 5000 }).then(
          ({ status }) => String(status),
          (error: Error) => error.message,
        ),
      );
    };
    const successor: { pid?: number } = {};
    const found = successorOf(mesh, 'client-0', workerPids).then((pid) => (successor.pid = pid));
    while (successor.pid === undefined || fresh.length < 100) await ask();
    const revived = await found;
    await eventually(async () => {
      await callersAt(port, 4);
      return callersOf(revived, port).size > 0;
    }, 'connections of the new worker');
    for (const caller of made) caller.stop();
    await Promise.all(running);
    assert.deepEqual([...new Set(fresh)], ['200']);
    assert.deepEqual([...new Set(kept.flatMap(({ outcomes }) => outcomes))], ['200']);
    const failed = lost.map(({ outcomes }) => outcomes.filter((outcome) => outcome !== '200'));
    for (const outcomes of failed) assert.match(outcomes.join(), /^(ECONNRESET)?$/);
    assert.ok(failed.flat().length > 0, 'the control: something was lost');
    const now = mesh.workload('client-0');
    assert.equal(now.proxyPid, proxyPid);
    assert.equal(now.ready, true);
    assert.ok(now.workerPids.includes(other), 'the other one is still the same');
    assert.match(
      mesh.output,
      /^! data plane of client-0: worker \d: it was ended by SIGKILL; the others go on, it is started again in 0\.1 s$/m,
    );
  });

  it('of the called side: kill -9 of one under load costs no more than what was under way there', async () => {
    const { workerPids } = mesh.workload('web-0');
    const [dead] = workerPids as [number];
    const made = await callersAt(webPortOf(mesh), 8);
    const running = made.map((caller) => caller.run());
    await eventually(() => made.every(({ outcomes }) => outcomes.length > 5), 'load');
    process.kill(dead, 'SIGKILL');
    await eventually(() => !isAlive(dead), 'its death');
    const after = made.map(({ outcomes }) => outcomes.length + 1); // what is under way now may be lost
    await successorOf(mesh, 'web-0', workerPids);
    await eventually(() => made.every(({ outcomes }, i) => outcomes.length > after[i]! + 10), 'more load');
    for (const caller of made) caller.stop();
    await Promise.all(running);
    for (const [i, { outcomes }] of made.entries()) {
      assert.ok(outcomes.filter((outcome) => outcome !== '200').length <= 1, outcomes.join());
      assert.deepEqual([...new Set(outcomes.slice(after[i]))], ['200']);
    }
  });

  it('one that hangs and dies: connections that were on their way to it are answered by the other', async () => {
    const { workerPids, proxyPid } = mesh.workload('client-0');
    const [first, second] = workerPids as [number, number];
    const port = webPortOf(mesh);
    for (const pid of [first, second]) process.kill(pid, 'SIGSTOP');
    const answers = Array.from({ length: 6 }, () => request({ port, path: '/status/200', timeoutMs: 20_000 }));
    // The ports are open all the while; nobody reads.
    await eventually(() => callersOf(proxyPid!, port).size === 6, 'six connections');
    process.kill(first, 'SIGKILL');
    process.kill(second, 'SIGCONT');
    assert.deepEqual(
      (await Promise.all(answers)).map(({ status }) => status),
      [200, 200, 200, 200, 200, 200],
    );
  });
});
