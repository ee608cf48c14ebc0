// Services that are not in mesh.yaml: reached by name, routed, split and counted like any other, and gone when they are removed.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exchangeRaw, request, requestEcho } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

/** A server outside the mesh: answers with its name and what it was asked; `seen` counts its requests. */
async function serveOutside(name: string) {
  const state = { seen: 0 };
  const server = http.createServer((incoming, response) => {
    state.seen++;
    response.end(JSON.stringify({ name, url: incoming.url, headers: incoming.headers }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, state, port: (server.address() as AddressInfo).port };
}

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const object = (kind: string, name: string, spec: string, namespace = 'shop') =>
  `---\napiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: ${spec}\n`;
const strict = `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;
const httpPort = 'resolution: STATIC, ports: [{ number: 80, name: http, protocol: HTTP }]';

describe('a service outside the mesh', () => {
  let mesh: TestMesh;
  let outbound: number;
  let one: Awaited<ReturnType<typeof serveOutside>>;
  let two: Awaited<ReturnType<typeof serveOutside>>;
  let upstream: number;
  let bytes: number;
  const get = (host: string, more: Record<string, string> = {}) =>
    requestEcho({ port: outbound, path: '/a?b=c', headers: { host, ...more } });
  const statusOf = async (host: string) => (await request({ port: outbound, headers: { host } })).status;

  before(async () => {
    [one, two, upstream, bytes] = await Promise.all([serveOutside('one'), serveOutside('two'), freePort(), freePort()]);
    const at = (server: { port: number }, rest: string) =>
      `{ address: 127.0.0.1, ports: { http: ${server.port} }, ${rest} }`;
    mesh = await TestMesh.start({
      'mesh.yaml': `
meshConfig: { accessLogFile: access.log }
services:
  reviews: { namespace: shop, port: 9080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))}, env: { NAME: reviews } }
  lines: { namespace: shop, port: 7000, protocol: tcp, command: ${JSON.stringify(app('line-server.mjs'))} }
  client:
    namespace: shop
    command: sleep 1000
    upstreams: { "api.example.com:80": ${upstream}, "db.example.com:5432": ${bytes} }
