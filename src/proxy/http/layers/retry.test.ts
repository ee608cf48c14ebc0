// Holds retries to Envoy's conditions: who is tried again, where, how often, and what the caller and the metrics see of it.
import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { closeProxies, get, ok, proxy, type ProxyOptions } from '../../../../test/harness/memory-proxy.js';
import { settle } from '../../../../test/harness/memory-socket.js';
import { unlimited } from '../../cluster/usage.js';

afterEach(() => {
  closeProxies();
  mock.timers.reset();
});

const routes = (retryPolicy: JsonObject, more: JsonObject = {}): JsonObject[] => [
  { match: { prefix: '/' }, route: { cluster: 'c', timeout: '0s', retryPolicy, ...more } },
];
const policy = (retryOn: string, more: JsonObject = {}): JsonObject => ({ retryOn, numRetries: 2, ...more });

/** A proxy whose retries begin as soon as they may: random is 0, so is the pause. */
function retrying(retryOn: string, options: ProxyOptions = {}, more: JsonObject = {}) {
  return proxy({ routes: routes(policy(retryOn, more)), endpoints: 3, ...options });
}

type Through = ReturnType<typeof proxy>;

async function answerNext(through: Through, text: string): Promise<void> {
  const server = await through.connect();
  server.receive(text);
  await pause();
}

/** Lets the pause before a retry pass. */
async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  await settle();
}

const fail503 = 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno';

