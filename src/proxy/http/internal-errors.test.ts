// Holds errors of our own to the policy: the request in whose handling something throws is answered 500 or broken off, counted
// and logged; its neighbours notice nothing.
import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import { get as h2Get, Http2Peer, settings } from '../../../test/harness/http2-peer.js';
import { closeProxies, get, ok, proxy } from '../../../test/harness/memory-proxy.js';
import { settle } from '../../../test/harness/memory-socket.js';
import { preface } from './http2/frames.js';
import { changeHeaders } from './layers/change-headers.js';
import { forward } from './layers/forward.js';
import { pickRoute } from './layers/pick-route.js';
import { record } from './layers/record.js';
import { timeOut } from './layers/time-out.js';
import type { Layer } from './stack.js';

const fault = new Error('a fault of ours');
/** From here on the hook of the layer throws. */
function breakLayer(layer: Layer, hook: keyof Layer): void {
  mock.method(layer as Record<string, () => unknown>, hook, (): unknown => {
    throw fault;
  });
}

afterEach(() => {
  closeProxies();
  mock.restoreAll();
});

describe('an error of our own', () => {
  it('on the way in is answered 500, and the connection is not used again', async () => {
    breakLayer(pickRoute, 'onRequest');
    const through = proxy();
    assert.match(
      await through.send(get() + get('/next')),
      /^HTTP\/1\.1 500 Internal Server Error\r\n[^]*connection: close\r\n\r\nlateen: the proxy has an error of its own, [^]*\n$/,
    );
    assert.deepEqual(through.internalErrors, [fault]);
    assert.deepEqual(through.requests(), [['500', 1]]);
    assert.equal(through.logged[0]?.responseCodeDetails, 'internal_error');
    mock.restoreAll();
    assert.match((await proxyAnswers()).slice(0, 15), /^HTTP\/1\.1 200 OK/);
  });

  it('costs a caller of HTTP/2 its stream, and not the connection', async () => {
    breakLayer(pickRoute, 'onRequest');
    const through = proxy();
    const peer = new Http2Peer(through.caller);
    await peer.ask(preface, settings());
    assert.match((await peer.ask(peer.headers(1, h2Get(), true)))[0]!, /^HEADERS 1 :status=500, /);
    mock.restoreAll();
    breakLayer(changeHeaders, 'onResponse');
    assert.deepEqual(await peer.ask(peer.headers(3, h2Get(), true)), []);
    (await through.connect()).receive(ok());
    await settle();
    assert.deepEqual(peer.lines(), ['RST 3 internalError']);
    mock.restoreAll();
    assert.deepEqual(await peer.ask(peer.headers(5, h2Get(), true)), []);
    through.servers[0]!.receive(ok());
    await settle();
    assert.match(peer.lines()[0]!, /^HEADERS 5 :status=200, /);
    assert.equal(through.internalErrors.length, 2);
  });

  it('at the end of the request is answered 500, and the server is not left waiting', async () => {
    breakLayer(timeOut, 'onRequestEnd');
    const through = proxy();
    assert.match(await through.send(get()), /^HTTP\/1\.1 500 /);
    assert.deepEqual(through.internalErrors, [fault]);
  });

  for (const [what, answer] of [
    ['without a body', ok()],
    ['with a body', ok('hello')],
    ['whose body comes later', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'],
  ] as const)
    it(`in an answer ${what} is answered 500 or broken off`, async () => {
      breakLayer(changeHeaders, 'onResponse');
      const through = proxy();
      await through.send(get());
      const server = await through.connect();
      server.receive(answer);
      await settle();
      assert.doesNotMatch(through.caller.sent, /^HTTP\/1\.1 200/);
      assert.equal(through.internalErrors[0], fault);
      assert.deepEqual(through.requests().length, 1);
      assert.equal(through.clusters.get('c')!.usage.requests, 0, 'nothing is counted as under way');
    });

  it('while a connection is taken is answered 500', async () => {
    breakLayer(forward, 'onRequest');
    assert.match(await proxy().send(get()), /^HTTP\/1\.1 500 /);
  });

  it('while a request is counted changes nothing for its caller', async () => {
    breakLayer(record, 'onComplete');
    const through = proxy();
    await through.send(get());
    const server = await through.connect();
    server.receive(ok('hello'));
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 200 OK\r\n[^]*hello$/);
    assert.deepEqual(through.internalErrors, [fault]);
    const before = through.caller.sent.length;
    await through.send(get('/next'));
    server.receive(ok('again'));
    await settle();
    assert.match(through.caller.sent.slice(before), /^HTTP\/1\.1 200 OK\r\n[^]*again$/);
  });
});

async function proxyAnswers(): Promise<string> {
  const through = proxy();
  await through.send(get());
  (await through.connect()).receive(ok('fine'));
  await settle();
  return through.caller.sent;
}
