// When a request has taken too long: from its end, from its beginning, and as a caller of gRPC asks.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { closeProxies, get, ok, proxy, type Proxy } from '../../../../test/harness/memory-proxy.js';
import { settle } from '../../../../test/harness/memory-socket.js';

/** Time passes where a test says so. */
function stopClock(): void {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(async () => {
    closeProxies();
    await settle(); // what is cleared later would clear timers of the next test
    mock.timers.reset();
  });
}

const within = (action: JsonObject) =>
  proxy({ routes: [{ match: { prefix: '/' }, route: { cluster: 'c', ...action } }] });
const grpc = (timeout?: string) =>
  get('/s/M', 'Content-Type: application/grpc', ...(timeout === undefined ? [] : [`grpc-timeout: ${timeout}`]));
const unfinished = (timeout: string) =>
  `POST /s/M HTTP/1.1\r\nHost: shop\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\ngrpc-timeout: ${timeout}\r\n\r\n`;
/** What the route of a client says, and that of a server. */
const client = (seconds: number) => ({ timeout: `${seconds}s`, maxGrpcTimeout: `${seconds}s` });
const server = { timeout: '0s', maxStreamDuration: { maxStreamDuration: '0s', grpcTimeoutHeaderMax: '0s' } };

async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms);
  await settle();
}

/** Milliseconds after which the call is ended; undefined: not within a day. */
async function endsAfter(action: JsonObject, request: string): Promise<number | undefined> {
  const through = within(action);
  await through.send(request);
  await through.connect();
  for (const ms of [1, 499, 500, 1000, 3000, 5000, 500_000]) {
    await pass(ms);
    if (through.caller.sent !== '') return ms;
  }
  return undefined;
}

