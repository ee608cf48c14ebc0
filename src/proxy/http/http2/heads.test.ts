// Holds heads of HTTP/2 to RFC 9113 section 8: what is malformed is refused, and what is carried comes out as it went in.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { get, Http2Peer, post } from '../../../../test/harness/http2-peer.js';
import { MemorySocket } from '../../../../test/harness/memory-socket.js';
import type { RequestHead, ResponseHead } from '../message.js';
import { FrameWriter } from './frame-writer.js';
import { StreamError } from './frames.js';
import { readRequestHead, readResponseHead, readTrailers, writeRequestHead, writeResponseHead } from './heads.js';

const request = (list: readonly string[], { carries = false, endStream = true } = {}) =>
  readRequestHead([...list], 100 + 16 * list.length, carries, endStream);
const response = (list: readonly string[], { method = 'GET', endStream = false } = {}) =>
  readResponseHead([...list], 100, method, endStream);
const without = (name: string) => get().filter((_, i, list) => list[i - (i % 2)] !== name);
const replaced = (name: string, value: string) => get().map((each, i, list) => (list[i - 1] === name ? value : each));
const connect = (...more: readonly string[]) => [':method', 'CONNECT', ':authority', 'shop:80', ...more];
const webSocket = [':method', 'CONNECT', ':protocol', 'websocket', ...get().slice(2)];

function refuses(title: string, read: () => unknown): void {
  it(title, () => assert.throws(read, StreamError));
}

describe('a request is malformed', () => {
  for (const name of [':method', ':scheme', ':path', ':authority'])
    refuses(`without ${name}`, () => request(without(name)));
  for (const name of [':method', ':scheme', ':path', ':authority'])
    refuses(`with ${name} twice`, () => request([...get(), name, get()[get().indexOf(name) + 1]!]));
  for (const [name, value] of [
    [':method', ''],
    [':method', 'GE T'],
    [':scheme', 'ftp'],
    [':scheme', ''],
    [':path', ''],
    [':path', 'a'],
    [':path', '*'],
    [':path', '/a b'],
    [':path', '/a#b'],
    [':path', '/a\\b'],
    [':path', '/\u00e4'],
    [':path', 'http://shop/'],
    [':authority', ''],
    [':authority', 'user@shop'],
    [':authority', 'shop,other'],
    [':authority', 'shop:port'],
  ] as const)
    refuses(`with ${name} ${JSON.stringify(value)}`, () => request(replaced(name, value)));
  for (const [name, value] of [
    [':status', '200'],
    [':unknown', 'x'],
    [':version', '1.0'],
    ['A', 'b'],
    ['a b', 'c'],
    ['', 'b'],
    ['a:', 'b'],
    ['connection', 'close'],
    ['keep-alive', 'timeout=5'],
    ['proxy-connection', 'close'],
    ['transfer-encoding', 'chunked'],
    ['upgrade', 'h2c'],
    ['transfer_encoding', 'chunked'],
    ['content_length', '5'],
    ['te', 'gzip'],
    ['te', 'trailers, gzip'],
    ['a', 'b\r\nc: d'],
    ['a', 'b\0'],
    ['a', ' b'],
    ['a', 'b\t'],
    ['content-length', '-1'],
    ['content-length', '+1'],
    ['content-length', '1, 1'],
    ['content-length', ''],
    ['content-length', '1e3'],
    ['content-length', '9999999999999999'],
    ['host', 'other'],
  ] as const)
    refuses(`with ${JSON.stringify(name)}: ${JSON.stringify(value)}`, () =>
      request([...post(), name, value], { endStream: false }),
    );
  refuses('with a pseudo-header behind a header', () => request([...get().slice(0, 6), 'a', 'b', ':authority', 'c']));
  refuses('with Content-Length twice', () =>
    request([...post(), 'content-length', '1', 'content-length', '1'], { endStream: false }),
  );
  refuses('with Host twice', () => request([...get(), 'host', 'shop', 'host', 'shop']));
  refuses('that announces a body and has none', () => request([...post(), 'content-length', '1']));
  refuses('with a protocol where nobody asks for a tunnel', () => request([...get(), ':protocol', 'websocket']));
  refuses('with a protocol that is no token', () => request([':protocol', 'a b', ...webSocket.slice(0, 2), ...get()]));
  refuses('for a tunnel with a path', () => request(connect(':path', '/')));
  refuses('for a tunnel with a scheme', () => request(connect(':scheme', 'http')));
  refuses('for a tunnel to nowhere', () => request([':method', 'CONNECT']));
  refuses('for a tunnel without a port', () => request([':method', 'CONNECT', ':authority', 'shop']));
  refuses('for a tunnel with a length', () => request(connect('content-length', '5'), { endStream: false }));
  refuses('with a version that no application has', () => request([...get(), ':version', '3'], { carries: true }));
  refuses('with two versions', () => request([...get(), ':version', '2', ':version', '2'], { carries: true }));
});

