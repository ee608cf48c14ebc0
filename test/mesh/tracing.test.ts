// Requests leave spans at a Zipkin collector, joined into one trace however the caller names it, and never wait for it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import net from 'node:net';
import { request, SteadyLoad } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';
import { SpanCollector, type PostedSpan } from '../harness/span-collector.js';

const hop = app('hop.mjs');
const hopTo = (forward?: string) =>
  JSON.stringify(`NEXT_URL=$BACKEND_DATA_URL ${forward === undefined ? '' : `FORWARD=${forward} `}${hop}`);
const meshOf = (tracing: string, more = '') =>
  `
meshConfig: { defaultConfig: { tracing: ${tracing} } }
services:
  backend: { namespace: data, port: 9080, protocol: http, command: ${JSON.stringify(hop)} }
  web: { namespace: shop, port: 8080, protocol: http, command: ${hopTo()} }
${more}
  client: { namespace: shop, command: sleep 1000 }
`;
const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;

type Heard = Readonly<Record<string, string | undefined>>;

/** Calls a service as its client does; what each application on the way was asked. */
async function call(
  mesh: TestMesh,
  headers: Readonly<Record<string, string>> = {},
  { service = 'web', path = '/a?b=c' } = {},
): Promise<{ status: number; heard: readonly Heard[] }> {
  const port = mesh.workload('client-0').upstreams[service]!;
  const { status, body } = await request({ port, path, headers: { 'user-agent': 'test', ...headers } });
  return { status, heard: JSON.parse(body) as Heard[] };
}

let nextTrace = 0;
/** An id of a trace that no other test uses. */
const freshTraceId = () => `463ac35c9f6413ad48485a3953bb${(0x1000 + nextTrace++).toString(16)}`;
const callerSpan = 'a2fb4a1d1a96d312';

/** The spans of one trace from the root on, each the child of the one before. */
function chainOf(spans: readonly PostedSpan[], root?: string): PostedSpan[] {
  const chain: PostedSpan[] = [];
  let parent = root;
  for (;;) {
    const children = spans.filter(({ parentId }) => parentId === parent);
    assert.ok(children.length <= 1, `${children.length} spans have the parent ${parent}`);
    const [child] = children;
    if (child === undefined) return chain;
    chain.push(child);
    parent = child.id;
  }
}