describe('the deadline of a gRPC caller', () => {
  stopClock();
  for (const [action, timeout, expected] of [
    [client(0), '500m', 499],
    [client(0), undefined, undefined],
    [client(0), '99999999H', undefined],
    [client(0), 'soon', undefined],
    [client(0), '0S', 1],
    [client(5), '1S', 500],
    [client(1), '9S', 500],
    [client(1), '99999999H', 500],
    [client(1), 'soon', 500],
    [client(1), undefined, 500],
    [{ timeout: '1s' }, '500m', 500],
    [{ timeout: '1s', maxGrpcTimeout: '0s' }, undefined, undefined],
    [server, '500m', 499],
    [server, '500000u', 499],
    [server, '0n', 1],
    [server, undefined, undefined],
    [server, '99999999H', undefined],
    [{ maxStreamDuration: { maxStreamDuration: '2s', grpcTimeoutHeaderMax: '1s' } }, '9S', 500],
    [{ maxStreamDuration: { maxStreamDuration: '2s', grpcTimeoutHeaderMax: '1s' } }, undefined, 1000],
    [{ maxStreamDuration: { maxStreamDuration: '2s' } }, '500m', 1000],
  ] as const)
    it(`${timeout ?? '(none)'} on a route with ${JSON.stringify(action)} ends it ${expected === undefined ? 'never' : `in the span of ${expected} ms`}`, async () =>
      assert.equal(await endsAfter(action, grpc(timeout)), expected));

  const answer = (through: Proxy) => [
    /grpc-status: (\d+)/.exec(through.caller.sent)?.[1],
    through.logged[0]!.responseFlags,
  ];

  it('is told as DEADLINE_EXCEEDED, with whose deadline it was, and the server is given up', async () => {
    for (const [action, flags, text] of [
      [
        client(0),
        'UT',
        /upstream request timeout%0Alateen: .* within 500 ms \(the deadline of the caller, grpc-timeout\)/,
      ],
      [
        server,
        'DT',
        /downstream duration timeout%0Alateen: .* within 500 ms \(the deadline of the caller, grpc-timeout\)/,
      ],
    ] as const) {
      const through = within(action);
      await through.send(grpc('500m'));
      const upstream = await through.connect();
      await pass(501);
      assert.deepEqual(answer(through), ['4', flags]);
      assert.match(through.caller.sent, text);
      assert.equal(upstream.destroyed, true);
    }
  });
  it('counts from the end of the request at the client and from its beginning at the server', async () => {
    const atClient = within(client(0));
    await atClient.send(unfinished('500m'));
    await atClient.connect();
    await pass(10_000);
    assert.equal(atClient.caller.sent, '');
    await atClient.send('0\r\n\r\n');
    await pass(501);
    assert.deepEqual(answer(atClient), ['4', 'UT']);
    const atServer = within(server);
    await atServer.send(unfinished('500m'));
    await atServer.connect();
    await pass(501);
    assert.deepEqual(answer(atServer), ['4', 'DT']);
  });
  it('ends an answer that has begun: by a status behind whole messages, else by breaking it off', async () => {
    for (const [message, isWhole] of [
      ['\0\0\0\0\0', true],
      ['\0\0\0\0\x01', false],
    ] as const) {
      const through = within(server);
      await through.send(unfinished('500m'));
      (await through.connect()).receive(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n${message}\r\n`);
      await settle();
      await pass(501);
      const trailers = /\r\n0\r\ngrpc-status: 4\r\ngrpc-message: downstream duration timeout\r\n\r\n$/;
      assert.equal(trailers.test(through.caller.sent), isWhole);
      const [logged] = through.logged;
      assert.deepEqual(
        [logged!.responseFlags, logged!.responseCodeDetails, logged!.grpcStatus],
        ['DT', 'max_duration_timeout', isWhole ? 4 : 2],
      );
      assert.equal(through.servers[0]!.destroyed, true);
    }
  });
  it('is over with the call', async () => {
    const through = within(server);
    await through.send(grpc('500m'));
    (await through.connect()).receive(ok('', 'grpc-status: 0'));
    await settle();
    await pass(1000);
    assert.equal(through.logged.length, 1);
    assert.equal(through.logged[0]!.grpcStatus, 0);
  });
  it('is nothing to requests of others', async () => {
    for (const action of [client(0), server])
      assert.equal(await endsAfter(action, get('/', 'grpc-timeout: 1m')), undefined);
  });
});

describe('the server of a gRPC caller', () => {
  stopClock();
  const told = async (action: JsonObject, timeout?: string) => {
    const through = within(action);
    await through.send(grpc(timeout));
    return /\r\ngrpc-timeout: ([^\r]*)\r\n/.exec((await through.connect()).sent)?.[1];
  };
  it('is told what it has, as by Envoy', async () => {
    assert.equal(await told(client(1), '9S'), '1000m');
    assert.equal(await told(client(1)), '1000m');
    assert.equal(await told({ ...client(9), retryPolicy: { retryOn: 'reset', perTryTimeout: '0.25s' } }, '1S'), '250m');
  });
  it('is told what the caller asked for where that is what it has', async () => {
    for (const action of [client(0), client(5), server]) assert.equal(await told(action, '02S'), '02S');
    for (const timeout of ['99999999H', 'soon']) assert.equal(await told(client(0), timeout), timeout);
    assert.equal(await told(client(0)), undefined);
  });
});

describe('a request that takes longer than its route gives it', () => {
  stopClock();
  const longest = { maxStreamDuration: { maxStreamDuration: '1s' } };
  it('from its beginning is 504 DT, or 408 where it is not whole yet', async () => {
    for (const [request, status] of [
      [get(), 504],
      ['POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nab', 408],
    ] as const) {
      const through = within(longest);
      await through.send(request);
      await through.connect();
      await pass(1001);
      assert.match(through.caller.sent, new RegExp(`^HTTP/1\\.1 ${status} [^]*downstream duration timeout\nlateen: `));
      assert.equal(through.logged[0]!.responseFlags, 'DT');
    }
  });
});
