// A request's place in its trace: who decides whether it is recorded, what its span says, what the next one is told.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { policiesOf } from '../../../../test/harness/authorization.js';
import { closeProxies, forwarded, get, ok, proxy, type ProxyOptions } from '../../../../test/harness/memory-proxy.js';
import { settle } from '../../../../test/harness/memory-socket.js';
import type { Span } from '../../../telemetry/spans/span.js';
import type { TracingSettings } from '../tracing.js';

afterEach(closeProxies);

const proved = { security: 'mutual_tls' } as const;
const traceId = '463ac35c9f6413ad48485a3953bb6124';
const spanId = 'a2fb4a1d1a96d312';
const uuid = (first: string, reason = '4') => `${first}-0000-${reason}000-8000-000000000000`;

/** A proxy that traces, and the spans that it reports. */
function traced(tracing: Partial<TracingSettings> = {}, options: ProxyOptions = {}) {
  const spans: Span[] = [];
  const settings: TracingSettings = {
    clientShare: 10_000,
    randomShare: 10_000,
    overallShare: 10_000,
    longIds: true,
    maxPathTagLength: 256,
    customTags: [],
    report: (span) => spans.push(span),
    ...tracing,
  };
  return { spans, options: { ...options, settings: { ...options.settings, tracing: settings } } };
}

/** Sends a request and answers it; the spans, and the headers that the server got. */
async function exchange(
  fields: readonly string[],
  tracing: Partial<TracingSettings> = {},
  options: ProxyOptions = {},
  { path = '/', answer = ok() } = {},
): Promise<{ spans: Span[]; headers: Record<string, string> }> {
  const { spans, options: all } = traced(tracing, options);
  const through = proxy(all);
  await through.send(get(path, ...fields));
  const server = await through.connect();
  server.receive(answer);
  await settle();
  const lines = server.sent.split('\r\n').slice(1);
  return { spans, headers: Object.fromEntries(lines.filter((line) => line !== '').map((line) => line.split(': '))) };
}

const sampledOf = async (fields: readonly string[], tracing: Partial<TracingSettings>, options?: ProxyOptions) => {
  const { spans, headers } = await exchange(fields, tracing, options);
  assert.equal(headers['x-b3-sampled'], String(spans.length));
  assert.ok(headers['traceparent']!.endsWith(`-0${spans.length}`));
  return { sampled: spans.length === 1, id: headers['x-request-id'] };
};

describe('whether a request is recorded', () => {
  it('follows from its id, so that every proxy comes to the same result', async () => {
    // 0x270f is 9999, 0x2710 is 10000 and so 0 of ten thousand.
    for (const [first, share, sampled] of [
      ['0000270f', 9999, false],
      ['0000270f', 10_000, true],
      ['00002710', 1, true],
      ['00000001', 1, false],
    ] as const)
      assert.equal(
        (await sampledOf([`x-request-id: ${uuid(first)}`], { randomShare: share })).sampled,
        sampled,
        `${first} of ${share}`,
      );
  });
  it('follows from chance where the id is no number', async () => {
    for (const [point, sampled] of [
      [0.0099, true],
      [0.01, false],
    ] as const)
      assert.equal(
        (await sampledOf(['x-request-id: mine'], { randomShare: 100 }, { random: () => point })).sampled,
        sampled,
      );
  });
  it('is marked in an id that is a UUID, and only there', async () => {
    const marked = await sampledOf([`x-request-id: ${uuid('00000000')}`], { randomShare: 1 });
    assert.equal(marked.id, uuid('00000000', '9'));
    assert.equal((await sampledOf(['x-request-id: 00000000'], { randomShare: 1 })).id, '00000000');
    const unmarked = await sampledOf([`x-request-id: ${uuid('00000000')}`], { randomShare: 0 });
    assert.deepEqual(unmarked, { sampled: false, id: uuid('00000000') });
  });
  it('was decided before where the id is marked', async () => {
    for (const reason of ['9', 'a', 'b'])
      assert.equal((await sampledOf([`x-request-id: ${uuid('00000001', reason)}`], { randomShare: 0 })).sampled, true);
  });
  it('can be asked for from outside, within the share for that', async () => {
    const asked = [`x-request-id: ${uuid('00000001')}`, 'x-client-trace-id: me'];
    const { sampled, id } = await sampledOf(asked, { randomShare: 0 });
    assert.deepEqual([sampled, id], [true, uuid('00000001', 'b')]);
    assert.equal((await sampledOf(asked, { randomShare: 0, clientShare: 1 })).sampled, false);
    const forced = [`x-request-id: ${uuid('00000001')}`, 'x-envoy-force-trace: true'];
    assert.equal((await sampledOf(forced, { randomShare: 0 })).id, uuid('00000001', 'a'));
  });
  it('is bounded by the share of all', async () => {
    const { sampled, id } = await sampledOf([`x-request-id: ${uuid('00000001', '9')}`], { overallShare: 1 });
    assert.deepEqual([sampled, id], [false, uuid('00000001')]);
  });
  it('is what the caller decided, whatever any share says', async () => {
    assert.equal((await sampledOf([`b3: ${traceId}-${spanId}-0`], {})).sampled, false);
    assert.equal((await sampledOf([`traceparent: 00-${traceId}-${spanId}-01`], { randomShare: 0 })).sampled, true);
    assert.equal((await sampledOf(['x-b3-sampled: 1'], { randomShare: 0, overallShare: 0 })).sampled, true);
    assert.equal(
      (await sampledOf([`x-b3-traceid: ${traceId}`, `x-b3-spanid: ${spanId}`], { randomShare: 0 })).sampled,
      false,
    );
  });
});

