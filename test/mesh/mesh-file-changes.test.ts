// mesh.yaml changes while the mesh runs: only what changed is restarted, new before old, and requests do not notice.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { requestEcho, SteadyLoad } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';

const echo = JSON.stringify(app('echo.mjs'));
const file = ({ name = 'one', more = '', meshConfig = '' } = {}) => `
meshConfig: { ${meshConfig} }
services:
  web: { port: 8080, protocol: http, command: ${echo}, env: { NAME: ${name} } }
  other: { port: 8081, protocol: http, command: ${echo}, env: { NAME: other } }
  client: { command: sleep 1000 }
${more}`;

describe('mesh.yaml that changes while the mesh runs', () => {
  let mesh: TestMesh;
  let port: number;

  before(async () => {
    mesh = await TestMesh.start({ 'mesh.yaml': file() });
    port = mesh.workload('client-0').upstreams['web']!;
  });
  after(() => mesh.close());

  it('a changed command is replaced without a failed request, and nothing else is touched', async () => {
    const before = mesh.run;
    const load = new SteadyLoad(
      100,
      () => ({ port }),
      ({ status, headers }) => `${status} ${String(headers['x-app'])}`,
    );
    await eventually(() => (load.outcomes.get('200 one') ?? 0) > 20, 'requests to the old');
    mesh.write({ 'mesh.yaml': file({ name: 'two' }) });
    await eventually(() => (load.outcomes.get('200 two') ?? 0) > 50, 'requests to the new');
    await eventually(
      () => mesh.run.workloads.filter(({ service }) => service === 'web').length === 1,
      'the old to be gone',
    );
    const { outcomes } = await load.stop();
    assert.deepEqual([...outcomes.keys()].sort(), ['200 one', '200 two']);
    const after = mesh.run;
    assert.deepEqual(after.pids, before.pids);
    for (const name of ['other-0', 'client-0'])
      assert.equal(mesh.workload(name).pid, before.workloads.find((entry) => entry.name === name)!.pid);
    assert.notEqual(mesh.workload('web-0').pid, before.workloads.find((entry) => entry.name === 'web-0')!.pid);
  });

  it('a new service gets a port in every workload', async () => {
    mesh.write({
      'mesh.yaml': file({
        name: 'two',
        more: `  extra: { port: 8082, protocol: http, command: ${echo}, env: { NAME: extra } }\n`,
      }),
    });
    await eventually(() => mesh.workload('extra-0').ready, 'the new service');
    const extraPort = mesh.workload('client-0').upstreams['extra']!;
    await eventually(async () => (await requestEcho({ port: extraPort })).name === 'extra', 'a request to it');
  });

  it('a service that is removed ends, and its port with it', async () => {
    const { pid } = mesh.workload('extra-0');
    mesh.write({ 'mesh.yaml': file({ name: 'two' }) });
    await eventually(() => mesh.run.workloads.every(({ service }) => service !== 'extra'), 'the service to be gone');
    assert.throws(() => process.kill(pid!, 0), /ESRCH/);
    assert.equal(mesh.workload('client-0').upstreams['extra'], undefined);
  });

  it('an invalid file is refused and nothing stops', async () => {
    const before = mesh.run.workloads.map(({ pid }) => pid);
    mesh.write({ 'mesh.yaml': file({ name: 'three' }).replace('port: 8080', 'port: no') });
    const found = await eventually(
      async () => (await mesh.diagnostics()).find(({ code }) => code === 'LAT0006'),
      'the diagnostic',
    );
    assert.deepEqual([found.file, found.line, found.path], ['mesh.yaml', 4, 'services.web.port']);
    assert.match(found.message, /what runs is left as it is/);
    assert.deepEqual(
      mesh.run.workloads.map(({ pid }) => pid),
      before,
    );
    assert.equal((await requestEcho({ port })).name, 'two');
    mesh.write({ 'mesh.yaml': file({ name: 'two' }) });
    await eventually(async () => (await mesh.diagnostics()).length === 0, 'no diagnostics');
    assert.deepEqual(
      mesh.run.workloads.map(({ pid }) => pid),
      before,
    );
  });

  it('a change that needs a new start is refused with what to do', async () => {
    mesh.write({ 'mesh.yaml': file({ name: 'two', meshConfig: 'trustDomain: other.example' }) });
    const found = await eventually(
      async () => (await mesh.diagnostics()).find(({ path }) => path === 'meshConfig.trustDomain'),
      'the diagnostic',
    );
    assert.match(found.message, /stop `lateen up` and start it again/);
    mesh.write({ 'mesh.yaml': file({ name: 'two' }) });
    await eventually(async () => (await mesh.diagnostics()).length === 0, 'no diagnostics');
  });

  it('an application that dies is started again on the same port', async () => {
    const { pid, app: place } = mesh.workload('web-0');
    process.kill(pid!, 'SIGKILL');
    await eventually(() => mesh.workload('web-0').pid !== pid && mesh.workload('web-0').ready, 'another process');
    assert.deepEqual(mesh.workload('web-0').app, place);
    await eventually(async () => (await requestEcho({ port })).name === 'two', 'a request to it');
  });
});