`,
      'outside.yaml':
        object(
          'ServiceEntry',
          'api',
          `{ hosts: [api.example.com], ${httpPort}, endpoints: [${at(one, 'weight: 3, labels: { version: v1 }')}, ${at(two, 'labels: { version: v2 }')}] }`,
        ) +
        object(
          'DestinationRule',
          'api',
          '{ host: api.example.com, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }, subsets: [{ name: v2, labels: { version: v2 } }] }',
        ) +
        object(
          'VirtualService',
          'api',
          '{ hosts: [api.example.com], http: [{ match: [{ headers: { x-try: { exact: "1" } } }], rewrite: { uri: /tried/ }, route: [{ destination: { host: api.example.com, subset: v2 } }] }, { route: [{ destination: { host: api.example.com } }] }] }',
        ) +
        object(
          'ServiceEntry',
          'wild',
          `{ hosts: ['*.wild.example'], ${httpPort}, endpoints: [${at(one, 'labels: {}')}] }`,
        ) +
        object(
          'ServiceEntry',
          'private',
          `{ hosts: [private.example.com], exportTo: [.], ${httpPort}, endpoints: [${at(one, 'labels: {}')}] }`,
          'elsewhere',
        ) +
        object(
          'ServiceEntry',
          'taken',
          `{ hosts: [reviews.shop.svc.cluster.local], ${httpPort}, endpoints: [${at(one, 'labels: {}')}] }`,
        ),
      'strict.yaml': strict,
    });
    outbound = mesh.workload('client-0').outboundHttp.port;
  });
  after(async () => {
    await mesh.close();
    for (const { server } of [one, two]) {
      server.closeAllConnections();
      server.close();
    }
  });

  it('is called by its name, in plaintext, and sees that name', async () => {
    const answer = await get('api.example.com');
    assert.equal(answer.headers['host'], 'api.example.com');
    assert.equal(answer.url, '/a?b=c');
    assert.equal(answer.headers['x-forwarded-client-cert'], undefined);
  });

  it('is called at a port of mesh.yaml, whatever the Host', async () => {
    const answer = await requestEcho({ port: upstream, headers: { host: 'anything' } });
    assert.equal(answer.headers['host'], 'api.example.com');
    assert.equal(mesh.workload('client-0').upstreams['api.example.com'], upstream);
  });

  it('has its requests shared by the weights of its endpoints', async () => {
    const before = [one.state.seen, two.state.seen];
    for (let i = 0; i < 40; i++) await get('api.example.com');
    assert.deepEqual([one.state.seen - before[0]!, two.state.seen - before[1]!], [30, 10]);
  });

  it('has subsets by the labels of its endpoints, and routes', async () => {
    for (let i = 0; i < 8; i++) {
      const answer = await get('api.example.com', { 'x-try': '1' });
      assert.deepEqual([answer.name, answer.url], ['two', '/tried/a?b=c']);
    }
  });

  it('may have all names below one, and is asked by the name that was called', async () => {
    assert.equal((await get('shop.wild.example')).headers['host'], 'shop.wild.example');
    assert.equal(await statusOf('wild.example'), 404);
  });

  it('is not there for namespaces to which it is not exported', async () => {
    assert.equal(await statusOf('private.example.com'), 404);
  });

  it('does not take the name of a service of mesh.yaml, and that is said', async () => {
    assert.equal((await get('reviews.shop.svc.cluster.local:9080')).name, 'reviews');
    const said = (await mesh.diagnostics()).filter(({ code }) => code === 'LAT0010');
    assert.deepEqual(
      said.map(({ object: about, path }) => `${about} ${path}`),
      ['ServiceEntry/shop/taken spec.hosts[0]'],
    );
  });

  it('is counted under its name, its endpoints under that of the object', async () => {
    const labels = {
      reporter: 'source',
      destination_service: 'api.example.com',
      destination_service_name: 'api.example.com',
      destination_service_namespace: 'shop',
      destination_workload: 'api',
      destination_principal: 'unknown',
      destination_canonical_revision: 'v2',
      response_code: '200',
    };
    await eventually(
      async () => sumOf(await scrape(mesh.run.url), 'istio_requests_total', labels) >= 8,
      'requests to version v2 of api.example.com are counted',
    );
  });

  it('carries bytes by CONNECT and at a port of mesh.yaml once it is there', async () => {
    const echo = net.createServer((socket) => socket.on('data', (chunk) => socket.end(chunk)));
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    const { port } = echo.address() as AddressInfo;
    mesh.write({
      'db.yaml': object(
        'ServiceEntry',
        'db',
        `{ hosts: [db.example.com], resolution: STATIC, ports: [{ number: 5432, name: db, protocol: TCP }], endpoints: [{ address: 127.0.0.1, ports: { db: ${port} } }] }`,
      ),
    });
    assert.equal(await eventually(() => exchangeRaw(bytes, 'ping'), 'the port of mesh.yaml carries bytes'), 'ping');
    const tunnel = await exchangeRaw(
      outbound,
      'CONNECT db.example.com:5432 HTTP/1.1\r\nHost: db.example.com:5432\r\n\r\nping',
    );
    assert.match(tunnel, /^HTTP\/1\.1 200 [^]*\r\n\r\nping$/);
    echo.close();
  });

  it('has the endpoints that it selects, as they come and go', async () => {
    const select = (name: string) =>
      object(
        'ServiceEntry',
        name,
        `{ hosts: [vm.example.com], ${httpPort}, workloadSelector: { labels: { app: vm } } }`,
      );
    const entry = (name: string, server: { port: number }) =>
      object('WorkloadEntry', name, `{ address: 127.0.0.1, labels: { app: vm }, ports: { http: ${server.port} } }`);
    mesh.write({ 'vm.yaml': select('vm') + entry('vm-1', one) });
    await eventually(async () => (await get('vm.example.com')).name === 'one', 'the first endpoint answers');
    mesh.write({ 'vm.yaml': select('vm') + entry('vm-2', two) });
    await eventually(async () => (await get('vm.example.com')).name === 'two', 'the second endpoint answers');
    mesh.write({ 'vm.yaml': select('vm') });
    await eventually(async () => (await statusOf('vm.example.com')) === 503, 'nothing answers any more');
    const said = (await mesh.diagnostics()).find(
      ({ code, object: about }) => code === 'IST0127' && about.endsWith('/vm'),
    );
    assert.match(said?.message ?? '', /requests are answered with 503/);
  });

  it('is gone when its object is', async () => {
    assert.equal(await statusOf('api.example.com'), 200);
    rmSync(join(mesh.directory, 'outside.yaml'));
    await eventually(async () => (await statusOf('api.example.com')) === 404, 'the host is unknown');
    await assert.rejects(request({ port: upstream }), 'nothing listens at its port of mesh.yaml');
  });
});

describe('a ServiceEntry inside a strict mesh', () => {
  let mesh: TestMesh;
  const entry = (name: string, rest: string) =>
    object('ServiceEntry', name, `{ hosts: [${name}.mesh], location: MESH_INTERNAL, ${httpPort}, ${rest} }`);
  const get = (name: string) =>
    request({ port: mesh.workload('client-0').outboundHttp.port, headers: { host: `${name}.mesh` } });

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `
meshConfig: { accessLogFile: access.log }
services:
  reviews: { namespace: shop, port: 9080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))}, labels: { tier: back } }
  client: { namespace: shop, command: sleep 1000 }
