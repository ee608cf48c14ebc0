// Signals to the processes of a mesh: they end in order under load, a second one does not wait, and none opens an inspector.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { request, SteadyLoad } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const web = `web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }`;
const single = {
  'mesh.yaml': `services: { ${web}, client: { command: sleep 1000 } }`,
  // Failures are to be seen, not tried again.
  'routes.yaml': `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec: { hosts: [web], http: [{ route: [{ destination: { host: web } }], retries: { attempts: 0 } }] }
`,
};

describe('a signal', () => {
  let mesh: TestMesh | undefined;
  afterEach(async () => mesh?.close());

  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const)
    it(`${signal} under load of an application fails no request and ends with code 0`, async () => {
      mesh = await TestMesh.start({
        ...single,
        'mesh.yaml': `services: { ${web}, client: { command: ${JSON.stringify(app('caller.mjs'))} } }`,
      });
      const { url } = mesh.run;
      await eventually(
        async () => sumOf(await scrape(url), 'istio_requests_total', { reporter: 'destination' }) > 300,
        'load',
      );
      mesh.process.kill(signal);
      assert.equal(await mesh.exited(), 0);
      const outcomes = JSON.parse(readFileSync(join(mesh.directory, 'outcomes.json'), 'utf8')) as object;
      assert.deepEqual(Object.keys(outcomes), ['200']);
    });

  it('SIGTERM under load from outside: whoever was let in is answered', async () => {
    mesh = await TestMesh.start(single);
    const port = mesh.workload('client-0').upstreams['web']!;
    const load = new SteadyLoad(200, (i) => ({ port, path: `/delay/${i % 40}` }));
    const slow = request({ port, path: '/delay/1500' });
    await eventually(() => (load.outcomes.get('200') ?? 0) > 200, 'load');
    mesh.process.kill('SIGTERM');
    assert.equal((await slow).status, 200, 'what had begun before');
    assert.equal(await mesh.exited(), 0);
    const { outcomes } = await load.stop();
    const others = [...outcomes.keys()].filter((outcome) => outcome !== '200' && !outcome.includes('ECONNREFUSED'));
    assert.deepEqual(others, []);
  });

  it('SIGTERM twice does not wait for a request that never ends', async () => {
    mesh = await TestMesh.start(single);
    const port = mesh.workload('client-0').upstreams['web']!;
    const stalled = request({ port, path: '/delay/100000' }).then(
      ({ status }) => String(status),
      (error: Error) => error.message,
    );
    await eventually(() => mesh!.output.includes('ready http'), 'ready');
    mesh.process.kill('SIGTERM');
    const { url } = mesh.run;
    await mesh.waitForOutput(/waiting for requests under way/);
    await eventually(async () => (await fetch(new URL('/readyz', url))).status === 503, 'not ready any more');
    mesh.process.kill('SIGTERM');
    assert.equal(await mesh.exited(4000), 0, 'the drain time is 5 s');
    assert.match(await stalled, /hang up|ECONNRESET|503/);
  });

  it('SIGUSR1 opens no inspector in any process, and traffic goes on', async () => {
    const control = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log("up")']);
    let told = '';
    control.stderr.on('data', (data: Buffer) => (told += data.toString()));
    await new Promise((resolve) => control.stdout.once('data', resolve));
    control.kill('SIGUSR1');
    await eventually(() => /[Dd]ebugger listening|inspector/.test(told), 'the control: Node opens its inspector');
    control.kill('SIGKILL');

    mesh = await TestMesh.start(single, { args: ['--isolate'] });
    const { pids, workloads } = mesh.run;
    const all = [pids.supervisor, pids.control, ...workloads.flatMap(({ proxyPid }) => proxyPid ?? [])];
    assert.equal(all.length, 4);
    for (const pid of all) process.kill(pid, 'SIGUSR1');
    const port = mesh.workload('client-0').upstreams['web']!;
    for (let i = 0; i < 20; i++) assert.equal((await request({ port, path: '/status/200' })).status, 200);
    assert.equal((await scrape(mesh.run.url)).length > 0, true);
    for (const pid of all) {
      assert.equal(listensOnInspector(pid), false, `process ${pid}`);
    }
    assert.doesNotMatch(mesh.output, /[Dd]ebugger|inspector/);
    assert.deepEqual(
      mesh.run.workloads.map(({ proxyPid }) => proxyPid),
      workloads.map(({ proxyPid }) => proxyPid),
    );
  });
});

/** Whether it is this process that listens where Node's inspector does. */
function listensOnInspector(pid: number): boolean {
  return readFileSync(`/proc/${pid}/net/tcp`, 'latin1')
    .split('\n')
    .some((line) => {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
      return local.endsWith(`:${(9229).toString(16).toUpperCase()}`) && state === '0A' && holds(pid, inode!);
    });
}

function holds(pid: number, inode: string): boolean {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
    } catch {
      return false; // closed meanwhile
    }
  });
}
