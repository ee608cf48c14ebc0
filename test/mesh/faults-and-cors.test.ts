// Fixed answers, injected faults and cross-origin rules on a running mesh: what callers get, and what never arrives.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request, requestEcho } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const mesh = (): Promise<TestMesh> =>
  TestMesh.start({
    'mesh.yaml': `
services:
  shop: { port: 80, protocol: http, command: ${JSON.stringify(app('echo.mjs'))}, env: { NAME: shop } }
  client: { command: sleep 1000 }
`,
    'routes.yaml': `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop }
spec:
  hosts: [shop]
  http:
    - match: [{ uri: { exact: /text } }]
      directResponse: { status: 418, body: { string: "<p>short\\n" } }
      headers: { response: { set: { content-type: text/html, x-made-by: mesh } } }
    - match: [{ uri: { exact: /bytes } }]
      directResponse: { status: 200, body: { bytes: AAEC } }
    - match: [{ uri: { exact: /empty } }]
      directResponse: { status: 204 }
    - match: [{ uri: { exact: /abort } }]
      fault: { abort: { httpStatus: 555, percentage: { value: 100 } } }
      route: [{ destination: { host: shop } }]
    - match: [{ uri: { exact: /half } }]
      fault: { abort: { httpStatus: 555, percentage: { value: 50 } } }
      route: [{ destination: { host: shop } }]
    - match: [{ uri: { exact: /unsaid } }]
      fault: { abort: { httpStatus: 555 }, delay: { fixedDelay: 1h } }
      route: [{ destination: { host: shop } }]
    - match: [{ uri: { exact: /slow } }]
      fault: { delay: { fixedDelay: 300ms, percentage: { value: 100 } } }
      timeout: 200ms
      route: [{ destination: { host: shop } }]
    - match: [{ uri: { exact: /both } }]
      fault:
        delay: { fixedDelay: 300ms, percentage: { value: 100 } }
        abort: { httpStatus: 555, percentage: { value: 100 } }
      route: [{ destination: { host: shop } }]
    - match: [{ uri: { exact: /cors } }]
      corsPolicy:
        allowOrigins: [{ exact: "https://a.example" }]
        allowMethods: [GET, POST]
        allowCredentials: true
        maxAge: 1m
      route: [{ destination: { host: shop } }]
    - route: [{ destination: { host: shop } }]
`,
  });

describe('what a route does in place of forwarding, or before it', () => {
  let running: TestMesh;
  let port: number;
  before(async () => {
    running = await mesh();
    port = running.workload('client-0').upstreams['shop']!;
  });
  after(() => running.close());

  /** Requests that arrived at the application's own proxy, and those that callers saw with a flag. */
  const counted = async (labels: Record<string, string>) =>
    sumOf(await scrape(running.run.url), 'istio_requests_total', labels);

  it('a fixed answer is given as it is written', async () => {
    const text = await request({ port, path: '/text' });
    assert.deepEqual([text.status, text.body, text.headers['content-type']], [418, '<p>short\n', 'text/html']);
    assert.equal(text.headers['x-made-by'], 'mesh');
    const bytes = await request({ port, path: '/bytes' });
    assert.deepEqual([bytes.body, bytes.headers['content-type']], ['\u0000\u0001\u0002', 'text/plain']);
    assert.deepEqual(
      [(await request({ port, path: '/empty' })).status, (await request({ port, path: '/empty' })).body],
      [204, ''],
    );
  });

  it('an abort of all requests lets none arrive, and is counted with its flag', async () => {
    for (let i = 0; i < 20; i++) {
      const { status, body } = await request({ port, path: '/abort' });
      assert.deepEqual([status, body], [555, 'fault filter abort']);
    }
    await eventually(
      async () =>
        (await counted({ reporter: 'source', response_flags: 'FI', destination_service_name: 'shop' })) === 20,
      'all aborted requests are counted',
    );
    assert.equal(await counted({ reporter: 'destination', response_code: '555' }), 0);
  });

  it('an abort of half of the requests hits about half', async () => {
    const total = 400;
    let hit = 0;
    for (let i = 0; i < total; i++) if ((await request({ port, path: '/half' })).status === 555) hit++;
    const deviation = Math.sqrt(total * 0.5 * 0.5);
    assert.ok(Math.abs(hit - total / 2) < 5 * deviation, `${hit} of ${total} were aborted`);
  });

  it('faults without a share happen to nothing', async () => {
    for (let i = 0; i < 20; i++) assert.equal((await request({ port, path: '/unsaid' })).status, 200);
  });

  it('a delay keeps the request back, body and all, and its time limit begins after it', async () => {
    const echo = await requestEcho({ port, path: '/slow', method: 'POST', body: 'x'.repeat(100_000) });
    assert.equal(echo.body.length, 100_000);
    await eventually(() => counted({ reporter: 'source', response_flags: 'DI' }), 'the flag DI');
  });

  it('a delayed request can be aborted', async () => {
    assert.equal((await request({ port, path: '/both' })).status, 555);
    await eventually(() => counted({ reporter: 'source', response_flags: 'DI,FI' }), 'the flags DI and FI');
  });

  it('a preflight is answered for the origin that is allowed and goes on for others', async () => {
    const preflight = (origin: string) =>
      request({ port, path: '/cors', method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
    const allowed = await preflight('https://a.example');
    assert.deepEqual(
      [allowed.status, allowed.body, allowed.headers['access-control-allow-origin']],
      [200, '', 'https://a.example'],
    );
    assert.equal(allowed.headers['access-control-allow-methods'], 'GET,POST');
    assert.equal(allowed.headers['access-control-max-age'], '60');
    const other = await preflight('https://b.example');
    assert.equal((JSON.parse(other.body) as { name: string }).name, 'shop');
    assert.equal(other.headers['access-control-allow-origin'], undefined);
  });

  it('answers name the origin that is allowed', async () => {
    const headersFor = async (origin: string) => (await request({ port, path: '/cors', headers: { origin } })).headers;
    const allowed = await headersFor('https://a.example');
    assert.equal(allowed['access-control-allow-origin'], 'https://a.example');
    assert.equal(allowed['access-control-allow-credentials'], 'true');
    assert.equal((await headersFor('https://b.example'))['access-control-allow-origin'], undefined);
  });
});
