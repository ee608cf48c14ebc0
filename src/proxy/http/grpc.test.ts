// gRPC through a proxy: failures that it can read, labels that tell how calls ended, statuses that decide.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { closeProxies, get, ok, proxy, type Proxy, type ProxyOptions } from '../../../test/harness/memory-proxy.js';
import { settle } from '../../../test/harness/memory-socket.js';
import { policiesOf } from '../../../test/harness/authorization.js';
import { unlimitedConnections as unlimited } from '../../../test/harness/connections.js';

afterEach(closeProxies);

const call = get('/shop.Cart/Add', 'Content-Type: application/grpc');
const web = get('/shop.Cart/Add', 'Content-Type: application/grpc-web+proto');
/** An answer with a body of chunks and trailers. */
const streamed = (body: string, ...trailers: string[]) =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n` +
  `${body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`;
const message = (text: string) => `\0\0\0\0${String.fromCharCode(text.length)}${text}`;

async function answeredWith(answer: string, options: ProxyOptions = {}, request = call): Promise<Proxy> {
  const through = proxy(options);
  await through.send(request);
  (await through.connect()).receive(answer);
  await settle();
  return through;
}

/** Protocol, code, gRPC status and flags of the only request. */
function outcome(through: Proxy): (string | undefined)[] {
  const [labels] = through.labels();
  return ['request_protocol', 'response_code', 'grpc_response_status', 'response_flags'].map((name) => labels![name]);
}

function counted(through: Proxy, name: string): number | undefined {
  return through.registry.all.find((series) => series.name === name)?.values[0];
}

describe('a failure', () => {
  const any = [{ any: true }];
  const denyAll = policiesOf({ action: 'DENY', policies: { all: { permissions: any, principals: any } } })!;
  const none = unlimited.limits;
  for (const [what, options, status, text, flags] of [
    ['without a route', { routes: [] }, 12, /^lateen: no rule for the host shop matches GET \/shop\.Cart\/Add;/, 'NR'],
    ['without a cluster', { clusters: {} }, 14, /^lateen: .* sent to c, which does not exist/, 'NC'],
    ['without an endpoint', { clusters: { c: false } }, 14, /^no healthy upstream%0Alateen: no instance of/, 'UH'],
    [
      'of too many requests',
      { clusterConfig: { limits: { ...none, maxRequests: 0 } } },
      14,
      /reset reason: overflow%0A/,
      'UO',
    ],
    ['of permission', { settings: { policies: denyAll, direction: 'inbound' } }, 7, /^RBAC: access denied$/, '-'],
  ] satisfies [string, ProxyOptions, number, RegExp, string][])
    it(`${what} is an answer of gRPC's`, async () => {
      const through = proxy(options);
      const answer = await through.send(call);
      assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*content-length: 0\r\n\r\n$/);
      assert.match(answer, /\r\ncontent-type: application\/grpc\r\n/);
      assert.match(answer, new RegExp(`\\r\\ngrpc-status: ${status}\\r\\n`));
      assert.match(/\r\ngrpc-message: ([^\r]*)\r\n/.exec(answer)![1]!, text);
      assert.deepEqual(outcome(through), ['grpc', '200', String(status), flags]);
    });
  it('to connect is one too, and a server that is lost before it answers', async () => {
    for (const happen of [
      (through: Proxy) => through.refuse(),
      async (through: Proxy) => {
        (await through.connect()).receiveEnd();
        await settle();
      },
    ]) {
      const through = proxy();
      await through.send(call);
      await happen(through);
      assert.match(
        through.caller.sent,
        /\r\ngrpc-status: 14\r\ngrpc-message: upstream connect error .*%0Alateen: the inst/,
      );
    }
  });
  it('of our own code is one too: INTERNAL', async () => {
    const through = proxy({
      random: () => {
        throw new Error('ours');
      },
      routes: [
        {
          match: { prefix: '/' },
          route: {
            weightedClusters: {
              clusters: [
                { name: 'c', weight: 1 },
                { name: 'd', weight: 1 },
              ],
            },
          },
        },
      ],
    });
    assert.match(await through.send(call), /\r\ngrpc-status: 13\r\n/);
    assert.equal(through.internalErrors.length, 1);
  });
  it('behind messages that were passed on is a status in trailers', async () => {
    const through = await answeredWith(
      'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n6\r\n\0\0\0\0\x01a\r\n',
    );
    through.servers[0]!.destroy();
    await settle();
    assert.match(
      through.caller.sent,
      /\r\n0\r\ngrpc-status: 14\r\ngrpc-message: upstream .*reset after headers\. reset reason: connection termination\r\n\r\n$/,
    );
    assert.deepEqual(outcome(through), ['grpc', '200', '14', 'UC']);
    assert.match(through.logged[0]!.responseCodeDetails!, /^upstream_reset_after_response_started/);
  });
  it('within a message, or of an answer with a length, breaks it off: nobody takes it for whole', async () => {
    for (const answer of [
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n\0\0\0\0\x02a\r\n',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n\0\0\0\r\n',
      'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n\0\0\0\0\x01a',
    ]) {
      const through = await answeredWith(answer);
      through.servers[0]!.destroy();
      await settle();
      assert.equal(through.caller.destroyed, true);
      assert.deepEqual(outcome(through), ['grpc', '200', '2', 'UC']);
    }
  });
  it('of gRPC-Web is told as HTTP, which its clients read', async () => {
    const through = proxy({ clusters: { c: false } });
    assert.match(await through.send(web), /^HTTP\/1\.1 503 [^]*\r\n\r\nno healthy upstream\n/);
    assert.deepEqual(outcome(through), ['http', '503', '', 'UH']);
  });
});

