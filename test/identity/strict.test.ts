// Who is let in under STRICT, and whom a caller lets itself be answered by: nobody but workloads of the mesh, by fresh
// handshake and by resumption.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { after, before, describe, it } from 'node:test';
import type { Authority } from '../../src/ca/authority.js';
import { authorityOf, foreignAuthority, issue, tryRequest, type Credentials } from '../harness/certificates.js';
import { exchangeRaw, request } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const clientId = 'spiffe://cluster.local/ns/default/sa/client';
const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;

describe('an inbound port under STRICT', () => {
  let mesh: TestMesh;
  let authority: Authority;
  let port: number;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }`,
      'strict.yaml': strict,
    });
    authority = await authorityOf(mesh.directory);
    port = mesh.workload('web-0').inbound!.port;
  });
  after(() => mesh.close());

  /** Refused at a fresh handshake, and again with whatever ticket that handshake may have given. */
  async function assertRefused(credentials: Credentials | undefined, reason: string): Promise<void> {
    const before = sumOf(await scrape(mesh.run.url), 'lateen_connections_refused_total', { reason });
    const fresh = await tryRequest(port, credentials);
    assert.equal(fresh.answer, '');
    if (fresh.session !== undefined) {
      const again = await tryRequest(port, credentials, { session: fresh.session });
      assert.equal(again.answer, '', 'by resumption');
    }
    await eventually(
      async () => sumOf(await scrape(mesh.run.url), 'lateen_connections_refused_total', { reason }) > before,
      `a refusal counted as ${reason}`,
    );
  }

  it('a certificate of a workload of the mesh is let in, fresh and by resumption', async () => {
    const good = await issue(authority, [clientId]);
    const fresh = await tryRequest(port, good);
    assert.match(fresh.answer, /^HTTP\/1\.1 200 OK/);
    assert.equal(fresh.resumed, false);
    const again = await tryRequest(port, good, { session: fresh.session! });
    assert.match(again.answer, /^HTTP\/1\.1 200 OK/);
    assert.equal(again.resumed, true);
  });

  it('plaintext is refused', async () => {
    assert.equal(await exchangeRaw(port, 'GET / HTTP/1.1\r\nHost: web\r\n\r\n'), '');
    await assert.rejects(request({ port }), /socket hang up|ECONNRESET/);
  });

  it('no certificate is refused', () => assertRefused(undefined, 'untrusted certificate'));

  it('a certificate of another authority is refused', async () =>
    assertRefused(await issue(await foreignAuthority(), [clientId]), 'untrusted certificate'));

  it('an expired certificate is refused', async () =>
    assertRefused(await issue(authority, [clientId], { nowMs: Date.now() - 7_200_000 }), 'expired certificate'));

  it('a certificate that expires between two connections is refused at the resumed one', async () => {
    const short = await issue(authority, [clientId], { lifetimeMs: 3000 });
    const fresh = await tryRequest(port, short);
    assert.match(fresh.answer, /^HTTP\/1\.1 200 OK/, 'the control: while it is valid it is let in');
    const session = fresh.session!;
    await new Promise((resolve) => setTimeout(resolve, 4000));
    // The server takes the ticket: only the check of the certificate inside it refuses.
    const again = await tryRequest(port, short, { session });
    assert.equal(again.resumed, true);
    assert.equal(again.answer, '');
  });

  it('a certificate of another trust domain is refused', async () =>
    assertRefused(await issue(authority, ['spiffe://other.example/ns/default/sa/client']), 'other trust domain'));

  for (const [what, names] of [
    ['two identities', [clientId, 'spiffe://cluster.local/ns/default/sa/admin']],
    ['an identity of another form', ['spiffe://cluster.local/client']],
    ['an identity with an empty part', ['spiffe://cluster.local/ns//sa/client']],
    ['an identity with escapes', ['spiffe://cluster.local/ns/default/sa/cli%65nt']],
    ['a web address', ['https://cluster.local/ns/default/sa/client']],
    ['only a DNS name', ['client.default.svc.cluster.local']],
  ] as const)
    it(`a certificate of the authority with ${what} is refused`, async () =>
      assertRefused(await issue(authority, names), 'no SPIFFE ID'));

  it('TLS 1.2 is refused', async () => {
    const good = await issue(authority, [clientId]);
    await assert.rejects(
      new Promise((resolve, reject) => {
        const socket = tls.connect(
          { host: '127.0.0.1', port, key: good.key, cert: good.cert, rejectUnauthorized: false, maxVersion: 'TLSv1.2' },
          () => resolve(socket.getProtocol()),
        );
        socket.on('error', reject);
      }),
      /protocol version|handshake failure|ECONNRESET|alert/i,
    );
  });

  it('a ticket of an authority that is gone is worth nothing', async () => {
    const fixed = `services: { web: { port: 8080, protocol: http, inboundPort: ${await freePort()}, command: ${JSON.stringify(app('echo.mjs'))} } }`;
    let other = await TestMesh.start({ 'mesh.yaml': fixed, 'strict.yaml': strict });
    try {
      const old = await issue(await authorityOf(other.directory), [clientId]);
      const inbound = other.workload('web-0').inbound!.port;
      const fresh = await tryRequest(inbound, old);
      assert.match(fresh.answer, /^HTTP\/1\.1 200 OK/, 'the control: under the old authority it is let in');
      await other.stop();
      rmSync(join(other.directory, '.lateen/authority.pem'));
      other = await TestMesh.start({}, { directory: other.directory });
      for (const session of [fresh.session!, undefined])
        assert.equal((await tryRequest(inbound, old, session === undefined ? {} : { session })).answer, '');
      assert.match(
        (await tryRequest(inbound, await issue(await authorityOf(other.directory), [clientId]))).answer,
        /^HTTP\/1\.1 200 OK/,
      );
    } finally {
      await other.close();
    }
  });
});

describe('a caller whose server is somebody else', () => {
  let mesh: TestMesh;
  let authority: Authority;
  let rogue: tls.Server | undefined;

  before(async () => {
    mesh = await TestMesh.start(
      {
        'mesh.yaml': `services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }`,
        'strict.yaml': strict,
      },
      { args: ['--isolate'] },
    );
    authority = await authorityOf(mesh.directory);
    assert.equal(
      (await request({ port: mesh.workload('client-0').upstreams['web']!, path: '/status/200' })).status,
      200,
    );
    // The proxy of the service dies and, because the supervisor is held, does not come back: its port is there to be taken.
    process.kill(mesh.run.pids.supervisor, 'SIGSTOP');
    process.kill(mesh.workload('web-0').proxyPid!, 'SIGKILL');
  });
  after(async () => {
    rogue?.close();
    process.kill(mesh.run.pids.supervisor, 'SIGCONT');
    await mesh.close();
  });

  /** Answers 200 to everybody, with the given certificate, on the port of the service's proxy. */
  async function impersonate(credentials: Credentials): Promise<{ requests: () => number }> {
    let requests = 0;
    await new Promise<void>((resolve) => (rogue === undefined ? resolve() : rogue.close(() => resolve())));
    rogue = tls.createServer(
      { key: credentials.key, cert: credentials.cert, ALPNProtocols: ['lateen-http/1.1', 'istio-http/1.1', 'istio'] },
      (socket) => {
        socket.on('data', () => {
          requests++;
          socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nrogue');
        });
        socket.on('error', () => undefined);
      },
    );
    const place = mesh.workload('web-0').inbound!;
    await eventually(
      () =>
        new Promise<boolean>((resolve) => {
          rogue!.once('error', () => resolve(false));
          rogue!.listen(place.port, place.address, () => resolve(true));
        }),
      'the port to be free',
    );
    return { requests: () => requests };
  }

  for (const [what, make, reason] of [
    [
      'of another authority',
      async () => issue(await foreignAuthority(), ['spiffe://cluster.local/ns/default/sa/web']),
      /TLS error/,
    ],
    [
      'that has expired',
      () => issue(authority, ['spiffe://cluster.local/ns/default/sa/web'], { nowMs: Date.now() - 7_200_000 }),
      /TLS error: the certificate has expired/,
    ],
    [
      'of another trust domain',
      () => issue(authority, ['spiffe://other.example/ns/default/sa/web']),
      /is of trust domain other\.example, not cluster\.local/,
    ],
    [
      'of another workload',
      () => issue(authority, ['spiffe://cluster.local/ns/default/sa/client']),
      /spiffe:\/\/cluster\.local\/ns\/default\/sa\/client is not spiffe:\/\/cluster\.local\/ns\/default\/sa\/web/,
    ],
  ] as const)
    it(`with a certificate ${what} it answers 503 UF and sends nothing`, async () => {
      const { requests } = await impersonate(await make());
      for (let i = 0; i < 3; i++) {
        const answer = await request({ port: mesh.workload('client-0').upstreams['web']!, path: '/secret' });
        assert.equal(answer.status, 503);
        assert.match(answer.body, reason);
        assert.doesNotMatch(answer.body, /rogue/);
      }
      assert.equal(requests(), 0, 'no byte of a request was sent');
    });
});

async function freePort(): Promise<number> {
  const { PortAllocator } = await import('../../src/local/ports.js');
  const ports = new PortAllocator();
  try {
    return await ports.allocate('test');
  } finally {
    ports.close();
  }
}