describe('a traced mesh', () => {
  let collector: SpanCollector;
  let mesh: TestMesh;
  const spansOf = (traceId: string, count: number) =>
    eventually(() => {
      const spans = collector.spans.filter((span) => span.traceId === traceId);
      return spans.length >= count && spans;
    }, `${count} spans of ${traceId}`);

  before(async () => {
    collector = await SpanCollector.start();
    mesh = await TestMesh.start(
      {
        'mesh.yaml': meshOf(
          `{ zipkin: { address: 'localhost:${collector.port}' }, sampling: 100, maxPathTagLength: 20, customTags: {
            team: { literal: { value: sails } }, who: { header: { name: User-Agent } }, where: { environment: { name: PLACE_OF_TEST } } } }`,
          `  by-b3: { namespace: shop, port: 8081, protocol: http, command: ${hopTo('b3')} }
  by-multi: { namespace: shop, port: 8082, protocol: http, command: ${hopTo('x-b3-traceid,x-b3-spanid,x-b3-sampled')} }
  by-w3c: { namespace: shop, port: 8083, protocol: http, command: ${hopTo('traceparent,tracestate')} }
  by-none: { namespace: shop, port: 8084, protocol: http, command: ${hopTo('accept')} }
  closed: { namespace: shop, port: 8085, protocol: http, command: ${hopTo()} }`,
        ),
        'strict.yaml': strict,
        'closed.yaml': `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: closed, namespace: shop }
spec: { selector: { matchLabels: { app: closed } } }
`,
      },
      { env: { PLACE_OF_TEST: 'here' } },
    );
  });
  after(async () => {
    await mesh?.close();
    await collector?.close();
  });

  it('records a request at both sides of every hop, in one tree', async () => {
    const { heard } = await call(mesh, {}, { path: '/a/path/that/is/longer' });
    const spans = await spansOf(heard[0]!['x-b3-traceid']!, 4);
    const chain = chainOf(spans);
    assert.deepEqual(
      chain.map(({ kind, name, localEndpoint }) => [kind, localEndpoint.serviceName, name]),
      [
        ['CLIENT', 'client.shop', 'web.shop.svc.cluster.local:8080/*'],
        ['SERVER', 'web.shop', 'web.shop.svc.cluster.local:8080/*'],
        ['CLIENT', 'web.shop', 'backend.data.svc.cluster.local:9080/*'],
        ['SERVER', 'backend.data', 'backend.data.svc.cluster.local:9080/*'],
      ],
    );
    for (const [i, span] of chain.entries()) {
      assert.match(span.traceId, /^[0-9a-f]{32}$/);
      assert.match(span.id, /^[0-9a-f]{16}$/);
      assert.ok(Math.abs(span.timestamp / 1000 - Date.now()) < 60_000, `${span.timestamp} is in microseconds`);
      const outer = chain[i - 1];
      if (outer !== undefined) assert.ok(span.duration <= outer.duration, 'what is inside is no longer');
    }
    const [client, server] = chain as [PostedSpan, PostedSpan];
    assert.deepEqual(client.tags, {
      component: 'proxy',
      downstream_cluster: '-',
      'guid:x-request-id': heard[0]!['x-request-id'],
      'http.method': 'GET',
      'http.protocol': 'HTTP/1.1',
      'http.status_code': '200',
      'http.url': 'http://web/a/path/that/is/long',
      'istio.canonical_revision': 'latest',
      'istio.canonical_service': 'client',
      'istio.cluster_id': 'local',
      'istio.mesh_id': 'cluster.local',
      'istio.namespace': 'shop',
      node_id: 'sidecar~127.0.0.1~client-0.shop~shop.svc.cluster.local',
      'peer.address': '127.0.0.1',
      request_size: '0',
      response_flags: '-',
      response_size: client.tags['response_size'],
      team: 'sails',
      upstream_cluster: 'outbound|8080||web.shop.svc.cluster.local',
      'upstream_cluster.name': 'outbound|8080||web.shop.svc.cluster.local',
      user_agent: 'test',
      where: 'here',
      who: 'test',
    });
    assert.ok(Number(client.tags['response_size']) > 100);
    assert.equal(server.tags['upstream_cluster'], 'inbound|8080||');
    assert.equal(server.tags['istio.canonical_service'], 'web');
  });

  it('posts lists of JSON to the API of Zipkin, over connections that stay', () => {
    for (const { method, url, headers } of collector.posts)
      assert.deepEqual(
        [method, url, headers['content-type'], headers.host],
        ['POST', '/api/v2/spans', 'application/json', `localhost:${collector.port}`],
      );
    assert.ok(collector.connections <= mesh.run.workloads.length, `${collector.connections} connections`);
  });

  it('tells every application where it stands, in B3 and W3C', async () => {
    const { heard } = await call(mesh);
    const [web, backend] = heard as [Heard, Heard];
    const chain = chainOf(await spansOf(web['x-b3-traceid']!, 4));
    for (const [headers, span] of [
      [web, chain[1]!],
      [backend, chain[3]!],
    ] as const) {
      assert.deepEqual(
        [headers['x-b3-traceid'], headers['x-b3-spanid'], headers['x-b3-parentspanid'], headers['x-b3-sampled']],
        [span.traceId, span.id, span.parentId, '1'],
      );
      assert.equal(headers['traceparent'], `00-${span.traceId}-${span.id}-01`);
      assert.equal(headers['b3'], undefined);
      assert.equal(headers['x-envoy-decorator-operation'], undefined);
      assert.equal(headers['x-request-id'], web['x-request-id']);
    }
    assert.equal(web['x-request-id']![14], '9', 'the request id tells that the request is traced');
  });

  it('marks what failed', async () => {
    const { status, heard } = await call(mesh, {}, { path: '/status/503' });
    assert.equal(status, 503);
    for (const { tags } of await spansOf(heard[0]!['x-b3-traceid']!, 4))
      assert.deepEqual([tags['http.status_code'], tags['error']], ['503', 'true']);
    const fine = await call(mesh, {}, { path: '/status/404' });
    for (const { tags } of await spansOf(fine.heard[0]!['x-b3-traceid']!, 4))
      assert.deepEqual([tags['http.status_code'], tags['error']], ['404', undefined]);
  });

  for (const [form, headersOf] of [
    ['B3 in several headers', (id) => ({ 'x-b3-traceid': id, 'x-b3-spanid': callerSpan, 'x-b3-sampled': '1' })],
    ['B3 in one header', (id) => ({ b3: `${id}-${callerSpan}-1` })],
    ['W3C', (id) => ({ traceparent: `00-${id}-${callerSpan}-01`, tracestate: 'vendor=x' })],
  ] satisfies [string, (id: string) => Record<string, string>][])
    it(`continues the trace of a caller who says it by ${form}`, async () => {
      const traceId = freshTraceId();
      const { heard } = await call(mesh, headersOf(traceId));
      const chain = chainOf(await spansOf(traceId, 4), callerSpan);
      assert.equal(chain.length, 4);
      for (const headers of heard) {
        assert.equal(headers['x-b3-traceid'], traceId);
        assert.ok(headers['traceparent']!.startsWith(`00-${traceId}-`));
        assert.equal(headers['tracestate'], form === 'W3C' ? 'vendor=x' : undefined);
        assert.equal(headers['b3']?.split('-')[0], form === 'B3 in one header' ? traceId : undefined);
      }
    });

  for (const [service, headers, what] of [
    ['by-multi', {}, 'B3 in several headers'],
    ['by-w3c', {}, 'W3C'],
    ['by-b3', { b3: '1' }, 'B3 in one header, which its caller used'],
  ] satisfies [string, Record<string, string>, string][])
    it(`joins the calls of an application that forwards only ${what}`, async () => {
      const { heard } = await call(mesh, headers, { service });
      assert.equal(chainOf(await spansOf(heard[0]!['x-b3-traceid']!, 4)).length, 4);
    });

  it('has two traces where an application forwards nothing', async () => {
    const { heard } = await call(mesh, {}, { service: 'by-none' });
    const [first, second] = heard.map((headers) => headers['x-b3-traceid']!) as [string, string];
    assert.notEqual(first, second);
    assert.equal(chainOf(await spansOf(first, 2)).length, 2);
    assert.equal(chainOf(await spansOf(second, 2)).length, 2);
  });

  it('keeps a trace of 64 bits as it is', async () => {
    const traceId = freshTraceId().slice(16);
    const { heard } = await call(mesh, { 'x-b3-traceid': traceId, 'x-b3-spanid': callerSpan });
    assert.equal(chainOf(await spansOf(traceId, 4), callerSpan).length, 4);
    assert.ok(heard[1]!['traceparent']!.startsWith(`00-0000000000000000${traceId}-`));
  });

  it('records nothing of what the caller wants unrecorded, and says so on', async () => {
    const silent = [
      { traceparent: `00-${freshTraceId()}-${callerSpan}-00` },
      { b3: `${freshTraceId()}-${callerSpan}-0` },
      { 'x-b3-traceid': freshTraceId(), 'x-b3-spanid': callerSpan, 'x-b3-sampled': '0' },
      { 'x-b3-sampled': '0' },
    ];
    const traces: string[] = [];
    for (const headers of silent) {
      const { heard } = await call(mesh, headers as Record<string, string>);
      for (const asked of heard) {
        assert.equal(asked['x-b3-sampled'], '0');
        assert.ok(asked['traceparent']!.endsWith('-00'));
      }
      assert.equal(heard[0]!['x-b3-traceid'], heard[1]!['x-b3-traceid']);
      traces.push(heard[0]!['x-b3-traceid']!);
    }
    const { heard } = await call(mesh); // what comes later is sent later
    await spansOf(heard[0]!['x-b3-traceid']!, 4);
    assert.deepEqual(
      collector.spans.filter(({ traceId }) => traces.includes(traceId)),
      [],
    );
  });

  it('begins a trace of its own where the caller names none that could be', async () => {
    for (const traceparent of ['00-00000000000000000000000000000000-a2fb4a1d1a96d312-01', 'x'.repeat(5000), 'ff', '']) {
      const { status, heard } = await call(mesh, { traceparent, tracestate: 'vendor=x' });
      assert.equal(status, 200);
      const chain = chainOf(await spansOf(heard[0]!['x-b3-traceid']!, 4));
      assert.equal(chain.length, 4, JSON.stringify(traceparent));
      assert.equal(heard[0]!['tracestate'], undefined);
    }
  });

  it('records requests that a policy denies, at both sides', async () => {
    const traceId = freshTraceId();
    const headers = { 'user-agent': 'test', 'x-b3-traceid': traceId, 'x-b3-spanid': callerSpan, 'x-b3-sampled': '1' };
    const port = mesh.workload('client-0').upstreams['closed']!;
    assert.equal((await request({ port, headers })).status, 403);
    assert.deepEqual(
      chainOf(await spansOf(traceId, 2), callerSpan).map(({ kind, localEndpoint, name, tags }) => [
        kind,
        localEndpoint.serviceName,
        name,
        tags['http.status_code'],
      ]),
      [
        ['CLIENT', 'client.shop', 'closed.shop.svc.cluster.local:8085/*', '403'],
        ['SERVER', 'closed.shop', 'closed.shop.svc.cluster.local:8085/*', '403'],
      ],
    );
  });

  it('records requests that no route takes', async () => {
    const traceId = freshTraceId();
    const { port } = mesh.workload('client-0').outboundHttp;
    const { status } = await request({ port, headers: { host: 'nowhere', b3: `${traceId}-${callerSpan}-1` } });
    assert.equal(status, 404);
    const [span] = await spansOf(traceId, 1);
    assert.deepEqual(
      [span!.name, span!.parentId, span!.tags['response_flags'], span!.tags['upstream_cluster']],
      ['egress nowhere', callerSpan, 'NR', undefined],
    );
  });

  it('sends what it holds before it ends', async () => {
    const traceId = freshTraceId();
    await call(mesh, { b3: `${traceId}-${callerSpan}-1` });
    await mesh.stop();
    assert.equal(collector.spans.filter((span) => span.traceId === traceId).length, 4);
  });
});

