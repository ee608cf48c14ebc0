// What callers and logs see when something fails: Envoy's codes, flags and texts, and a sentence that says why.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exchangeRaw, request } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

describe('failures', () => {
  let mesh: TestMesh;
  let upstreams: Readonly<Record<string, number>>;
  let rubbish: net.Server;
  let vanishing: net.Server;

  before(async () => {
    // Servers that are not ours: one answers no HTTP, one stops listening once it was seen.
    rubbish = net
      .createServer((socket) =>
        socket.on('data', () => socket.write('SSH-2.0-not http\r\n\r\n')).on('error', () => undefined),
      )
      .listen(0, '127.0.0.1');
    vanishing = net.createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await Promise.all(
      [rubbish, vanishing].map((server) => new Promise((resolve) => server.once('listening', resolve))),
    );
    const portOf = (server: net.Server) => (server.address() as net.AddressInfo).port;
    mesh = await TestMesh.start({
      'mesh.yaml': `
meshConfig: { accessLogFile: access.log }
services:
  web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }
  rubbish: { port: 8081, protocol: http, address: "127.0.0.1:${portOf(rubbish)}" }
  vanishing: { port: 8082, protocol: http, address: "127.0.0.1:${portOf(vanishing)}" }
  client: { command: sleep 1000 }
`,
      'routes.yaml': `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
    - match: [{ uri: { prefix: /delay } }]
      timeout: 150ms
      route: [{ destination: { host: web } }]
    - match: [{ uri: { prefix: /stall } }]
      timeout: 150ms
      route: [{ destination: { host: web } }]
    - route: [{ destination: { host: web } }]
`,
    });
    upstreams = mesh.workload('client-0').upstreams;
    await new Promise((resolve) => vanishing.close(resolve));
  });
  after(async () => {
    rubbish.close();
    await mesh.close();
  });

  const logged = (pattern: RegExp) =>
    eventually(
      () =>
        readFileSync(join(mesh.directory, 'access.log'), 'utf8')
          .split('\n')
          .find((line) => pattern.test(line)),
      `a line ${pattern}`,
    );

  it('an application that does not listen: tried three times, then 503 UF,URX at its proxy, passed on by the caller', async () => {
    const answer = await request({ port: upstreams['vanishing']! });
    assert.equal(answer.status, 503);
    assert.equal(
      answer.body,
      'upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: connection refused',
    );
    await logged(
      /" 503 UF,URX upstream_reset_before_response_started\{remote_connection_failure\} - "connection_refused" .* inbound\|8082\|\| /,
    );
    await logged(/" 503 - via_upstream - .* outbound\|8082\|\|vanishing/);
  });

  it('a timeout: 504 UT', async () => {
    assert.equal((await request({ port: upstreams['web']!, path: '/delay/5000' })).status, 504);
    await logged(/"GET \/delay\/5000 HTTP\/1\.1" 504 UT response_timeout .* outbound\|8080\|\|web/);
    // The called side sees its caller leave.
    await logged(/"GET \/delay\/5000 HTTP\/1\.1" 0 DC downstream_remote_disconnect .* inbound\|8080\|\| /);
  });

  it('a timeout in the middle of an answer breaks it off', async () => {
    await assert.rejects(
      request({ port: upstreams['web']!, path: '/stall' }),
      /aborted|cut off|socket hang up|ECONNRESET/,
    );
    await logged(/"GET \/stall HTTP\/1\.1" 200 UT /);
  });

  it('an answer that is cut off is never completed', async () => {
    await assert.rejects(
      request({ port: upstreams['web']!, path: '/cut' }),
      /aborted|cut off|socket hang up|ECONNRESET/,
    );
    await logged(/"GET \/cut HTTP\/1\.1" 200 UC .* inbound\|8080\|\| /);
    // Between the proxies only the stream ends, as between Envoys that speak HTTP/2.
    await logged(/"GET \/cut HTTP\/1\.1" 200 UR .* outbound\|8080\|\|web/);
  });

  it('something that is not HTTP: 502 UPE', async () => {
    const answer = await request({ port: upstreams['rubbish']! });
    assert.equal(answer.status, 502);
    assert.equal(
      answer.body,
      'upstream connect error or disconnect/reset before headers. reset reason: protocol error',
    );
    await logged(/" 502 UPE upstream_reset_before_response_started\{protocol_error\} .* inbound\|8081\|\| /);
  });

  it('a caller that goes away: 0 DC, and the work for it is given up', async () => {
    await new Promise<void>((resolve) => {
      const outgoing = http.get({
        host: '127.0.0.1',
        port: upstreams['web']!,
        path: '/delay/100000?gone',
        agent: false,
      });
      outgoing.on('error', () => undefined);
      outgoing.on('close', () => resolve());
      setTimeout(() => outgoing.destroy(), 130); // later than the FIN of a caller that only has no more to ask
    });
    await logged(/"GET \/delay\/100000\?gone HTTP\/1\.1" 0 DC downstream_remote_disconnect .* outbound\|8080\|\|web/);
  });

  it('what is no request: 400 DPE', async () => {
    assert.match(
      await exchangeRaw(upstreams['web']!, 'GET / HTTP/1.1\r\nBad Header: x\r\n\r\n'),
      /^HTTP\/1\.1 400 Bad Request\r\n[^]*connection: close\r\n\r\nBad Request$/,
    );
    await logged(/"- - HTTP\/1\.1" 400 DPE http1\.codec_error /);
  });

  it('failures are metrics with their flags', async () => {
    const samples = await scrape(mesh.run.url);
    for (const flags of ['UF,URX', 'UT', 'UC', 'UPE', 'DC', 'DPE'])
      assert.ok(sumOf(samples, 'istio_requests_total', { response_flags: flags }) > 0, flags);
  });

  it('towards the application our sentence follows; the called side gives Envoy text alone', async () => {
    const inbound = await request({ port: mesh.workload('vanishing-0').inbound!.port, headers: { host: 'vanishing' } });
    assert.equal(inbound.status, 503);
    assert.doesNotMatch(inbound.body, /lateen/);
    const outbound = await request({ port: upstreams['web']!, path: '/delay/5000' });
    assert.match(
      outbound.body,
      /^upstream request timeout\nlateen: web\.default\.svc\.cluster\.local did not answer within 150 ms \(decided by VirtualService\/default\/web spec\.http\[0\]\.match\[0\]\)\n$/,
    );
  });
});