describe('the span', () => {
  it('is the child of what the caller named, and the parent of what is called', async () => {
    const { spans, headers } = await exchange([`traceparent: 00-${traceId}-${spanId}-01`]);
    const [span] = spans as [Span];
    assert.deepEqual([span.traceId, span.parentId, span.kind], [traceId, spanId, 'CLIENT']);
    assert.deepEqual(
      [headers['x-b3-traceid'], headers['x-b3-spanid'], headers['x-b3-parentspanid'], headers['traceparent']],
      [traceId, span.id, spanId, `00-${traceId}-${span.id}-01`],
    );
  });
  it('of a caller who named none is a root, with an id as long as configured', async () => {
    const { spans, headers } = await exchange([]);
    assert.match(spans[0]!.traceId, /^[0-9a-f]{32}$/);
    assert.deepEqual([spans[0]!.parentId, headers['x-b3-parentspanid']], [undefined, undefined]);
    assert.match((await exchange([], { longIds: false })).spans[0]!.traceId, /^[0-9a-f]{16}$/);
  });
  it('has the name of its route, and tells it to the server', async () => {
    const routes = [{ match: { prefix: '/' }, decorator: { operation: 'shop:80/*' }, route: { cluster: 'c' } }];
    const { spans, headers } = await exchange(['x-envoy-decorator-operation: mine'], {}, { routes });
    assert.deepEqual([spans[0]!.name, headers['x-envoy-decorator-operation']], ['shop:80/*', 'shop:80/*']);
    const kept = [{ ...routes[0]!, decorator: { operation: 'shop:80/*', propagate: false } }];
    assert.equal((await exchange([], {}, { routes: kept })).headers['x-envoy-decorator-operation'], undefined);
  });
  it('has a name of its own where its route has none', async () => {
    assert.equal((await exchange([])).spans[0]!.name, 'egress shop');
    assert.equal((await exchange([], {}, { settings: { direction: 'inbound' } })).spans[0]!.name, 'ingress');
  });
  it('of a server has the name that the caller gives it, where a certificate proves who that is', async () => {
    const fields = ['x-envoy-decorator-operation: shop:80/a'];
    const settings = { direction: 'inbound' } as const;
    const proved = await exchange(fields, {}, { settings, info: { security: 'mutual_tls' } });
    assert.deepEqual([proved.spans[0]!.kind, proved.spans[0]!.name], ['SERVER', 'shop:80/a']);
    const plain = await exchange(fields, {}, { settings });
    assert.equal(plain.spans[0]!.name, 'ingress');
    for (const { headers } of [proved, plain]) assert.equal(headers['x-envoy-decorator-operation'], undefined);
  });
  it('tells what was asked and answered', async () => {
    const fields = ['User-Agent: me', 'X-Request-Id: mine', 'X-Forwarded-Proto: https', 'X-Client-Trace-Id: ours'];
    const { spans } = await exchange(fields, { maxPathTagLength: 4 }, {}, { path: '/long?er', answer: ok('hello') });
    assert.deepEqual(
      { ...spans[0]!.tags },
      {
        component: 'proxy',
        downstream_cluster: '-',
        'guid:x-client-trace-id': 'ours',
        'guid:x-request-id': 'mine',
        'http.method': 'GET',
        'http.protocol': 'HTTP/1.1',
        'http.status_code': '200',
        'http.url': 'https://shop/lon',
        'peer.address': '127.0.0.1',
        request_size: '0',
        response_flags: '-',
        response_size: '5',
        upstream_cluster: 'c',
        'upstream_cluster.name': 'c',
        user_agent: 'me',
      },
    );
  });
  it('tells the path that was asked for, not what a route made of it', async () => {
    const routes = [{ match: { prefix: '/a' }, route: { cluster: 'c', prefixRewrite: '/b' } }];
    const { spans } = await exchange([], {}, { routes }, { path: '/a/c' });
    assert.equal(spans[0]!.tags['http.url'], 'http://shop/a/c');
  });
  it('has the tags that are configured, without those that are empty', async () => {
    const customTags = [
      { name: 'literal', valueOf: () => 'x' },
      { name: 'empty', valueOf: () => '' },
      { name: '__proto__', valueOf: () => 'odd' },
    ];
    const { tags } = (await exchange([], { customTags })).spans[0]!;
    assert.equal(tags['literal'], 'x');
    assert.ok(!('empty' in tags));
    assert.match(JSON.stringify(tags), /"__proto__":"odd"/);
  });
  it('is an error where the answer is one of the server, or none', async () => {
    const errorOf = async (answer: string) => (await exchange([], {}, {}, { answer })).spans[0]!.tags['error'];
    assert.equal(await errorOf('HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n'), 'true');
    assert.equal(await errorOf('HTTP/1.1 404 None\r\ncontent-length: 0\r\n\r\n'), undefined);
    const { spans, options } = traced();
    const through = proxy(options);
    await through.send(get());
    await through.connect();
    through.caller.destroy();
    await settle();
    const { tags } = spans[0]!;
    assert.deepEqual([tags['http.status_code'], tags['response_flags'], tags['error']], ['0', 'DC', 'true']);
  });
  it('of gRPC tells what was called and how it ended, and is an error where the status blames the server', async () => {
    const fields = ['Content-Type: application/grpc+proto', 'grpc-timeout: 1S'];
    for (const [answer, status, message, error] of [
      [ok('', 'grpc-status: 14', 'grpc-message: away'), '14', 'away', 'true'],
      ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\ngrpc-status: 13\r\n\r\n', '13', undefined, 'true'],
      [ok('', 'grpc-status: 5'), '5', undefined, undefined],
      [ok(), undefined, undefined, undefined],
    ] as const) {
      const { tags } = (await exchange(fields, {}, {}, { path: '/s/M', answer })).spans[0]!;
      assert.deepEqual(
        Object.entries(tags).filter(([name]) => name.startsWith('grpc.') || name === 'error'),
        Object.entries({
          'grpc.path': '/s/M',
          'grpc.authority': 'shop',
          'grpc.content_type': 'application/grpc+proto',
          'grpc.timeout': '1S',
          'grpc.status_code': status,
          'grpc.message': message,
          error,
        }).filter(([, value]) => value !== undefined),
      );
    }
  });
  it('is there for what a layer before it answers, still in the trace of the caller', async () => {
    const { spans, options } = traced({}, { domains: ['other'] });
    await proxy(options).send(get('/', `b3: ${traceId}-${spanId}-1`));
    const [span] = spans as [Span];
    assert.deepEqual([span.parentId, span.tags['http.status_code']], [spanId, '404']);
  });
  it('is there for what a policy denies, with the name that the caller gave it', async () => {
    const { spans, options } = traced(
      {},
      { settings: { direction: 'inbound', policies: policiesOf({})! }, info: proved },
    );
    await proxy(options).send(get('/', `b3: ${traceId}-${spanId}-1`, 'x-envoy-decorator-operation: web/*'));
    const [span] = spans as [Span];
    assert.deepEqual(
      [span.kind, span.parentId, span.name, span.tags['http.status_code']],
      ['SERVER', spanId, 'web/*', '403'],
    );
  });
  it('is not there for what could not be read', async () => {
    const { spans, options } = traced();
    await proxy(options).send('NONSENSE\r\n\r\n');
    assert.deepEqual(spans, []);
  });
});

describe('where no collector is configured', () => {
  it('the caller is passed on, in every form', async () => {
    const { headers } = await exchange([`b3: ${traceId}-${spanId}-1`], { report: undefined });
    assert.deepEqual(
      [headers['x-b3-traceid'], headers['x-b3-spanid'], headers['x-b3-sampled'], headers['b3'], headers['traceparent']],
      [traceId, spanId, '1', `${traceId}-${spanId}-1`, `00-${traceId}-${spanId}-01`],
    );
  });
  it('a caller who names none begins a trace', async () => {
    const { headers } = await exchange([], { report: undefined });
    assert.match(headers['traceparent']!, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  });
});

it('where tracing is not configured headers pass as they are', async () => {
  const lines = await forwarded({}, get('/', 'B3: odd', 'Traceparent: odd', 'Tracestate: a'));
  assert.deepEqual(lines.slice(2, 5), ['b3: odd', 'traceparent: odd', 'tracestate: a']);
  assert.ok(!lines.some((line) => line.startsWith('x-b3')));
});
