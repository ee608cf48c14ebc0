// Bytes that are no HTTP: carried as they are, encrypted, counted, and ended as their ends end them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exchangeRaw, request, requestEcho } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const lines = JSON.stringify(app('line-server.mjs'));
const echo = JSON.stringify(app('echo.mjs'));

describe('bytes', () => {
  let mesh: TestMesh;
  let upstreams: Readonly<Record<string, number>>;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `
meshConfig: { accessLogFile: access.log }
services:
  declared: { port: 5432, protocol: tcp, command: ${lines} }
  detected: { port: 5433, command: ${lines} }
  both: { port: 8080, command: ${echo}, env: { NAME: both } }
  down: { port: 5434, protocol: tcp, command: "exit 1" }
  secure: { port: 443, protocol: tls, command: ${lines} }
  hidden: { port: 444, protocol: https, command: ${lines} }
  client: { command: sleep 1000 }
`,
      'strict.yaml': `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`,
    });
    upstreams = mesh.workload('client-0').upstreams;
  });
  after(() => mesh.close());

  it('a server that speaks first is heard on a declared port', async () => {
    assert.equal(await exchangeRaw(upstreams['declared']!, 'one\n', { halfClose: true }), 'hello\nONE\nbye\n');
  });

  it('a server that speaks first is heard on a port without declaration', async () => {
    const socket = net.connect(upstreams['detected']!, '127.0.0.1');
    const greeting = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    assert.equal(greeting, 'hello\n');
    socket.destroy();
  });

  it('on a port without declaration HTTP is routed and anything else is carried', async () => {
    assert.equal((await requestEcho({ port: upstreams['both']! })).name, 'both');
    assert.equal(
      await exchangeRaw(upstreams['detected']!, 'no method\n', { halfClose: true }),
      'hello\nNO METHOD\nbye\n',
    );
    const samples = await scrape(mesh.run.url);
    assert.ok(sumOf(samples, 'istio_requests_total', { destination_workload: 'both', reporter: 'destination' }) > 0);
    assert.equal(sumOf(samples, 'istio_requests_total', { destination_workload: 'detected' }), 0);
  });

  it('a caller that ends its side still gets the rest of the answer', async () => {
    const answer = await exchangeRaw(upstreams['declared']!, 'last words\n', { halfClose: true });
    assert.match(answer, /LAST WORDS\nbye\n$/);
  });

  it('a reset of the server arrives as a reset, never as a clean end', async () => {
    const outcome = await new Promise<string>((resolve) => {
      const socket = net.connect(upstreams['declared']!, '127.0.0.1');
      // Asked for after the greeting: bytes and a reset that arrive together look like an orderly end in Node.
      socket.once('data', () => socket.write('reset!'));
      socket.on('end', () => resolve('clean end'));
      socket.on('error', (error: Error & { code?: string }) => resolve(error.code ?? error.message));
    });
    assert.equal(outcome, 'ECONNRESET');
  });

  it('a large transfer arrives whole in both directions', async () => {
    const size = 20 * 1024 * 1024;
    const chunk = Buffer.alloc(64 * 1024, 'a');
    const received = await new Promise<number>((resolve, reject) => {
      let bytes = 0;
      let left = size;
      const socket = net.connect(upstreams['declared']!, '127.0.0.1');
      const fill = () => {
        while (left > 0) {
          left -= chunk.length;
          if (!socket.write(chunk)) return;
        }
        socket.end();
      };
      socket.on('connect', fill);
      socket.on('drain', fill);
      socket.on('data', (data) => (bytes += data.length));
      socket.on('end', () => resolve(bytes));
      socket.on('error', reject);
    });
    assert.equal(received, size + 'hello\n'.length + 'bye\n'.length);
  });

  it('the four TCP metrics count on both sides', async () => {
    const before = await scrape(mesh.run.url);
    const answer = await exchangeRaw(upstreams['declared']!, 'twelve bytes', { halfClose: true });
    const wanted = { destination_service_name: 'declared', request_protocol: 'tcp', response_flags: '-' };
    for (const reporter of ['source', 'destination'])
      for (const [name, amount] of [
        ['istio_tcp_connections_opened_total', 1],
        ['istio_tcp_connections_closed_total', 1],
        ['istio_tcp_received_bytes_total', 12],
        ['istio_tcp_sent_bytes_total', answer.length],
      ] as const)
        await eventually(
          async () =>
            sumOf(await scrape(mesh.run.url), name, { ...wanted, reporter }) -
              sumOf(before, name, { ...wanted, reporter }) ===
            amount,
          `${name} of the ${reporter}`,
        );
    const sample = (await scrape(mesh.run.url)).find(
      ({ name, labels }) =>
        name === 'istio_tcp_sent_bytes_total' &&
        labels['reporter'] === 'destination' &&
        labels['destination_service_name'] === 'declared',
    )!;
    assert.equal(sample.labels['connection_security_policy'], 'mutual_tls');
    assert.equal(sample.labels['source_principal'], 'spiffe://cluster.local/ns/default/sa/client');
    assert.equal(sample.labels['source_workload'], 'client');
    assert.equal('response_code' in sample.labels, false);
  });

  it('a connection for which nobody is there is closed and logged with UH', async () => {
    assert.equal(await exchangeRaw(upstreams['down']!, 'x'), '');
    await eventually(
      () =>
        /"- - -" 0 UH .* outbound\|5434\|\|down\.default\.svc\.cluster\.local /.test(
          readFileSync(join(mesh.directory, 'access.log'), 'utf8'),
        ),
      'the line',
    );
  });

  it('the log has one line a connection on each side', async () => {
    const log = await eventually(() => {
      const text = readFileSync(join(mesh.directory, 'access.log'), 'utf8');
      return /inbound\|5432\|\|/.test(text) && text;
    }, 'a line');
    assert.match(
      log,
      /"- - -" 0 - - - "-" 12 \d+ \d+ - "-" "-" "-" "-" "127\.0\.0\.1:\d+" outbound\|5432\|\|declared\.default\.svc\.cluster\.local 127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+ - -$/m,
    );
  });

  it('what is encrypted by the applications is carried as it is', async () => {
    for (const name of ['secure', 'hidden'])
      assert.equal(await exchangeRaw(upstreams[name]!, 'x', { halfClose: true }), 'hello\nXbye\n');
  });

  it('HTTP to a TCP service is carried unread', async () => {
    assert.equal(
      await exchangeRaw(upstreams['declared']!, 'GET / HTTP/1.1\r\n\r\n', { halfClose: true }),
      'hello\nGET / HTTP/1.1\r\n\r\nbye\n',
    );
    assert.equal(
      (await request({ port: mesh.workload('client-0').outboundHttp.port, headers: { host: 'declared' } })).status,
      404,
    );
  });
});