describe('a retry', () => {
  it('after a refused connection goes to another endpoint, and the caller sees only the answer', async () => {
    const through = retrying('connect-failure');
    await through.send(get());
    await through.refuse();
    await pause();
    await answerNext(through, ok('yes'));
    assert.match(through.caller.sent, /^HTTP\/1\.1 200 OK[^]*yes$/);
    assert.equal(new Set(through.called).size, 2);
    assert.deepEqual(through.requests(), [['200', 1]]);
    assert.equal(through.logged[0]?.responseFlags, '-');
  });

  it('is not made where the condition does not name what happened', async () => {
    const through = retrying('connect-failure');
    await through.send(get());
    await answerNext(through, fail503);
    assert.match(through.caller.sent, /^HTTP\/1\.1 503[^]*no$/);
    assert.equal(through.called.length, 1);
    assert.equal(through.logged[0]?.responseFlags, '-');
  });

  it('ends after as many as the policy says, and the flag tells that', async () => {
    const through = retrying('5xx');
    await through.send(get());
    for (let i = 0; i < 3; i++) await answerNext(through, fail503);
    assert.match(through.caller.sent, /^HTTP\/1\.1 503[^]*no$/);
    assert.equal(through.called.length, 3);
    assert.equal(new Set(through.called).size, 3, 'each at another endpoint');
    assert.equal(through.logged[0]?.responseFlags, 'URX');
    assert.deepEqual(through.requests(), [['503', 1]]);
  });

  it('of connections that all fail ends in 503 UF,URX', async () => {
    const through = retrying('connect-failure');
    await through.send(get());
    for (let i = 0; i < 3; i++) {
      await through.refuse();
      await pause();
    }
    assert.match(through.caller.sent, /^HTTP\/1\.1 503/);
    assert.equal(through.logged[0]?.responseFlags, 'UF,URX');
  });

  for (const [condition, status, again] of [
    ['5xx', 500, true],
    ['5xx', 499, false],
    ['gateway-error', 502, true],
    ['gateway-error', 504, true],
    ['gateway-error', 500, false],
    ['retriable-4xx', 409, true],
    ['retriable-4xx', 404, false],
    ['retriable-status-codes', 418, true],
    ['retriable-status-codes', 419, false],
  ] as const)
    it(`on ${condition} is ${again ? '' : 'not '}made for ${status}`, async () => {
      const through = retrying(condition, {}, { retriableStatusCodes: [418] });
      await through.send(get());
      await answerNext(through, `HTTP/1.1 ${status} x\r\ncontent-length: 0\r\n\r\n`);
      assert.equal(through.called.length, again ? 2 : 1);
    });

  for (const [condition, status] of [
    ['cancelled', 1],
    ['deadline-exceeded', 4],
    ['resource-exhausted', 8],
    ['internal', 13],
    ['unavailable', 14],
  ] as const)
    it(`on ${condition} is made for grpc-status ${status} in the head`, async () => {
      const through = retrying(condition);
      await through.send(get());
      await answerNext(through, ok('', `grpc-status: ${status}`));
      assert.equal(through.called.length, 2);
      assert.equal(through.caller.sent, '');
    });

  it('is not made where the answer asks for less load', async () => {
    const through = retrying('5xx');
    await through.send(get());
    await answerNext(through, 'HTTP/1.1 503 x\r\nx-envoy-overloaded: true\r\ncontent-length: 0\r\n\r\n');
    assert.equal(through.called.length, 1);
  });

  it('after a connection that was lost before an answer is made on reset, not on connect-failure', async () => {
    for (const [condition, calls] of [
      ['reset', 2],
      ['connect-failure', 1],
      ['reset-before-request', 1],
    ] as const) {
      const through = retrying(condition);
      await through.send(get());
      (await through.connect()).destroy();
      await pause();
      assert.equal(through.called.length, calls, condition);
    }
  });

  it('is never made once a part of an answer has been passed on', async () => {
    const through = retrying('reset,5xx');
    await through.send(get());
    const server = await through.connect();
    server.receive('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf');
    await settle();
    server.destroy();
    await pause();
    assert.equal(through.called.length, 1);
    assert.equal(through.caller.destroyed, true);
  });

  it('sends the body again, with its trailers', async () => {
    const through = retrying('5xx');
    await through.send(
      'POST / HTTP/1.1\r\nHost: shop\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 9\r\n\r\n',
    );
    await answerNext(through, fail503);
    const second = await through.connect();
    assert.match(second.sent, /\r\n3\r\nabc\r\n0\r\nx-sum: 9\r\n\r\n$/);
  });

  it('is not made for a body that was too large to keep', async () => {
    const through = retrying('5xx,connect-failure');
    const body = 'x'.repeat(100_000);
    await through.send(`POST / HTTP/1.1\r\nHost: shop\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    await answerNext(through, fail503);
    assert.match(through.caller.sent, /^HTTP\/1\.1 503/);
    assert.equal(through.called.length, 1);
  });

  it('of a large body is made while nothing of it has been sent', async () => {
    const through = retrying('connect-failure');
    const body = 'x'.repeat(100_000);
    await through.send(`POST / HTTP/1.1\r\nHost: shop\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    await through.refuse();
    await pause();
    const server = await through.connect();
    await settle();
    assert.ok(server.sent.endsWith('x'.repeat(1000)));
  });

  it('stays within the budget of the cluster, and the flag and a metric tell where it does not', async () => {
    const limits = { ...unlimited, retryBudget: { percent: 20, minConcurrency: 0 } };
    const through = retrying('5xx', { clusterConfig: { limits } });
    const { usage } = through.clusters.get('c')!;
    await through.send(get());
    usage.requests += 3; // a fifth of four is none
    await answerNext(through, fail503);
    assert.equal(through.called.length, 1);
    assert.equal(through.logged[0]?.responseFlags, 'UO');
    const counted = through.registry.all.find(({ name }) => name === 'lateen_retries_total');
    assert.deepEqual(counted?.labels, ['destination_service', 'c.example', 'outcome', 'budget_exceeded']);
    usage.requests += 1; // of five it is one
    await through.send(get());
    through.servers[0]!.receive(fail503);
    await pause();
    assert.equal(through.called.length, 2);
  });

  it('without a budget stays below the limit of retries', async () => {
    const through = retrying('5xx', { clusterConfig: { limits: { ...unlimited, maxRetries: 0 } } });
    await through.send(get());
    await answerNext(through, fail503);
    assert.equal(through.called.length, 1);
    assert.equal(through.logged[0]?.responseFlags, 'UO');
  });

  it('leaves nothing counted when all is over', async () => {
    const through = retrying('5xx');
    await through.send(get());
    await answerNext(through, fail503);
    await answerNext(through, ok('yes'));
    const { usage, endpoints } = through.clusters.get('c')!;
    assert.deepEqual([usage.requests, usage.retries, usage.pending], [0, 0, 0]);
    assert.ok(endpoints.every(({ active }) => active === 0));
  });

  it('is given up when the caller goes away in the pause before it', async () => {
    const through = retrying('connect-failure', { random: () => 0.999 });
    await through.send(get());
    await through.refuse();
    through.caller.destroy();
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(through.called.length, 1);
    assert.equal(through.clusters.get('c')!.usage.retries, 0);
  });
});

describe('the time for one try', () => {
  it('ends it, and another begins', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = retrying('reset', {}, { perTryTimeout: '1s' });
    await through.send(get());
    const first = await through.connect();
    mock.timers.tick(1001);
    await settle();
    assert.equal(first.destroyed, true);
    mock.timers.tick(1);
    await settle();
    assert.equal(through.called.length, 2);
    (await through.connect()).receive(ok('late'));
    await settle();
    assert.match(through.caller.sent, /late$/);
  });

  it('of the last one ends the request: 504 UT,URX', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = retrying('reset', {}, { perTryTimeout: '1s', numRetries: 1 });
    await through.send(get());
    for (let i = 0; i < 2; i++) {
      await through.connect();
      mock.timers.tick(1001);
      await settle();
      mock.timers.tick(1);
      await settle();
    }
    assert.match(through.caller.sent, /^HTTP\/1\.1 504/);
    assert.equal(through.logged[0]?.responseFlags, 'UT,URX');
  });

  it('is bounded by that of the route, all tries together', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = proxy({
      routes: routes(policy('reset', { perTryTimeout: '1s' }), { timeout: '1.5s' }),
      endpoints: 3,
    });
    await through.send(get());
    await through.connect();
    mock.timers.tick(1001);
    await settle();
    mock.timers.tick(600);
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 504/);
    assert.equal(through.logged[0]?.responseFlags, 'UT');
  });
});