`,
      'strict.yaml': strict,
    });
    const { port } = mesh.workload('reviews-0').inbound!;
    const endpoint = (rest: string) => `endpoints: [{ address: 127.0.0.1, ports: { http: ${port} }${rest} }]`;
    mesh.write({
      'entries.yaml':
        entry('right', endpoint(', serviceAccount: reviews')) +
        entry('wrong', endpoint(', serviceAccount: ratings')) +
        entry(
          'named',
          `${endpoint(', serviceAccount: ratings')}, subjectAltNames: [spiffe://cluster.local/ns/shop/sa/reviews]`,
        ) +
        entry('plain', endpoint('')) +
        entry('off', endpoint(', serviceAccount: reviews, labels: { security.istio.io/tlsMode: disabled }')) +
        entry('picked', 'workloadSelector: { labels: { tier: back } }').replace(
          'name: http,',
          'name: http, targetPort: 9080,',
        ),
    });
    await eventually(async () => (await get('right')).status === 200, 'the entries are in force');
  });
  after(() => mesh.close());

  it('calls endpoints with mTLS where they have a service account', async () => {
    const { headers } = JSON.parse((await get('right')).body) as { headers: Record<string, string> };
    assert.match(headers['x-forwarded-client-cert'] ?? '', /By=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/reviews;/);
  });

  it('refuses an endpoint with another identity than that of its account', async () => {
    assert.equal((await get('wrong')).status, 503);
    assert.equal((await get('named')).status, 200);
  });

  it('calls endpoints in plaintext where they have none, or where a label says so', async () => {
    assert.equal((await get('plain')).status, 503);
    assert.equal((await get('off')).status, 503);
  });

  const hasCaller = (body: string) => {
    const { headers } = JSON.parse(body) as { headers: Record<string, string> };
    assert.match(headers['x-forwarded-client-cert'] ?? '', /URI=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/client/);
  };

  it('selects workloads of mesh.yaml, which are called with mTLS', async () => {
    const answer = await get('picked');
    assert.equal(answer.status, 200);
    hasCaller(answer.body);
  });

  it('is not needed for workloads that a Service of another name selects', async () => {
    const backs = 'spec: { selector: { tier: back }, ports: [{ name: http, port: 80, targetPort: 9080 }] }';
    mesh.write({
      'backs.yaml': `apiVersion: v1\nkind: Service\nmetadata: { name: backs, namespace: shop }\n${backs}\n`,
    });
    const { outboundHttp } = mesh.workload('client-0');
    const call = () => request({ port: outboundHttp.port, headers: { host: 'backs' } });
    await eventually(async () => (await call()).status === 200, 'the service answers');
    hasCaller((await call()).body);
  });
});