describe('a request', () => {
  it('has what it says', () => {
    assert.deepEqual(
      request([...post('/a?b'), 'x', 'y', 'content-length', '5', 'te', 'trailers', 'x', 'z'], { endStream: false }),
      {
        method: 'POST',
        path: '/a?b',
        authority: 'shop',
        scheme: 'http',
        version: 'HTTP/2',
        headers: ['x', 'y', 'x', 'z'],
        framing: 'length',
        contentLength: 5,
        headBytes: 100,
        upgrade: undefined,
        acceptsTrailers: true,
      },
    );
  });

  it('says by the end of the stream whether it has a body', () => {
    assert.equal(request(post()).framing, 'none');
    assert.equal(request(post(), { endStream: false }).framing, 'chunked');
    assert.equal(request([...post(), 'content-length', '0']).framing, 'none');
  });

  it('may name its host by Host alone, and by both alike', () => {
    assert.equal(request([...without(':authority'), 'host', 'shop']).authority, 'shop');
    assert.equal(request([...get(), 'host', 'shop']).authority, 'shop');
    assert.deepEqual(request([...get(), 'host', 'shop']).headers, []);
  });

  it('may be OPTIONS *', () => {
    const options = replaced(':path', '*').map((each) => (each === 'GET' ? 'OPTIONS' : each));
    assert.equal(request(options).path, '*');
  });

  it('may ask for a tunnel', () => {
    const { method, authority, path, framing, upgrade } = request(connect(), { endStream: false });
    assert.deepEqual([method, authority, path, framing, upgrade], ['CONNECT', 'shop:80', '', 'none', undefined]);
  });

  it('for a tunnel that says that it has no body is one', () => {
    assert.equal(request([...webSocket, 'content-length', '0'], { endStream: false }).contentLength, -1);
  });

  it('may ask for a WebSocket, which is an upgrade', () => {
    const { method, path, framing, upgrade } = request(webSocket, { endStream: false });
    assert.deepEqual([method, path, framing, upgrade], ['GET', '/', 'none', 'websocket']);
  });

  it('in HTTP/2 has one field of cookies, at the place of the first', () => {
    const cookies = ['a', 'b', 'cookie', 'c=1', 'd', 'e', 'cookie', 'f=2', 'cookie', 'g=3'];
    assert.deepEqual(request([...get(), ...cookies]).headers, ['a', 'b', 'cookie', 'c=1; f=2; g=3', 'd', 'e']);
  });

  it('in HTTP/1 that is carried keeps its cookies apart', () => {
    const cookies = ['cookie', 'c=1', 'cookie', 'f=2'];
    assert.deepEqual(request([...get(), ...cookies], { carries: true }).headers, cookies);
  });

  it('in HTTP/1 that is carried may have no host', () => {
    assert.equal(request(without(':authority'), { carries: true }).authority, '');
  });
});

describe('a response is malformed', () => {
  for (const list of [
    [],
    ['a', 'b'],
    ['a', 'b', ':status', '200'],
    [':status', '200', ':status', '200'],
    [':status', '200', ':path', '/'],
    [':status', '20'],
    [':status', '2000'],
    [':status', '099'],
    [':status', 'abc'],
    [':status', '101'],
    [':status', '200', 'connection', 'close'],
    [':status', '200', 'transfer-encoding', 'chunked'],
    [':status', '200', 'A', 'b'],
    [':status', '200', 'a', 'b\r\nc'],
    [':status', '200', 'content-length', '5', 'content-length', '5'],
  ])
    refuses(`as ${JSON.stringify(list)}`, () => response(list));
  refuses('that announces a body and has none', () =>
    response([':status', '200', 'content-length', '5'], { endStream: true }),
  );
});

describe('a response', () => {
  it('may have a header that looks like framing and is none, as servers of HTTP/1 may', () => {
    assert.deepEqual(response([':status', '200', 'content_length', '5']).headers, ['content_length', '5']);
  });

  it('to HEAD or without a changed body may name the length that it would have', () => {
    const list = [':status', '304', 'content-length', '5'];
    assert.equal(response(list, { endStream: true }).contentLength, 5);
    assert.equal(response(list).framing, 'none');
    const head = response([':status', '200', 'content-length', '5'], { method: 'HEAD', endStream: true });
    assert.deepEqual([head.contentLength, head.framing], [5, 'none']);
  });

  it('says how its body is delimited', () => {
    assert.equal(response([':status', '200']).framing, 'chunked');
    assert.equal(response([':status', '200', 'content-length', '5']).framing, 'length');
    assert.equal(response([':status', '200'], { endStream: true }).framing, 'none');
    assert.equal(response([':status', '204']).framing, 'none');
    assert.equal(response([':status', '103']).framing, 'none');
  });
});

