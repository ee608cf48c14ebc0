// Few connections between proxies: shared by all requests of one identity and by no other, and by none to the harm of another.
import assert from 'node:assert/strict';
import http from 'node:http';
import net, { type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { request, requestEcho, SteadyLoad } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { callersOf, connectionsTo } from '../harness/tcp-table.js';

const echo = JSON.stringify(app('echo.mjs'));
const objects = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec: { hosts: [web], http: [{ route: [{ destination: { host: web } }], retries: { attempts: 0 } }] }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;

describe('connections between proxies', () => {
  let mesh: TestMesh;
  let web: number;
  const portOf = (client: string) => mesh.workload(`${client}-0`).upstreams['web']!;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  web: { port: 8080, protocol: http, command: ${echo} }
  one: { command: sleep 1000 }
  two: { command: sleep 1000 }
`,
      'objects.yaml': objects,
    });
    web = mesh.workload('web-0').inbound!.port;
  });
  after(() => mesh.close());

  it('are shared by nobody of another identity, though both callers are in one process', async () => {
    assert.equal(mesh.workload('one-0').proxyPid, mesh.workload('two-0').proxyPid);
    const identityOf = async (client: string) => {
      const { headers } = await requestEcho({ port: portOf(client) });
      return /URI=([^;]*)/.exec(headers['x-forwarded-client-cert'] ?? '')?.[1];
    };
    const agents = ['one', 'two', 'one', 'two'];
    assert.deepEqual(
      await Promise.all(agents.map(identityOf)),
      agents.map((name) => `spiffe://cluster.local/ns/default/sa/${name}`),
    );
    assert.equal(connectionsTo(web), 2);
  });

  it('are at most ten for a thousand new connections of applications at once', async () => {
    const before = connectionsTo(web);
    const answers = await Promise.all(
      Array.from({ length: 1000 }, () => request({ port: portOf('one'), path: '/delay/300' })),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.ok(connectionsTo(web) - before <= 10, `${connectionsTo(web)} connections after ${before}`);
    assert.ok(connectionsTo(web) >= 1);
  });

  it('carry other requests while a hundred callers do not read their large answers', async () => {
    const stalled = await Promise.all(Array.from({ length: 100 }, () => stall(portOf('one'), '/pour/20000000')));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 10 });
    const answers = await Promise.all(
      Array.from({ length: 500 }, () => request({ port: portOf('one'), path: '/bytes/1000', agent })),
    );
    agent.destroy();
    assert.ok(answers.every(({ status, body }) => status === 200 && body.length === 1000));
    assert.ok(stalled.every(({ destroyed, bytesRead }) => !destroyed && bytesRead < 20_000_000));
    for (const socket of stalled.splice(3)) socket.destroy();
    // Those who read on get everything.
    for (const socket of stalled) socket.resume();
    await eventually(() => stalled.every(({ bytesRead }) => bytesRead >= 20_000_000), 'all of the large answers');
    for (const socket of stalled) socket.destroy();
  });

  it('lose no other request where a hundred callers go away within their answers', async () => {
    const others = Array.from({ length: 50 }, () => request({ port: portOf('two'), path: '/delay/500' }));
    for (let round = 0; round < 3; round++) {
      const stalled = await Promise.all(Array.from({ length: 100 }, () => stall(portOf('two'), '/pour/5000000')));
      for (const socket of stalled) socket.resetAndDestroy();
    }
    assert.ok((await Promise.all(others)).every(({ status, body }) => status === 200 && body === 'late\n'));
    assert.equal((await request({ port: portOf('two') })).status, 200);
  });
});

/** Asks for a large answer, and reads its beginning. */
async function stall(port: number, path: string): Promise<Socket> {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: web\r\n\r\n`);
  await new Promise((resolve) => socket.once('data', resolve));
  socket.pause();
  return socket;
}

describe('certificates of ten seconds', () => {
  it('end connections before their time without a failed request', async () => {
    const mesh = await TestMesh.start({
      'mesh.yaml': `
certificates: { workloadLifetime: 10s }
services:
  web: { port: 8080, protocol: http, command: ${echo} }
  client: { command: sleep 1000 }
`,
      'objects.yaml': objects,
    });
    try {
      const { port } = mesh.workload('web-0').inbound!;
      const upstream = mesh.workload('client-0').upstreams['web']!;
      const load = new SteadyLoad(100, (i) => ({
        port: upstream,
        path: i % 10 === 0 ? '/delay/400' : '/size',
        method: i % 3 === 0 ? 'POST' : 'GET',
        body: i % 3 === 0 ? 'x'.repeat(100) : '',
      }));
      const used = new Set<string>();
      const most = { atOnce: 0 };
      const watch = setInterval(() => {
        most.atOnce = Math.max(most.atOnce, connectionsTo(port));
        for (const each of callersOf(port)) used.add(each);
      }, 50);
      await eventually(() => used.size >= 4, 'a fourth connection', 60_000);
      clearInterval(watch);
      const { outcomes, total } = await load.stop();
      assert.deepEqual([...outcomes], [['200', total]]);
      assert.ok(most.atOnce <= 3, `${most.atOnce} connections at once`);
    } finally {
      await mesh.close();
    }
  });
});
