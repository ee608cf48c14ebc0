// Downloads and uploads that take longer than what happens around them: changes of routes, policies and of mesh.yaml, the
// replacement of the instance that serves them, the end of the mesh, and ends that take their time.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { request } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { blockSize, Download, hashOf, Upload } from '../harness/transfers.js';

const transfer = JSON.stringify(app('transfer.mjs'));
const meshFile = ({ web = 'one', other = 'one' } = {}) => `
services:
  web: { port: 8080, protocol: http, command: ${transfer}, env: { NAME: ${web} } }
  other: { port: 8081, protocol: http, command: ${transfer}, env: { NAME: ${other} } }
  client: { command: sleep 1000 }
`;
const route = (mark: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http: [{ route: [{ destination: { host: web } }], headers: { response: { set: { x-mark: ${mark} } } }, retries: { attempts: 0 } }]
`;
/** Denies what nobody asks for. */
const policy = (path: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: web }
spec: { selector: { matchLabels: { app: web } }, action: DENY, rules: [{ to: [{ operation: { paths: [${path}] } }] }] }
`;
/** 200 MiB, a quarter for every change. */
const blocks = 3200;

describe('a transfer that runs through changes', () => {
  let mesh: TestMesh;
  let port: number;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': meshFile(),
      'routes.yaml': route('one'),
      'policies.yaml': policy('/one'),
    });
    port = mesh.workload('client-0').upstreams['web']!;
  });
  after(() => mesh?.close());

  const ask = (path = '/') => request({ port, path });
  /** Each resolves when the change is in force. */
  const changes = (round: string, before: string): readonly (() => Promise<unknown>)[] => [
    () => {
      mesh.write({ 'routes.yaml': route(round) });
      return eventually(async () => (await ask()).headers['x-mark'] === round, 'the new route');
    },
    () => {
      mesh.write({ 'policies.yaml': policy(`/${round}`) });
      return eventually(async () => (await ask(`/${round}`)).status === 403, 'the new policy');
    },
    () => {
      mesh.write({ 'mesh.yaml': meshFile({ web: round, other: before }) });
      return eventually(async () => (await ask()).body === round, 'requests to the new instance');
    },
    // While the instance before still ends what it has begun.
    () => {
      mesh.write({ 'mesh.yaml': meshFile({ web: round, other: round }) });
      const other = mesh.workload('client-0').upstreams['other']!;
      return eventually(async () => (await request({ port: other })).body === round, 'the other service replaced');
    },
  ];

  it('arrives whole as a download', async () => {
    const download = await Download.begin(port, blocks);
    let allowed = 0;
    for (const change of changes('download', 'one')) {
      allowed += blocks / 4;
      await Promise.all([change(), download.readTo((allowed - 10) * blockSize)]); // some is under way all the time
      await download.readTo((allowed - 1) * blockSize);
    }
    await download.readTo(blocks * blockSize);
    assert.equal(download.hash, hashOf(blocks));
  });

  it('arrives whole as an upload', async () => {
    const upload = new Upload(port);
    let allowed = 0;
    for (const change of changes('upload', 'download')) {
      allowed += blocks / 4;
      await Promise.all([change(), upload.writeTo(allowed - 10)]);
      await upload.writeTo(allowed);
    }
    assert.equal(await upload.end(), `200 ${blocks * blockSize} ${hashOf(blocks)}`);
  });

  it('lets the instance that it was at end afterwards', async () => {
    await eventually(
      () => mesh.run.workloads.filter(({ service }) => service === 'web').length === 1,
      'the old instances to be gone',
    );
  });
});

describe('ends that take their time', () => {
  let mesh: TestMesh;
  let port: number;
  let otherPort: number;

  before(async () => {
    mesh = await TestMesh.start({ 'mesh.yaml': meshFile() });
    const { upstreams } = mesh.workload('client-0');
    port = upstreams['web']!;
    otherPort = upstreams['other']!;
  });
  after(() => mesh?.close());

  const askOther = async () => assert.equal((await request({ port: otherPort })).status, 200);
  const residentMiB = () =>
    Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${mesh.run.pids.data!}/status`, 'latin1'))![1]) / 1024;

  it('hold up nobody, and their bytes are not collected in the data plane', async () => {
    for (let i = 0; i < 50; i++) await askOther();
    const before = residentMiB();
    const count = 100;
    // 3 GiB, of which nobody takes more than what fits between the ends.
    const downloads = await Promise.all(Array.from({ length: count }, () => Download.begin(port, 512)));
    let last = 0;
    await eventually(async () => {
      for (let i = 0; i < 20; i++) await askOther();
      const now = residentMiB();
      const grows = now > last + 1;
      last = now;
      return !grows;
    }, 'the data plane to stop growing');
    const each = (residentMiB() - before) / count;
    assert.ok(each < 1.5, `${each.toFixed(2)} MiB for each of ${count} connections that nobody reads`);
    // One of them reads on, a kilobyte at a time, with a request of somebody else after each hundredth.
    const [slow, ...others] = downloads;
    let steps = 0;
    await slow!.readTo(64 * blockSize, 1024, async () => {
      if (++steps % 100 === 0) await askOther();
    });
    await slow!.readTo(512 * blockSize);
    assert.equal(slow!.hash, hashOf(512));
    for (const other of others) other.cancel();
  });

  it('that send a kilobyte at a time are heard whole', async () => {
    const upload = new Upload(port);
    let steps = 0;
    await upload.writeTo(16, 1024, async () => {
      if (++steps % 50 === 0) await askOther();
    });
    assert.equal(await upload.end(), `200 ${16 * blockSize} ${hashOf(16)}`);
  });
});

describe('a mesh that ends', () => {
  let mesh: TestMesh | undefined;
  afterEach(() => mesh?.close());

  it('lets a download and an upload that are under way arrive whole', async () => {
    mesh = await TestMesh.start({ 'mesh.yaml': meshFile() });
    const port = mesh.workload('client-0').upstreams['web']!;
    const download = await Download.begin(port, 800);
    const upload = new Upload(port);
    await Promise.all([download.readTo(100 * blockSize), upload.writeTo(100)]);
    mesh.process.kill('SIGTERM');
    await mesh.waitForOutput(/waiting for requests under way/);
    await Promise.all([download.readTo(800 * blockSize), upload.writeTo(400)]);
    assert.equal(download.hash, hashOf(800));
    assert.equal(await upload.end(), `200 ${400 * blockSize} ${hashOf(400)}`);
    assert.equal(await mesh.exited(), 0);
  });
});