describe('trailers', () => {
  refuses('have no pseudo-headers', () => readTrailers([':status', '200']));
  refuses('are held to the rules of headers', () => readTrailers(['Connection', 'close']));

  it('lose what means something only in a head', () => {
    assert.deepEqual(
      readTrailers(['grpc-status', '0', 'authorization', 'x', 'content-length', '5', 'host', 'a', 'te', 'trailers']),
      ['grpc-status', '0'],
    );
  });
});

// ---- there and back

/** Frames of a head, as the peer reads them. */
async function sent(write: (writer: FrameWriter) => void): Promise<{ list: string[]; line: string }> {
  const socket = new MemorySocket();
  const writer = new FrameWriter(socket);
  write(writer);
  writer.flush();
  const peer = new Http2Peer(socket);
  const [line] = peer.lines();
  return { list: peer.lists.get(1)![0]!, line: line! };
}

const name = fc.constantFrom('a', 'x-b', 'cookie', 'accept', 'set-cookie');
const value = fc.string({ unit: fc.constantFrom('a', 'b', ';', '\u00e4', ',', '"'), maxLength: 8 });
const headers = fc.array(fc.tuple(name, value), { maxLength: 8 }).map((fields) => fields.flat());
const requests: fc.Arbitrary<RequestHead> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'HEAD', 'OPTIONS', 'get', 'BREW'),
    path: fc.constantFrom('/', '/a?b=c', '/%00'),
    authority: fc.constantFrom('', 'shop', 'shop:80', '[::1]:80'),
    scheme: fc.constantFrom('http' as const, 'https' as const),
    version: fc.constantFrom('HTTP/1.0' as const, 'HTTP/1.1' as const, 'HTTP/2' as const),
    headers,
    contentLength: fc.constantFrom(-1, 0, 1, 77),
    acceptsTrailers: fc.boolean(),
    upgrade: fc.constantFrom(undefined, undefined, 'websocket'),
    bodiless: fc.boolean(),
  })
  .map(({ bodiless, upgrade, version, authority, headers, contentLength: length, method, ...rest }) => {
    const isUpgrade = upgrade !== undefined && version !== 'HTTP/1.0';
    const contentLength = isUpgrade ? -1 : bodiless ? Math.min(length, 0) : length;
    return {
      ...rest,
      method: isUpgrade ? 'GET' : method,
      version,
      // Those of HTTP/2 are joined where they come in.
      headers: version === 'HTTP/2' ? headers.map((each) => (each === 'cookie' ? 'x' : each)) : headers,
      authority: version === 'HTTP/2' && authority === '' ? 'shop' : authority,
      contentLength,
      framing: bodiless || isUpgrade ? 'none' : contentLength >= 0 ? 'length' : 'chunked',
      upgrade: isUpgrade ? upgrade : undefined,
      headBytes: 0,
    };
  });

it('a request of any version comes out of a proxy as it went into the other', async () => {
  await fc.assert(
    fc.asyncProperty(requests, async (head) => {
      const { list } = await sent((writer) => writeRequestHead(writer, 1, head, true));
      const endStream = head.framing === 'none' && head.upgrade === undefined;
      const read = readRequestHead(list, 16 * list.length, true, endStream);
      assert.deepEqual({ ...read, headBytes: 0 }, head);
    }),
  );
});

it('nothing of the version is told to those who are not proxies of the mesh', async () => {
  await fc.assert(
    fc.asyncProperty(requests, async (head) => {
      const { list } = await sent((writer) => writeRequestHead(writer, 1, head, false));
      assert.equal(list.includes(':version'), false);
    }),
  );
});

it('a response comes out of a proxy as it went into the other', async () => {
  const responses: fc.Arbitrary<ResponseHead> = fc
    .record({ status: fc.constantFrom(200, 404, 503), headers, contentLength: fc.constantFrom(-1, 3) })
    .map((head) => ({ ...head, framing: head.contentLength < 0 ? 'chunked' : 'length', headBytes: 0 }));
  await fc.assert(
    fc.asyncProperty(responses, async (head) => {
      const { list } = await sent((writer) => writeResponseHead(writer, 1, head, false));
      assert.deepEqual({ ...readResponseHead(list, 16 * list.length, 'GET', false), headBytes: 0 }, head);
    }),
  );
});

it('an answer without content has no length', async () => {
  for (const status of [103, 204]) {
    const head: ResponseHead = { status, headers: [], framing: 'none', contentLength: 0, headBytes: 0 };
    assert.deepEqual((await sent((writer) => writeResponseHead(writer, 1, head, false))).list, [
      ':status',
      `${status}`,
    ]);
  }
});

it('the bytes of a head are counted as text, whatever the compression', async () => {
  const head: ResponseHead = { status: 200, headers: ['a', 'bc'], framing: 'none', contentLength: -1, headBytes: 0 };
  let bytes = 0;
  await sent((writer) => (bytes = writeResponseHead(writer, 1, head, true)));
  assert.equal(bytes, ':status200abc'.length);
});
