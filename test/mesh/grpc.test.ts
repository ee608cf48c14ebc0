// gRPC between applications and through both proxies: every kind of call, deadlines, cancellation, failures, labels.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { EchoClient, outcomeOf } from '../harness/grpc.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const server = JSON.stringify(app('grpc-server.mjs'));
const files = {
  'mesh.yaml': `
meshConfig:
  accessLogFile: access.log
  accessLogFormat: "%REQ(:PATH)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %GRPC_STATUS% %GRPC_STATUS_NUMBER% %UPSTREAM_CLUSTER_RAW%\\n"
services:
  plain: { port: 50051, protocol: grpc, command: ${server} }
  timed: { port: 50052, protocol: grpc, command: ${server} }
  tried: { port: 50053, protocol: grpc, command: ${server} }
  broken: { port: 50054, protocol: grpc, command: ${server} }
  closed: { port: 50055, protocol: grpc, command: ${server} }
  gone: { port: 50056, protocol: grpc, address: "127.0.0.1:1" }
  client: { command: sleep 1000 }
`,
  'objects.yaml': `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: plain }
spec: { hosts: [plain], http: [{ route: [{ destination: { host: plain } }], retries: { attempts: 0 } }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: timed }
spec: { hosts: [timed], http: [{ route: [{ destination: { host: timed } }], timeout: 1s, retries: { attempts: 0 } }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: tried }
spec: { hosts: [tried], http: [{ route: [{ destination: { host: tried } }], retries: { attempts: 2, retryOn: "resource-exhausted" } }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: broken }
spec:
  hosts: [broken]
  http: [{ route: [{ destination: { host: broken } }], fault: { abort: { grpcStatus: NOT_FOUND, percentage: { value: 100 } } } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: closed }
spec: { selector: { matchLabels: { app: closed } }, action: DENY, rules: [{ to: [{ operation: { paths: ["/test.Echo/Unary"] } }] }] }
`,
};

