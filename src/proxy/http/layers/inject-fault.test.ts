// Requests are kept back and answered as their route says, and nothing else is touched.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { closeProxies, get, ok, proxy, type ProxyOptions } from '../../../../test/harness/memory-proxy.js';
import { settle } from '../../../../test/harness/memory-socket.js';

afterEach(closeProxies);

const type = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';
const all = { numerator: 100 };
const hindered = (fault: JsonObject, route: JsonObject = {}, more: ProxyOptions = {}): ProxyOptions => ({
  routes: [
    {
      match: { prefix: '/' },
      route: { cluster: 'c', ...route },
      typedPerFilterConfig: { 'envoy.filters.http.fault': { '@type': type, ...fault } },
    },
  ],
  ...more,
});
const delay = { fixedDelay: '5s', percentage: all };
const abort = { httpStatus: 418, percentage: all };

describe('an abort', () => {
  it('answers with the status and says whose doing it is', async () => {
    const through = proxy(hindered({ abort }));
    const answer = await through.send(get());
    assert.match(answer, /^HTTP\/1\.1 418 [^]*content-type: text\/plain\r\n[^]*\r\n\r\nfault filter abort$/);
    const [logged] = through.logged;
    assert.deepEqual([logged!.responseFlags, logged!.responseCodeDetails], ['FI', 'fault_filter_abort']);
    assert.equal(through.labels()[0]!['destination_service'], 'c.example', 'it is counted for what was called');
  });
  it('happens to its share', async () => {
    for (const [random, status] of [
      [0.2499, 418],
      [0.25, 200],
    ]) {
      const through = proxy(
        hindered({ abort: { httpStatus: 418, percentage: { numerator: 25 } } }, {}, { random: () => random! }),
      );
      await through.send(get());
      if (status === 200) {
        (await through.connect()).receive(ok());
        await settle();
      }
      assert.match(through.caller.sent, new RegExp(`^HTTP/1.1 ${status} `));
    }
  });
  it('without a share happens to nothing', async () => {
    const through = proxy(hindered({ abort: { httpStatus: 418 } }));
    assert.equal(await through.send(get()), '');
    assert.match((await through.connect()).sent, /^GET /);
  });
  it('of gRPC is a status in headers', async () => {
    const grpc = get('/', 'Content-Type: application/grpc+proto');
    const through = proxy(hindered({ abort: { grpcStatus: 14, percentage: all } }));
    assert.match(
      await through.send(grpc),
      /^HTTP\/1\.1 200 OK\r\ncontent-type: application\/grpc\r\ngrpc-status: 14\r\ngrpc-message: fault filter abort\r\n/,
    );
    assert.match(await proxy(hindered({ abort: { ...abort, httpStatus: 401 } })).send(grpc), /grpc-status: 16\r\n/);
    assert.match(await through.send(get()), /^HTTP\/1\.1 200 OK[^]*\r\n\r\nfault filter abort$/);
  });
  it('does not touch answers that are made here', async () => {
    const [route] = hindered({ abort }).routes!;
    const through = proxy({
      routes: [
        {
          match: route!['match']!,
          typedPerFilterConfig: route!['typedPerFilterConfig']!,
          directResponse: { status: 204 },
        },
      ],
    });
    assert.match(await through.send(get()), /^HTTP\/1\.1 204 /);
  });
});

describe('a delay', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  it('keeps a request back, body and all', async () => {
    const through = proxy(hindered({ delay }));
    await through.send('POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nab');
    mock.timers.tick(4999);
    await through.send('c');
    await assert.rejects(through.connect(), 'nobody was asked');
    mock.timers.tick(1);
    await through.send('de');
    const server = await through.connect();
    assert.ok(server.sent.endsWith('\r\n\r\nabcde'), server.sent);
    server.receive(ok('hi'));
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 200 OK/);
    assert.equal(through.logged[0]!.responseFlags, 'DI');
  });
  it('is over before the time limit of the route begins', async () => {
    const through = proxy(hindered({ delay }, { timeout: '1s' }));
    await through.send(get());
    mock.timers.tick(5000);
    await settle();
    await through.connect();
    assert.equal(through.caller.sent, '');
    mock.timers.tick(1000);
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 504 /);
    assert.equal(through.logged[0]!.responseFlags, 'UT,DI');
  });
  it('comes before an abort', async () => {
    const through = proxy(hindered({ delay, abort }));
    assert.equal(await through.send(get()), '');
    mock.timers.tick(5000);
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 418 /);
    assert.equal(through.logged[0]!.responseFlags, 'DI,FI');
  });
  it('keeps nothing from copies', async () => {
    for (const [during, after, body] of [
      ['Content-Length: 5\r\n\r\nabc', 'de', 'abcde'],
      ['Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: u\r\n\r\n', '', '3\r\nabc\r\n0\r\nt: u\r\n\r\n'],
    ]) {
      const through = proxy(
        hindered({ delay }, { requestMirrorPolicies: [{ cluster: 'copy' }] }, { clusters: { c: true, copy: true } }),
      );
      await through.send(`POST / HTTP/1.1\r\nHost: shop\r\n${during}`);
      mock.timers.tick(5000);
      await through.send(after!);
      for (const server of [await through.connect(), await through.connect()])
        assert.ok(server.sent.endsWith(`\r\n\r\n${body}`), server.sent);
    }
  });
  it('ends with its caller', async () => {
    const through = proxy(hindered({ delay }));
    await through.send(get());
    through.caller.destroy();
    await settle();
    assert.equal(through.logged[0]!.responseFlags, 'DI,DC');
    mock.timers.tick(5000);
    await settle();
    await assert.rejects(through.connect(), 'nobody was asked');
    assert.equal(through.logged.length, 1);
  });
  it('happens to its share', async () => {
    const through = proxy(
      hindered(
        { delay: { fixedDelay: '5s', percentage: { numerator: 1, denominator: 'MILLION' } } },
        {},
        { random: () => 0.000_001 },
      ),
    );
    await through.send(get());
    assert.match((await through.connect()).sent, /^GET /);
  });
});