it('a fixed answer of a route is one of gRPC', async () => {
  const directResponse = { status: 429, body: { inlineString: 'später' } };
  const through = proxy({ routes: [{ match: { prefix: '/' }, directResponse }] });
  assert.match(await through.send(call), /^HTTP\/1\.1 200 [^]*\r\ngrpc-status: 14\r\ngrpc-message: sp%C3%A4ter\r\n/);
});

describe('a call', () => {
  it('ends as its trailers say, which pass as they are', async () => {
    const through = await answeredWith(streamed(message('hi'), 'grpc-status: 5', 'grpc-message: gone', 'x-bin: AAE='));
    assert.match(through.caller.sent, /\r\n0\r\ngrpc-status: 5\r\ngrpc-message: gone\r\nx-bin: AAE=\r\n\r\n$/);
    assert.deepEqual(outcome(through), ['grpc', '200', '5', '-']);
    assert.equal(through.logged[0]!.grpcStatus, 5);
  });
  it('ends as its headers say where it has nothing else', async () => {
    const through = await answeredWith(ok('', 'content-type: application/grpc', 'grpc-status: 16'));
    assert.deepEqual(outcome(through), ['grpc', '200', '16', '-']);
  });
  it('without a status ends as HTTP says, as in Istio', async () => {
    assert.equal(outcome(await answeredWith(streamed(message('hi'))))[2], '2');
    assert.equal(outcome(await answeredWith('HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n'))[2], '14');
  });
  it('with a status that nobody knows is one series, whatever the number', async () => {
    for (const status of ['99', '100', 'x'])
      assert.equal(outcome(await answeredWith(streamed('', `grpc-status: ${status}`)))[2], '-1');
  });
  it('that its caller gives up has no status before an answer, and cancels what is under way', async () => {
    const through = proxy();
    await through.send(call);
    const server = await through.connect();
    through.caller.destroy();
    await settle();
    assert.equal(server.destroyed, true);
    assert.deepEqual(outcome(through), ['grpc', '0', '', 'DC']);
  });
  it('that its caller gives up in mid-stream cancels what is under way', async () => {
    const through = await answeredWith(
      'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n5\r\n\0\0\0\0\0\r\n',
    );
    through.caller.destroy();
    await settle();
    assert.equal(through.servers[0]!.destroyed, true);
    assert.deepEqual(outcome(through), ['grpc', '200', '2', 'DC']);
  });
  it('of gRPC-Web passes as it is and counts as HTTP', async () => {
    const body = '\x80\0\0\0\x10grpc-status: 13\r\n';
    const through = await answeredWith(ok(body, 'content-type: application/grpc-web+proto'), {}, web);
    assert.ok(through.caller.sent.endsWith(body));
    assert.deepEqual(outcome(through), ['http', '200', '', '-']);
    assert.equal(counted(through, 'istio_response_messages_total'), undefined);
  });
});

