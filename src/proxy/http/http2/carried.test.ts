// Callers of HTTP/2 before the whole proxy, with a server of HTTP/1 behind it: what the one sends and the other gets.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { data, get, Http2Peer, post, settings } from '../../../../test/harness/http2-peer.js';
import { closeProxies, proxy, type ProxyOptions } from '../../../../test/harness/memory-proxy.js';
import { settle } from '../../../../test/harness/memory-socket.js';
import type { AccessRecord } from '../../../telemetry/access-log/record.js';
import { preface } from './frames.js';

afterEach(closeProxies);

/** A caller that has said its first words. */
async function open(options: ProxyOptions = {}) {
  const through = proxy(options);
  const peer = new Http2Peer(through.caller);
  await peer.ask(preface, settings());
  return { through, peer };
}

/** A proxy of the mesh as the caller. */
const carried = (settings: ProxyOptions['settings'] = {}): ProxyOptions => ({
  info: { protocol: 'lateen-h2' },
  settings: { direction: 'inbound', ...settings },
});
const webSocket = (protocol: string) => [':method', 'CONNECT', ':protocol', protocol, ...get().slice(2)];

it('a request goes on in HTTP/1, and its answer comes back', async () => {
  const { through, peer } = await open();
  await peer.ask(peer.headers(1, [...post('/a'), 'x', 'y', 'cookie', 'a=1', 'cookie', 'b=2']), data(1, 'hi', true));
  const server = await through.connect();
  assert.match(server.sent, /^POST \/a HTTP\/1\.1\r\nhost: shop\r\n[^]*x: y\r\ncookie: a=1; b=2\r\n/);
  assert.match(server.sent, /transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n$/);
  server.receive('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\nok');
  await settle();
  assert.match(peer.lines().join('|'), /^HEADERS 1 :status=200, set-cookie=a, set-cookie=b, .*\|DATA 1 "ok" end$/);
  assert.equal(through.logged[0]?.protocol, 'HTTP/2');
});

it('what is not a request is logged as HTTP/2', async () => {
  const { through, peer } = await open();
  await peer.ask(peer.headers(1, [...get(), 'connection', 'close'], true));
  const [{ protocol, responseCode, responseFlags, responseCodeDetails }] = through.logged as [AccessRecord];
  assert.deepEqual(
    [protocol, responseCode, responseFlags, responseCodeDetails],
    ['HTTP/2', 400, 'DPE', 'http2.violation.of.messaging.rule'],
  );
});

it('a port that is said to speak HTTP/1 does not speak HTTP/2', async () => {
  const through = proxy({ settings: { codec: 'http1' } });
  assert.match(await through.send(String(preface)), /^HTTP\/1\.1 (400|505) /);
});

it('a port that is said to speak HTTP/2 does not speak HTTP/1', async () => {
  const through = proxy({ settings: { codec: 'http2' } });
  const peer = new Http2Peer(through.caller);
  through.caller.receive('GET / HTTP/1.1\r\nHost: shop\r\n\r\n');
  await settle();
  assert.match(peer.lines().at(-1)!, /^GOAWAY 0 protocolError/);
});

describe('what follows a request for a tunnel', () => {
  for (const protocol of ['unknown', 'websocket'])
    it(`to ${protocol} is never a part of the request to the server, which could read it as another`, async () => {
      const { through, peer } = await open({ settings: { upgrades: new Set(['websocket']) } });
      await peer.ask(peer.headers(1, webSocket(protocol)), data(1, 'GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n'));
      const server = await through.connect();
      assert.doesNotMatch(server.sent, /smuggled/);
      server.receive('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      await peer.ask(data(1, 'GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n'));
      assert.match(peer.lines().concat('').join(), /^/);
      assert.doesNotMatch(server.sent, /smuggled/);
    });
});

describe('a request that a proxy of the mesh carries', () => {
  it('shows the version of its application, and keeps its cookies apart', async () => {
    const { through, peer } = await open(carried());
    await peer.ask(peer.headers(1, [...get(), ':version', '1.0', 'cookie', 'a=1', 'cookie', 'b=2'], true));
    const server = await through.connect();
    assert.match(server.sent, /cookie: a=1\r\ncookie: b=2\r\n/);
    assert.doesNotMatch(server.sent, /version/);
    server.receive('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    await settle();
    assert.equal(through.logged[0]?.protocol, 'HTTP/1.0');
  });

  it('may be larger than its caller was allowed to make it, by what that proxy has added', async () => {
    const limits = { bytes: 8192, fields: 50, headTimeoutMs: 1e6, idleTimeoutMs: 1e6, streamIdleTimeoutMs: 1e6 };
    const { through, peer } = await open(carried({ limits }));
    const fields = Array.from({ length: 55 }, (_, i) => [`a${i}`, 'x'.repeat(140)]).flat();
    await peer.ask(peer.headers(1, [...get(), ...fields], true));
    assert.equal(through.opening(), 1);
  });

  it('is answered 431 where it is too large, and the others on the connection go on', async () => {
    const { through, peer } = await open(carried());
    const lines = await peer.ask(
      peer.headers(1, [...get(), 'a', 'x'.repeat(16_300)], true),
      peer.headers(3, get(), true),
    );
    assert.deepEqual(lines, ['HEADERS 1 :status=431, content-length=0 end']);
    assert.equal(through.opening(), 1);
  });
});

it('only a proxy of the mesh says in which version a request was written', async () => {
  const { through, peer } = await open();
  assert.deepEqual(await peer.ask(peer.headers(1, [...get(), ':version', '1.0'], true)), ['RST 1 protocolError']);
  assert.equal(through.opening(), 0);
});
