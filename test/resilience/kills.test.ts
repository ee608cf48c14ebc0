// Processes of the mesh are killed without warning, under load: what is left goes on, and what died comes back.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { request, requestEcho, SteadyLoad } from '../harness/http.js';
import { TestMesh, app, eventually, isAlive, newFolder } from '../harness/mesh.js';
import { scrape } from '../harness/metrics.js';

const echo = JSON.stringify(app('echo.mjs'));
const route = (subset: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http: [{ route: [{ destination: { host: web, subset: ${subset} } }], retries: { attempts: 0 } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web }
spec: { host: web, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;
const files = {
  'mesh.yaml': `
services:
  web: { port: 8080, protocol: http, versions: { v1: { command: ${echo}, env: { NAME: v1 } }, v2: { command: ${echo}, env: { NAME: v2 } } } }
  client: { command: sleep 1000 }
`,
  'routes.yaml': route('v1'),
};
/** One command more, which does not end when it is asked to. */
const withStubborn = {
  ...files,
  'mesh.yaml': `${files['mesh.yaml']}  stubborn: { command: "trap '' TERM; while :; do sleep 1; done" }\n`,
};

describe('kill -9', () => {
  let mesh: TestMesh | undefined;
  afterEach(async () => mesh?.close());

  it('of the control plane under load fails no request, and it catches up', async () => {
    mesh = await TestMesh.start(files);
    const port = mesh.workload('client-0').upstreams['web']!;
    const load = new SteadyLoad(
      300,
      () => ({ port, path: '/' }),
      ({ status, headers }) => `${status} ${String(headers['x-app'])}`,
    );
    for (let round = 0; round < 3; round++) {
      await eventually(
        () => [...load.outcomes.values()].reduce((sum, count) => sum + count, 0) > (round + 1) * 300,
        'some load',
      );
      const { control } = mesh.run.pids;
      process.kill(control, 'SIGKILL');
      // The file changes while nobody reads it.
      mesh.write({ 'routes.yaml': route(round % 2 === 0 ? 'v2' : 'v1') });
      await eventually(
        () => mesh!.run.pids.control !== control && mesh!.run.pids.control !== null,
        'another control plane',
      );
      await eventually(
        async () => (await requestEcho({ port })).name === (round % 2 === 0 ? 'v2' : 'v1'),
        'the change',
      );
    }
    const { outcomes, total } = await load.stop();
    assert.deepEqual([...outcomes.keys()].sort(), ['200 v1', '200 v2'], 'every request was answered');
    assert.ok(total > 900);
    // Totals are told anew by the proxies: nothing that they counted is lost with the control plane.
    await eventually(async () => {
      const samples = await scrape(mesh!.run.url);
      const counted = samples
        .filter(
          ({ name, labels }) =>
            name === 'istio_requests_total' && labels['reporter'] === 'source' && labels['response_code'] === '200',
        )
        .reduce((sum, { value }) => sum + value, 0);
      return counted >= total;
    }, 'all requests counted');
  });

  it('of the data plane: it comes back with new certificates and serves', async () => {
    mesh = await TestMesh.start(files);
    const port = mesh.workload('client-0').upstreams['web']!;
    assert.equal((await requestEcho({ port })).name, 'v1');
    const expiry = async () =>
      (await scrape(mesh!.run.url)).find(
        ({ name, labels }) =>
          name === 'lateen_certificate_expiration_timestamp_seconds' && labels['workload'] === 'default/client-0',
      )?.value;
    const before = await eventually(expiry, 'a certificate');
    const applications = mesh.run.workloads.map(({ pid }) => pid);
    await new Promise((resolve) => setTimeout(resolve, 1100)); // certificates have whole seconds
    for (let round = 0; round < 2; round++) {
      const { data } = mesh.run.pids;
      process.kill(data!, 'SIGKILL');
      await eventually(() => mesh!.run.pids.data !== data && mesh!.run.pids.data !== null, 'another data plane');
      await eventually(async () => (await requestEcho({ port })).name === 'v1', 'a request');
    }
    await eventually(async () => ((await expiry()) ?? 0) > before, 'a certificate of its own');
    assert.deepEqual(
      mesh.run.workloads.map(({ pid }) => pid),
      applications,
      'applications were left alone',
    );
    assert.match(mesh.output, /^! data plane: it was ended by SIGKILL; it is started again in 0\.1 s$/m);
  });

  it('of one isolated proxy disturbs no other', async () => {
    mesh = await TestMesh.start(files, { args: ['--isolate'] });
    const pids = new Set(mesh.run.workloads.map(({ proxyPid }) => proxyPid));
    assert.equal(pids.size, 3, 'every workload has a process of its own');
    assert.equal(mesh.run.pids.data, null);
    const port = mesh.workload('client-0').upstreams['web']!;
    const load = new SteadyLoad(100, () => ({ port, path: '/status/200' }));
    const { proxyPid } = mesh.workload('web-v2-0');
    process.kill(proxyPid!, 'SIGKILL');
    await eventually(
      () => mesh!.workload('web-v2-0').proxyPid !== proxyPid && mesh!.workload('web-v2-0').ready,
      'another proxy',
    );
    const { outcomes } = await load.stop();
    assert.deepEqual([...outcomes.keys()], ['200'], 'requests to v1 did not notice');
    mesh.write({ 'routes.yaml': route('v2') });
    await eventually(async () => (await requestEcho({ port })).name === 'v2', 'the proxy that came back serves');
  });

  it('of the supervisor leaves no orphan and no socket, and the next up works', async () => {
    const runtime = newFolder();
    mesh = await TestMesh.start(withStubborn, { env: { XDG_RUNTIME_DIR: runtime } });
    const { run } = mesh;
    const pids = [run.pids.control, run.pids.data!, ...run.workloads.flatMap(({ pid }) => pid ?? [])];
    assert.ok(pids.every(isAlive));
    process.kill(run.pids.supervisor, 'SIGKILL');
    await mesh.exited();
    // One of the commands ignores SIGTERM: it has ten seconds.
    await eventually(() => pids.every((pid) => !isAlive(pid)), 'all processes to be gone', 40_000);
    await eventually(() => readdirSync(runtime).length === 0, 'the sockets to be gone');
    assert.ok(existsSync(join(mesh.directory, '.lateen/run.json')), 'the state is as the crash left it');
    mesh = await TestMesh.start({}, { directory: mesh.directory });
    assert.equal((await requestEcho({ port: mesh.workload('client-0').upstreams['web']! })).name, 'v1');
  });

  it('of the supervisor and its guard at once: the next up ends what is left', async () => {
    mesh = await TestMesh.start(files);
    const { run } = mesh;
    const guard = guardOf(run.pids.supervisor);
    const applications = run.workloads.flatMap(({ pid }) => pid ?? []);
    process.kill(run.pids.supervisor, 'SIGSTOP'); // so that it starts no other guard
    process.kill(guard, 'SIGKILL');
    process.kill(run.pids.supervisor, 'SIGKILL');
    await mesh.exited();
    assert.ok(applications.some(isAlive), 'the control: without the guard applications are left');
    mesh = await TestMesh.start({}, { directory: mesh.directory });
    assert.ok(applications.every((pid) => !isAlive(pid)));
    assert.match(mesh.output, /^ended \d+ processes that an earlier run had left behind$/m);
    assert.equal(
      (await request({ port: mesh.workload('client-0').upstreams['web']!, path: '/status/200' })).status,
      200,
    );
  });

  it('of everything that is killed a second mesh on the machine notices nothing', async () => {
    mesh = await TestMesh.start(files);
    const other = await TestMesh.start(files);
    try {
      const port = other.workload('client-0').upstreams['web']!;
      const load = new SteadyLoad(50, () => ({ port, path: '/status/200' }));
      process.kill(mesh.run.pids.supervisor, 'SIGKILL');
      await mesh.exited();
      await eventually(() => load.outcomes.get('200')! > 100, 'load on the other');
      assert.deepEqual([...(await load.stop()).outcomes.keys()], ['200']);
    } finally {
      await other.close();
    }
  });
});

/** The shell that watches a supervisor. */
function guardOf(supervisor: number): number {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .find((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('lateen-guard') &&
          readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[1] === String(supervisor)
        );
      } catch {
        return false;
      }
    });
  return Number(found);
}