describe('messages', () => {
  const post =
    'POST /s/M HTTP/1.1\r\nHost: shop\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n';
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
  it('are counted both ways while a stream lasts', async () => {
    const through = proxy();
    await through.send(post + chunk(message('a') + message('b').slice(0, 3)));
    const server = await through.connect();
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n';
    server.receive(head + chunk(message('x')));
    await settle();
    const seen = () => ['request', 'response'].map((way) => counted(through, `istio_${way}_messages_total`));
    assert.deepEqual(seen(), [1, 1]);
    await through.send(chunk(message('b').slice(3) + message('c')));
    server.receive(chunk(message('y') + message('z')));
    await settle();
    assert.deepEqual(seen(), [3, 3]);
    await through.send('0\r\n\r\n');
    server.receive('0\r\ngrpc-status: 0\r\n\r\n');
    await settle();
    assert.deepEqual([...seen(), ...outcome(through)], [3, 3, 'grpc', '200', '0', '-']);
  });
  it('are labelled with who called whom, and nothing else, as by Istio', async () => {
    const through = await answeredWith(streamed('', 'grpc-status: 0'));
    const { labels } = through.registry.all.find(({ name }) => name === 'istio_request_messages_total')!;
    const names = labels.filter((_, i) => i % 2 === 0);
    assert.deepEqual([names[0], names.at(-1), names.length], ['reporter', 'destination_cluster', 20]);
  });
  it('with a length of 4 GB or a flag that means nothing pass like any other', async () => {
    const odd = '\x01\xff\xff\xff\xff0123456789';
    const through = await answeredWith(streamed(odd, 'grpc-status: 13'));
    assert.ok(through.caller.sent.includes(odd));
    assert.deepEqual([counted(through, 'istio_response_messages_total'), outcome(through)[2]], [1, '13']);
  });
});

describe('an endpoint', () => {
  const ejecting: ProxyOptions = {
    endpoints: 2,
    clusterConfig: {
      outlierDetection: {
        consecutive5xx: 1,
        consecutiveGatewayFailure: 0,
        consecutiveLocalOriginFailure: 0,
        splitExternalLocalOrigin: false,
        intervalMs: 1e6,
        baseEjectionMs: 1e6,
        maxEjectionMs: 1e6,
        maxEjectionPercent: 100,
        alwaysEjectOne: true,
        panicThresholdPercent: 0,
      },
    },
  };
  const ejected = (through: Proxy) => through.clusters.get('c')!.outliers!.ejected;
  for (const [answer, request, expected] of [
    [ok('', 'grpc-status: 14'), call, 1],
    [ok('', 'grpc-status: 13'), call, 1],
    [ok('', 'grpc-status: 5'), call, 0],
    [streamed('', 'grpc-status: 14'), call, 0],
    [ok('', 'grpc-status: 14'), get(), 0],
  ] as const)
    it(`is ${expected === 1 ? '' : 'not '}ejected for ${JSON.stringify(answer.split('\r\n').slice(1))} to ${request.slice(0, 9)}`, async () =>
      assert.equal(ejected(await answeredWith(answer, ejecting, request)), expected));
});