describe('a mesh that samples nothing', () => {
  let collector: SpanCollector;
  let mesh: TestMesh;
  before(async () => {
    collector = await SpanCollector.start();
    mesh = await TestMesh.start({
      'mesh.yaml': meshOf(`{ zipkin: { address: '127.0.0.1:${collector.port}' }, sampling: 0 }`),
      'strict.yaml': strict,
    });
  });
  after(async () => {
    await mesh?.close();
    await collector?.close();
  });

  it('passes traces on and records only those that the caller wants recorded', async () => {
    for (let i = 0; i < 20; i++) {
      const { heard } = await call(mesh);
      const [web, backend] = heard as [Heard, Heard];
      assert.match(web['x-b3-traceid']!, /^[0-9a-f]{32}$/);
      assert.equal(backend['x-b3-traceid'], web['x-b3-traceid']);
      assert.equal(backend['x-b3-sampled'], '0');
      assert.ok(backend['traceparent']!.startsWith(`00-${web['x-b3-traceid']}-`));
    }
    const traceId = freshTraceId();
    await call(mesh, { b3: `${traceId}-${callerSpan}-d` });
    await eventually(() => collector.spans.filter((span) => span.traceId === traceId).length === 4, 'four spans');
    assert.deepEqual(
      collector.spans.map((span) => [span.traceId, span.debug]),
      Array.from({ length: 4 }, () => [traceId, true]),
    );
  });

  it('passes the caller of an application on unchanged where no collector is named', async () => {
    mesh.write({ 'mesh.yaml': meshOf('{ sampling: 100 }') });
    const traceId = freshTraceId();
    const { heard } = await eventually(async () => {
      const answer = await call(mesh, { traceparent: `00-${traceId}-${callerSpan}-01` });
      return answer.heard.every((headers) => headers['x-b3-spanid'] === callerSpan) && answer;
    }, 'the caller is passed on');
    for (const headers of heard) assert.equal(headers['traceparent'], `00-${traceId}-${callerSpan}-01`);
    const made = await call(mesh);
    assert.equal(made.heard[0]!['x-b3-traceid'], made.heard[1]!['x-b3-traceid']);
    assert.match(made.heard[0]!['traceparent']!, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  });

  it('leaves trace headers alone where tracing is off', async () => {
    mesh.write({
      'mesh.yaml': meshOf('{ sampling: 100 }').replace('meshConfig: {', 'meshConfig: { enableTracing: false,'),
    });
    await eventually(async () => {
      const { heard } = await call(mesh);
      return heard.every((headers) => headers['traceparent'] === undefined);
    }, 'no trace headers are made');
    const { heard } = await call(mesh, { b3: '0', 'x-b3-flags': 'odd' });
    for (const headers of heard) assert.deepEqual([headers['b3'], headers['x-b3-flags']], ['0', 'odd']);
  });
});

describe('a mesh whose collector', () => {
  let mesh: TestMesh;
  let collector: SpanCollector;
  before(async () => {
    collector = await SpanCollector.start();
    const { port } = collector;
    await collector.close();
    mesh = await TestMesh.start({
      'mesh.yaml': meshOf(`{ zipkin: { address: '127.0.0.1:${port}' }, sampling: 100 }`),
      'strict.yaml': strict,
    });
  });
  after(() => mesh?.close());

  const load = async (until: () => Promise<boolean>) => {
    const port = mesh.workload('client-0').upstreams['web']!;
    const steady = new SteadyLoad(200, () => ({ port, path: '/' }));
    await eventually(until, 'enough spans are dropped');
    return steady.stop();
  };
  const dropped = async () => sumOf(await scrape(mesh.run.url), 'lateen_spans_dropped_total', {});

  it('is down answers every request, and counts and tells the spans that are lost', async () => {
    const { outcomes, total } = await load(async () => (await dropped()) > 200);
    assert.deepEqual([...outcomes], [['200', total]]);
    assert.match(mesh.output, /cannot send spans.*ECONNREFUSED/);
  });

  it('takes connections and never answers does so too', async () => {
    const mute = net.createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => mute.once('listening', resolve));
    const { port } = mute.address() as net.AddressInfo;
    const connected = new Promise((resolve) => mute.once('connection', resolve));
    mesh.write({ 'mesh.yaml': meshOf(`{ zipkin: { address: '127.0.0.1:${port}' }, sampling: 100 }`) });
    const before = await dropped();
    const { outcomes, total } = await load(async () => {
      await connected;
      return (await dropped()) > before;
    });
    assert.deepEqual([...outcomes], [['200', total]]);
    await mesh.stop();
    mute.close();
  });
});