describe('gRPC through a pair of proxies with mTLS', () => {
  let mesh: TestMesh;
  const clients = new Map<string, EchoClient>();
  const of = (service: string): EchoClient => {
    let client = clients.get(service);
    if (client === undefined)
      clients.set(service, (client = new EchoClient(mesh.workload('client-0').upstreams[service]!)));
    return client;
  };
  const state = async (service: string) =>
    JSON.parse((await of(service).call('Unary', ['state'])).messages[0]!.toString()) as Record<string, number>;
  const counted = async (service: string, reporter: string, labels: Readonly<Record<string, string>>) =>
    sumOf(await scrape(mesh.run.url), 'istio_requests_total', {
      reporter,
      destination_service: `${service}.default.svc.cluster.local`,
      ...labels,
    });

  before(async () => (mesh = await TestMesh.start(files)));
  after(async () => {
    for (const client of clients.values()) client.close();
    await mesh.close();
  });

  it('a unary call carries its metadata both ways, binary too', async () => {
    const bin = Buffer.from([0, 1, 0xff, 0x80]);
    const {
      messages,
      headers,
      status: end,
    } = await of('plain').call('Unary', ['hello'], {
      metadata: { 'x-text': 'a b', 'x-bytes-bin': bin, 'x-trail-bin': bin },
    });
    assert.equal(String(messages), 'hello');
    assert.deepEqual([headers!.get('x-text'), headers!.get('x-bytes-bin')], [['a b'], [bin]]);
    assert.deepEqual([end.code, end.metadata.get('x-trail-bin')], [status.OK, [bin]]);
  });
  it('a status that is all of the answer arrives as it was sent', async () => {
    const { headers, status: end } = await of('plain').call('Unary', ['fail 9 100% "nö"\nsecond line'], {
      metadata: { 'x-trail-bin': Buffer.from('why') },
    });
    assert.deepEqual([end.code, end.details], [status.FAILED_PRECONDITION, '100% "nö"\nsecond line']);
    assert.equal(headers?.get('x-app').length ?? 0, 0);
    assert.deepEqual(end.metadata.get('x-trail-bin'), [Buffer.from('why')]);
  });
  it('a status behind messages arrives behind them', async () => {
    const { messages, status: end } = await of('plain').call('ServerStream', ['3 5 fail 8 enough']);
    assert.deepEqual([messages.length, end.code, end.details], [3, status.RESOURCE_EXHAUSTED, 'enough']);
  });
  it('streams of the server, of the client and of both are complete and in order', async () => {
    const big = await of('plain').call('ServerStream', ['500 10000']);
    assert.deepEqual([big.messages.length, big.messages.every(({ length }) => length === 10_000)], [500, true]);
    const sum = await of('plain').call(
      'ClientStream',
      Array.from({ length: 300 }, () => Buffer.alloc(10_000)),
    );
    assert.equal(String(sum.messages), '300 3000000');
    const words = Array.from({ length: 200 }, (_, i) => `message ${i}`);
    assert.deepEqual((await of('plain').call('Bidi', words)).messages.map(String), words);
  });
  it('messages of megabytes and of nothing pass both ways', async () => {
    for (const size of [0, 5_000_000]) {
      const { messages, status: end } = await of('plain').call('Bidi', [Buffer.alloc(size, 0x62)]);
      assert.deepEqual([end.code, messages.map(({ length }) => length)], [status.OK, [size]]);
      assert.ok(messages[0]!.equals(Buffer.alloc(size, 0x62)));
    }
  });
  it('both sides of a stream talk in turn, message by message', async () => {
    const stream = of('plain').open('Bidi');
    const outcome = outcomeOf(stream);
    for (const word of ['one', 'two', 'three']) {
      const answered = new Promise((resolve) => stream.once('data', resolve));
      stream.write(Buffer.from(word));
      assert.equal(String(await answered), word);
    }
    stream.end();
    assert.equal((await outcome).status.code, status.OK);
  });
  it('a hundred calls at once are answered, each its own', async () => {
    const words = Array.from({ length: 100 }, (_, i) => `call ${i}`);
    const all = await Promise.all(words.map((word) => of('plain').call('Unary', [word])));
    assert.deepEqual(
      all.map(({ messages }) => String(messages)),
      words,
    );
  });

  it('a call that its caller gives up is given up at the server', async () => {
    const before = (await state('plain'))['cancelled']!;
    for (const [method, message] of [
      ['Unary', 'sleep'],
      ['ServerStream', '1 5 sleep'],
      ['Bidi', 'x'],
    ] as const) {
      const stream = of('plain').open(method);
      const outcome = outcomeOf(stream);
      stream.write(Buffer.from(message));
      if (method !== 'Bidi') stream.end();
      await new Promise((resolve) => stream.once('metadata', resolve));
      stream.cancel();
      assert.equal((await outcome).status.code, status.CANCELLED);
    }
    await eventually(async () => (await state('plain'))['cancelled'] === before + 3, 'the server hears of it');
  });
  it('a deadline is told to the server, and what has no answer by then is given up', async () => {
    const told = Number(String((await of('plain').call('Unary', ['deadline'], { deadlineMs: 60_000 })).messages));
    assert.ok(told > 30_000 && told <= 60_000, String(told));
    const before = (await state('plain'))['cancelled']!;
    const late = await of('plain').call('Unary', ['sleep'], { deadlineMs: 500 });
    assert.equal(late.status.code, status.DEADLINE_EXCEEDED);
    await eventually(async () => (await state('plain'))['cancelled'] === before + 1, 'the server hears of it');
  });
  it('a deadline is at most what the route gives, which the server is told', async () => {
    const { messages } = await of('timed').call('Unary', ['deadline'], { deadlineMs: 3_600_000 });
    assert.ok(Number(String(messages)) <= 1000, String(messages));
    for (const input of [{}, { deadlineMs: 3_600_000 }]) {
      const { status: end } = await of('timed').call('Unary', ['sleep'], input);
      assert.equal(end.code, status.DEADLINE_EXCEEDED);
    }
  });
  it('a stream is at most as long as the route gives a call', async () => {
    const stream = of('timed').open('Bidi');
    stream.write(Buffer.from('x'));
    const { messages, status: end } = await outcomeOf(stream);
    assert.equal(String(messages), 'x');
    assert.equal(end.code, status.DEADLINE_EXCEEDED);
  });

  it('a status that the route retries on is tried again, others are not', async () => {
    const before = (await state('tried'))['calls']!;
    assert.equal((await of('tried').call('Unary', ['fail 8 full'])).status.code, status.RESOURCE_EXHAUSTED);
    assert.equal((await of('tried').call('Unary', ['fail 5 none'])).status.code, status.NOT_FOUND);
    assert.equal((await state('tried'))['calls']! - before, 4);
  });
  it('a failure of the proxy is an answer of gRPC that says why', async () => {
    for (const [service, code, text] of [
      ['gone', status.UNAVAILABLE, /^upstream connect error .*\nlateen: |^no healthy upstream\nlateen: /s],
      ['closed', status.PERMISSION_DENIED, /^RBAC: access denied$/],
      ['broken', status.NOT_FOUND, /^fault filter abort$/],
    ] as const) {
      const { status: end } = await of(service).call('Unary', ['x']);
      assert.equal(end.code, code, service);
      assert.match(end.details, text);
    }
    assert.equal((await of('closed').call('Bidi', ['x'])).status.code, status.OK);
  });

  it('metrics of both sides have the protocol and the status', async () => {
    await of('plain').call('Unary', ['fail 10 aborted']);
    for (const reporter of ['source', 'destination'])
      await eventually(
        async () =>
          (await counted('plain', reporter, {
            request_protocol: 'grpc',
            response_code: '200',
            grpc_response_status: '10',
            response_flags: '-',
          })) === 1,
        `the ${reporter} counts it`,
      );
    assert.equal(await counted('plain', 'source', { request_protocol: 'http' }), 0);
    const denied = { reporter: 'destination', destination_app: 'closed', grpc_response_status: '7' };
    assert.ok(sumOf(await scrape(mesh.run.url), 'istio_requests_total', denied) > 0);
  });
  it('messages are counted both ways', async () => {
    const messages = async (way: string, reporter: string) =>
      sumOf(await scrape(mesh.run.url), `istio_${way}_messages_total`, { reporter });
    const before = await Promise.all(['request', 'response'].map((way) => messages(way, 'destination')));
    await of('plain').call('ServerStream', ['50 3000']);
    await of('plain').call(
      'ClientStream',
      Array.from({ length: 20 }, () => 'x'),
    );
    await eventually(
      async () =>
        (await messages('request', 'destination')) === before[0]! + 21 &&
        (await messages('response', 'destination')) === before[1]! + 51,
      'the destination counts them',
    );
  });
  it('the access log tells the version and the status', async () => {
    await of('plain').call('Unary', ['fail 11 far']);
    const lines = await eventually(() => {
      const log = readFileSync(join(mesh.directory, 'access.log'), 'utf8').split('\n');
      const found = log.filter((line) => line.startsWith('/test.Echo/Unary HTTP/2 200 - OutOfRange 11 '));
      return found.length === 2 && found;
    }, 'both proxies log it');
    assert.ok(lines.some((line) => line.includes('outbound|50051||plain')));
  });
});
