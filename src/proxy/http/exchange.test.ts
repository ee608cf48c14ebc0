// Holds an exchange to its end: every answer, failure and timeout is told once, and nobody is flooded on the way.
import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import {
  answered,
  closeProxies,
  get,
  ok,
  proxy,
  type Proxy,
  type ProxyOptions,
} from '../../../test/harness/memory-proxy.js';
import { settle } from '../../../test/harness/memory-socket.js';

afterEach(closeProxies);

describe('an answer', () => {
  it('is passed on with the time that the server took', async () => {
    const { answer, through } = await answered(ok('hello', 'X: y'));
    assert.match(
      answer,
      /^HTTP\/1\.1 200 OK\r\nx: y\r\nx-envoy-upstream-service-time: \d+\r\ncontent-length: 5\r\n\r\nhello$/,
    );
    assert.deepEqual(through.requests(), [['200', 1]]);
  });
  it('cannot claim how long it took', async () => {
    const { answer } = await answered(ok('', 'X-Envoy-Upstream-Service-Time: -1'));
    assert.doesNotMatch(answer, /-1/);
  });
  it('is preceded by its interim answers', async () =>
    assert.match(
      (await answered(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok()}`)).answer,
      /^HTTP\/1\.1 103 [^]*HTTP\/1\.1 200 /,
    ));
  it('without a length is passed on as chunks', async () => {
    const { through } = await answered('HTTP/1.1 200 OK\r\n\r\nhello');
    through.servers[0]!.receiveEnd();
    await settle();
    assert.ok(through.caller.sent.endsWith('5\r\nhello\r\n0\r\n\r\n'));
  });
  it('that breaks off is broken off, not completed', async () => {
    const { through } = await answered('HTTP/1.1 200 OK\r\n\r\nhello');
    through.servers[0]!.destroy(new Error('ECONNRESET'));
    await settle();
    assert.ok(!through.caller.sent.endsWith('0\r\n\r\n'));
    assert.equal(through.caller.destroyed, true);
    assert.equal(through.logged[0]!.responseFlags, 'UC');
  });
  it('frees the endpoint and the connection', async () => {
    const { through } = await answered(ok());
    assert.equal(through.clusters.get('c')!.endpoints[0]!.active, 0);
    await through.send(get());
    assert.equal(through.servers[0]!.sent.match(/GET/g)!.length, 2);
  });
});

describe('a failure', () => {
  const fails = async (
    options: ProxyOptions,
    status: number,
    flags: string,
    text: RegExp,
    happen: (through: Proxy) => Promise<unknown> = async () => undefined,
  ) => {
    const through = proxy(options);
    await through.send(get('/'));
    await happen(through);
    const [answer] = through.caller.sent.split('\r\n');
    assert.match(answer!, new RegExp(`^HTTP/1.1 ${status} `));
    assert.equal(through.logged[0]!.responseFlags, flags);
    assert.deepEqual(through.requests(), [[String(status), 1]]);
    assert.doesNotMatch(through.caller.sent, /connection: close/);
    assert.match(through.caller.sent, text);
  };
  it('without routes is 404 NR', () => fails({ routes: null }, 404, 'NR', /lateen: no service/));
  it('without the host is 404 NR', () =>
    fails({ domains: ['b'] }, 404, 'NR', /no service or VirtualService .* has the host shop;/));
  it('without a matching route is 404 NR', () =>
    fails({ routes: [] }, 404, 'NR', /no rule for the host shop matches GET \/;/));
  it('without the cluster is 503 NC', () => fails({ clusters: {} }, 503, 'NC', /sent to c, which does not exist/));
  it('without the cluster has the status of the route', () => {
    const route = { cluster: 'c', clusterNotFoundResponseCode: 'NOT_FOUND' };
    return fails({ clusters: {}, routes: [{ match: { prefix: '/' }, route }] }, 404, 'NC', /does not exist/);
  });
  it('without an endpoint is 503 UH', () =>
    fails({ clusters: { c: false } }, 503, 'UH', /\r\n\r\nno healthy upstream\nlateen: no instance of c\.example/));
  it('to connect is 503 UF', () =>
    fails({}, 503, 'UF', /remote connection failure, .*refused\nlateen: /, (through) => through.refuse()));
  it('to connect in time is 503 UF', () =>
    fails({}, 503, 'UF', /connection timeout\nlateen: /, (through) => through.refuse(true)));
  it('of the connection is 503 UC', () =>
    fails({}, 503, 'UC', /connection termination\nlateen: /, async (through) => {
      (await through.connect()).receiveEnd();
      await settle();
    }));
  it('to speak HTTP is 502 UPE', () =>
    fails({}, 502, 'UPE', /protocol error\nlateen: /, async (through) => {
      (await through.connect()).receive('nonsense\r\n\r\n');
      await settle();
    }));
  it('tells a peer of the mesh no more than Envoy does', () =>
    fails({ settings: { direction: 'inbound' }, clusters: { c: false } }, 503, 'UH', /\r\n\r\nno healthy upstream$/));
  it('answers HEAD without a body', async () => {
    const through = proxy({ clusters: { c: false } });
    assert.match(
      await through.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n'),
      /^HTTP\/1\.1 503 [^]*content-length: [1-9]\d*\r\n\r\n$/,
    );
  });
  it('of CONNECT where none is taken is 403', async () => {
    const through = proxy();
    assert.match(await through.send('CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n'), /^HTTP\/1\.1 403 /);
  });
  it('of the caller cancels what is under way and is counted as DC', async () => {
    const through = proxy();
    await through.send(get());
    const server = await through.connect();
    through.caller.destroy(new Error('ECONNRESET'));
    await settle();
    assert.equal(server.destroyed, true);
    assert.equal(through.logged[0]!.responseFlags, 'DC');
    assert.equal(through.clusters.get('c')!.endpoints[0]!.active, 0);
  });
  it('of the caller while a connection is opened sends nothing', async () => {
    const through = proxy();
    await through.send(get());
    through.caller.destroy(new Error('ECONNRESET'));
    await settle();
    assert.equal((await through.connect()).sent, '');
  });
  it('to read the request is counted', async () => {
    const through = proxy();
    assert.match(await through.send('nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
    assert.deepEqual(
      [through.logged.map(({ responseFlags }) => responseFlags), through.requests()],
      [['DPE'], [['400', 1]]],
    );
  });
});

describe('the timeout of a route', () => {
  afterEach(() => mock.timers.reset());
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '2s' } }];

  it('is 504 UT and ends what is under way', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = proxy({ routes });
    await through.send(get());
    const server = await through.connect();
    mock.timers.tick(1999);
    assert.equal(through.caller.sent, '');
    mock.timers.tick(1);
    await settle();
    assert.match(
      through.caller.sent,
      /^HTTP\/1\.1 504 [^]*upstream request timeout\nlateen: c\.example did not answer within 2000 ms/,
    );
    assert.equal(server.destroyed, true);
    assert.equal(through.logged[0]!.responseFlags, 'UT');
  });
  it('counts while a connection is opened', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = proxy({ routes });
    await through.send(get());
    mock.timers.tick(2000);
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 504 /);
    assert.equal((await through.connect()).sent, '');
  });
  it('begins when the request is complete', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = proxy({ routes });
    await through.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na');
    mock.timers.tick(5000);
    assert.equal(through.caller.sent, '');
    await through.send('b');
    mock.timers.tick(2000);
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 504 /);
  });
  it('breaks off an answer that is not complete', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const { through } = await answered('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab', { routes });
    mock.timers.tick(2000);
    await settle();
    assert.equal(through.caller.destroyed, true);
    assert.equal(through.logged[0]!.responseFlags, 'UT');
  });
  it('ends with the answer', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const { through } = await answered(ok(), { routes });
    mock.timers.tick(10_000);
    await settle();
    assert.equal(through.caller.sent.match(/HTTP\/1\.1/g)!.length, 1);
  });
  it('of 0 is none', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const through = proxy({ routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '0s' } }] });
    await through.send(get());
    mock.timers.tick(1e9);
    await settle();
    assert.equal(through.caller.sent, '');
  });
});

describe('back-pressure', () => {
  const big = 'x'.repeat(100_000);
  it('of nobody to send to stops a caller, and all arrives when there is', async () => {
    const through = proxy();
    await through.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 * big.length}\r\n\r\n${big}`);
    assert.equal(through.caller.isPaused(), true);
    const server = await through.connect();
    await through.send(big);
    assert.ok(server.sent.endsWith(big + big));
    server.receive(ok());
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 200 /);
  });
  it('of the server stops the caller until it takes more', async () => {
    const through = proxy();
    await through.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 * big.length}\r\n\r\n`);
    const server = await through.connect();
    const release = server.holdWrites();
    await through.send(big);
    assert.equal(through.caller.isPaused(), true);
    release();
    await settle();
    assert.equal(through.caller.isPaused(), false);
  });
  it('of the caller stops the server until it takes more', async () => {
    const through = proxy();
    await through.send(get());
    const server = await through.connect();
    const release = through.caller.holdWrites();
    server.receive(`HTTP/1.1 200 OK\r\nContent-Length: ${2 * big.length}\r\n\r\n${big}`);
    await settle();
    assert.equal(server.isPaused(), true);
    release();
    await settle();
    assert.equal(server.isPaused(), false);
  });
});

it('a caller that goes while its request waits to be sent once more leaves nothing behind', async () => {
  const { through } = await answered(ok());
  await through.send(get());
  through.servers[0]!.receiveReset(); // the connection was stale: another one is opened
  await settle();
  const pool = through.clusters.get('c')!.endpoints[0]!.httpPool([], false);
  const cancel = mock.method(pool, 'cancel');
  through.caller.destroy(new Error('ECONNRESET'));
  await settle();
  assert.equal(cancel.mock.callCount(), 1);
  assert.equal((await through.connect()).sent, '');
});
