// Ports without a declared protocol: who speaks first is heard, requests stay requests, and what was learned is shown.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { ListenerView } from '../../src/admin/proxy-config-view.js';
import { request } from '../harness/http.js';
import { eventually, program, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

/** An application that greets or not, as the test wants, and answers requests. */
class Application {
  greets = false;
  readonly server: Server = net.createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
  readonly connections: Socket[] = [];
  #wake: (() => void) | undefined;

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  /** The next connection that it has not told of. */
  async connected(): Promise<Socket> {
    while (this.connections.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.connections.shift()!;
  }

  #serve(socket: Socket): void {
    this.connections.push(socket);
    this.#wake?.();
    if (this.greets) socket.write('hello\n');
    socket.on('data', (data) => {
      const isRequest = String(data).startsWith('GET ');
      socket.write(isRequest ? 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok' : String(data).toUpperCase());
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => socket.destroy());
  }
}

describe('a port without a declared protocol', () => {
  const application = new Application();
  let mesh: TestMesh;
  let port: number;
  const meshFile = (protocol: string) => `
services:
  app: { port: 7000, ${protocol} address: "127.0.0.1:${(application.server.address() as AddressInfo).port}" }
  client: { command: sleep 1000 }
`;

  before(async () => {
    await application.listen();
    mesh = await TestMesh.start({ 'mesh.yaml': meshFile('') });
    port = mesh.workload('client-0').upstreams['app']!;
    application.connections.length = 0;
  });
  after(async () => {
    await mesh.close();
    application.server.close();
  });

  function lateen(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    return spawnSync(process.execPath, [program, ...args, '-C', mesh.directory], { encoding: 'utf8' });
  }
  const listenerOf = (workload: string) => {
    const { stdout } = lateen('proxy-config', 'listeners', workload, '-o', 'json');
    return (JSON.parse(stdout) as ListenerView[]).find(
      ({ address, declared }) => address !== null && declared !== null,
    )!;
  };
  const dial = (to = port): Socket => net.connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
  const hear = async (socket: Socket) => String(((await once(socket, 'data')) as [Buffer])[0]);
  const requests = async () =>
    sumOf(await scrape(mesh.run.url), 'istio_requests_total', { destination_service_name: 'app', reporter: 'source' });

  it('is one of which nothing is known at first', () => {
    const { service, declared, learned, since } = listenerOf('client-0');
    assert.deepEqual([service, declared, learned, since], ['app.default.svc.cluster.local', 'detect', null, null]);
  });

  it('takes a request of a client that was silent at first for a request', async () => {
    const socket = dial();
    const ahead = await application.connected();
    const ended = once(ahead, 'end');
    socket.write('GET / HTTP/1.1\r\nhost: app\r\n\r\n');
    assert.match(await hear(socket), /^HTTP\/1\.1 200 OK\r\n/);
    await ended;
    assert.equal(ahead.bytesRead, 0);
    assert.equal(await requests(), 1);
    assert.equal(listenerOf('client-0').learned, 'http');
    socket.destroy();
  });

  it('lets a server speak first, also where requests were known, and knows that then', async () => {
    application.greets = true;
    for (let i = 0; i < 2; i++) {
      const socket = dial();
      assert.equal(await hear(socket), 'hello\n');
      assert.equal(listenerOf('client-0').learned, 'server-first');
      socket.write('more');
      assert.equal(await hear(socket), 'MORE');
      socket.destroy();
    }
    const { since } = listenerOf('client-0');
    assert.ok(Date.parse(since!) <= Date.now());
  });

  it('takes requests for requests where servers were known to speak first, and knows that then', async () => {
    application.greets = false;
    const before = await requests();
    assert.equal((await request({ port })).status, 200);
    assert.equal(await requests(), before + 1);
    assert.equal(listenerOf('client-0').learned, 'http');
  });

  it('carries bytes whose client speaks first', async () => {
    const socket = dial();
    socket.write('\0bytes');
    assert.equal(await hear(socket), '\0BYTES');
    assert.equal(listenerOf('client-0').learned, 'client-first');
    socket.destroy();
  });

  it('lets a server speak first to those who call it in plaintext', async () => {
    application.greets = true;
    const socket = dial(mesh.workload('app-0').inbound!.port);
    assert.equal(await hear(socket), 'hello\n');
    socket.destroy();
    assert.equal(listenerOf('app-0').learned, 'server-first');
  });

  it('is said to be better declared where its server speaks first, until it is', async () => {
    const said = async () => (await mesh.diagnostics()).filter(({ code }) => code === 'LAT0011');
    const [diagnostic, ...more] = await eventually(async () => {
      const all = await said();
      return all.length > 0 && all;
    }, 'the diagnostic');
    assert.deepEqual(more, []);
    assert.deepEqual([diagnostic!.severity, diagnostic!.file, diagnostic!.path], ['info', 'mesh.yaml', 'services.app']);
    assert.match(diagnostic!.message, /^port 7000 of service app: the server speaks first; declare `protocol: tcp`/);
    mesh.write({ 'mesh.yaml': meshFile('protocol: tcp,') });
    await eventually(async () => (await said()).length === 0, 'no diagnostic');
    await eventually(() => listenerOf('client-0').declared === 'tcp', 'the declaration');
    assert.equal(listenerOf('client-0').learned, null);
  });

  describe('proxy-config', () => {
    it('prints a table for each kind', () => {
      const { status, stdout } = lateen('proxy-config', 'client-0');
      assert.equal(status, 0);
      assert.match(stdout, /^LISTENERS\nADDRESS +DIRECTION +SERVICE +DECLARED +LEARNED +SINCE +TAKES +CARRIES +TO\n/);
      assert.match(stdout, /\nROUTES\nCONFIGURATION +DOMAIN +MATCH +TO +FROM\n/);
      assert.match(stdout, /\nCLUSTERS\nNAME +HTTP +SECURITY +BALANCER +ENDPOINTS +FROM\n/);
      assert.match(stdout, /\nENDPOINTS\nCLUSTER +ADDRESS +WEIGHT +SECURITY +WORKLOAD\n.* 1 +mTLS +app\.default\n/);
    });

    it('finds a workload by its service, and says what it does not find', () => {
      assert.equal(lateen('pc', 'clusters', 'client').status, 0);
      const nobody = lateen('proxy-config', 'clent-0');
      assert.deepEqual(
        [nobody.status, nobody.stderr],
        [1, 'lateen: there is no workload named clent-0; did you mean client-0? (`lateen get workloads` lists them)\n'],
      );
      const alone = lateen('proxy-config', 'listeners');
      assert.deepEqual(
        [alone.status, alone.stderr],
        [2, 'lateen: name a workload behind listeners (`lateen get workloads` lists them)\n'],
      );
      const kind = lateen('proxy-config', 'listner', 'client-0');
      assert.equal(kind.status, 2);
      assert.match(kind.stderr, /a proxy has no listner; did you mean listeners\?/);
    });
  });
});
