// Holds the reading of heads to RFC 9112: what two implementations could read differently is refused.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import v8 from 'node:v8';
import vm from 'node:vm';
import fc from 'fast-check';
import type { RequestHead } from '../message.js';
import {
  formatRequestHead,
  formatResponseHead,
  formatTrailers,
  HttpSyntaxError,
  parseRequestHead,
  parseResponseHead,
  parseTrailers,
} from './head.js';

const limits = { bytes: 60 * 1024, fields: 100 };
const request = (...lines: string[]) => parseRequestHead(lines.join('\r\n'), limits);
const get = (...fields: string[]) => request('GET / HTTP/1.1', 'Host: a', ...fields);
const response = (lines: readonly string[], method = 'GET') => parseResponseHead(lines.join('\r\n'), method, limits);

function refused(status: number, parse: () => unknown): void {
  assert.throws(parse, (error) => error instanceof HttpSyntaxError && error.status === status);
}

describe('the request line', () => {
  it('gives method, path and version', () => {
    const head = request('PATCH /a/b?c=d HTTP/1.1', 'Host: shop:8080');
    assert.equal(head.method, 'PATCH');
    assert.equal(head.path, '/a/b?c=d');
    assert.equal(head.authority, 'shop:8080');
    assert.equal(head.version, 'HTTP/1.1');
    assert.equal(head.keepAlive, true);
  });

  for (const [what, line, status] of [
    ['without a target', 'GET HTTP/1.1', 400],
    ['with two spaces', 'GET  / HTTP/1.1', 400],
    ['with a tab', 'GET\t/ HTTP/1.1', 400],
    ['that begins with a space', ' GET / HTTP/1.1', 400],
    ['with a space in the target', 'GET /a b HTTP/1.1', 400],
    ['without a version', 'GET /', 400],
    ['of HTTP/2', 'GET / HTTP/2.0', 505],
    ['of HTTP/1.2', 'GET / HTTP/1.2', 505],
    ['with a version in lower case', 'GET / http/1.1', 400],
    ['that ends with a bare line feed', 'GET / HTTP/1.1\nX: y', 400],
    ['with a fragment', 'GET /a#b HTTP/1.1', 400],
    ['with a backslash', 'GET /a\\b HTTP/1.1', 400],
    ['with bytes beyond ASCII', 'GET /\xe4 HTTP/1.1', 400],
    ['with a control character', 'GET /\x01 HTTP/1.1', 400],
    ['with a method that is not a token', 'GE(T / HTTP/1.1', 400],
    ['with a target that is no path', 'GET a HTTP/1.1', 400],
    ['with * for another method than OPTIONS', 'GET * HTTP/1.1', 400],
    ['with a scheme other than HTTP', 'GET ftp://a/ HTTP/1.1', 400],
    ['with an absolute target without a host', 'GET http:///a HTTP/1.1', 400],
    ['with a user in the target', 'GET http://me@a/ HTTP/1.1', 400],
    ['of a CONNECT without a port', 'CONNECT a HTTP/1.1', 400],
    ['of a CONNECT with a path', 'CONNECT /a:80/ HTTP/1.1', 400],
  ] as const)
    it(`${what} is refused`, () => refused(status, () => request(line, 'Host: a')));

  it('OPTIONS * keeps its target', () => assert.equal(request('OPTIONS * HTTP/1.1', 'Host: a').path, '*'));

  it('the host of an absolute target outweighs Host', () => {
    const head = request('GET http://b:81/x?y HTTP/1.1', 'Host: a');
    assert.equal(head.authority, 'b:81');
    assert.equal(head.path, '/x?y');
  });

  it('an absolute target without a path asks for /', () => {
    assert.equal(request('GET http://b HTTP/1.1', 'Host: a').path, '/');
    assert.equal(request('GET http://b?x HTTP/1.1', 'Host: a').path, '/?x');
  });

  it('the target of CONNECT is the authority', () => {
    const head = request('CONNECT b:443 HTTP/1.1', 'Host: a');
    assert.equal(head.authority, 'b:443');
    assert.equal(head.path, '');
  });
});

describe('Host', () => {
  it('is needed in HTTP/1.1', () => refused(400, () => request('GET / HTTP/1.1', 'X: y')));
  it('is not needed in HTTP/1.0', () => assert.equal(request('GET / HTTP/1.0').authority, ''));
  it('is refused a second time, equal or not', () => {
    refused(400, () => get('Host: b'));
    refused(400, () => get('Host: a'));
  });
  it('may be empty', () => assert.equal(request('GET / HTTP/1.1', 'Host:').authority, ''));
  it('may be an IPv6 address', () => assert.equal(request('GET / HTTP/1.1', 'Host: [::1]:80').authority, '[::1]:80'));
  for (const host of ['a b', 'a/b', 'a,b', 'a@b', 'a:b', 'a:123456', '[::1', 'a?b', 'a:80:80'])
    it(`${host} is refused`, () => refused(400, () => request('GET / HTTP/1.1', `Host: ${host}`)));
  it('is checked beside an absolute target too', () =>
    refused(400, () => request('GET http://b/ HTTP/1.1', 'Host: a@b')));
});

describe('header fields', () => {
  it('keep order, repetition and the case of values; names are in lower case', () =>
    assert.deepEqual(get('X-A: One', 'x-b:2', 'X-a:  three \t').headers, ['x-a', 'One', 'x-b', '2', 'x-a', 'three']));
  it('may be empty', () => assert.deepEqual(get('X:').headers, ['x', '']));
  it('may have bytes beyond ASCII, which stay as they are', () =>
    assert.deepEqual(get('X: \xc3\xa4').headers, ['x', '\xc3\xa4']));

  for (const [what, field] of [
    ['continued on the next line', 'X: y\r\n z'],
    ['continued with a colon on the next line', 'X: y\r\n Content-Length: 5'],
    ['continued after a tab', 'X: y\r\n\tz'],
    ['without a colon', 'X'],
    ['without a name', ': x'],
    ['with a space before the colon', 'X : y'],
    ['with a space in the name', 'X Y: z'],
    ['with a bare line feed', 'X: y\nZ: a'],
    ['with a bare carriage return', 'X: y\rZ: a'],
    ['with a zero byte', 'X: y\0'],
    ['with a delete character', 'X: \x7f'],
    ['with bytes beyond ASCII in the name', 'X\xe4: y'],
  ] as const)
    it(`${what} are refused`, () => refused(400, () => get(field)));

  it('are refused beyond their number, with 431', () => {
    const fields = Array.from({ length: limits.fields - 1 }, (_, i) => `X-${i}: y`);
    assert.equal(get(...fields).headers.length, 2 * fields.length);
    refused(431, () => get(...fields, 'Z: y'));
  });

  it('between two neighbours are not passed on', () =>
    assert.deepEqual(
      get(
        'Connection: close, X',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: x',
        'TE: trailers',
        'Upgrade: h2c',
        'X: y',
      ).headers,
      ['x', 'y'],
    ));

  it('do not stay in memory because of their names', () => {
    v8.setFlagsFromString('--expose-gc');
    const collect = vm.runInNewContext('gc') as () => void;
    const longName = (i: number) => `X-${i}-${'y'.repeat(30_000)}: z`;
    const longHead = (i: number) => `A-long-name-${i}: ${'y'.repeat(30_000)}`;
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 800; i++) get(longName(i), longHead(i));
    collect();
    assert.ok(process.memoryUsage().heapUsed - before < 20e6, 'heads of requests that are over stay in memory');
  });
});

describe('framing of requests', () => {
  it('none without Content-Length and Transfer-Encoding', () => {
    const head = get();
    assert.deepEqual([head.framing, head.contentLength], ['none', -1]);
  });
  it('Content-Length gives the length', () => {
    const head = get('Content-Length: 12');
    assert.deepEqual([head.framing, head.contentLength, head.headers], ['length', 12, []]);
  });
  it('Content-Length 0 is a body of nothing', () => {
    const head = get('Content-Length: 0');
    assert.deepEqual([head.framing, head.contentLength], ['none', 0]);
  });
  it('chunked in any case of letters', () => assert.equal(get('Transfer-Encoding: Chunked').framing, 'chunked'));

  it('a second Content-Length is refused, with another value and with the same', () => {
    refused(400, () => get('Content-Length: 1', 'Content-Length: 2'));
    refused(400, () => get('Content-Length: 1', 'Content-Length: 1'));
  });
  for (const value of ['', '+1', '-1', '1, 1', '0x1', '1 1', '1.0', '1e3', '9'.repeat(16), '\u0661'])
    it(`Content-Length ${JSON.stringify(value)} is refused`, () => refused(400, () => get(`Content-Length: ${value}`)));
  it('Content-Length beside Transfer-Encoding is refused, in either order', () => {
    refused(400, () => get('Content-Length: 1', 'Transfer-Encoding: chunked'));
    refused(400, () => get('Transfer-Encoding: chunked', 'Content-Length: 1'));
  });
  it('a second Transfer-Encoding is refused', () =>
    refused(400, () => get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')));
  it('Transfer-Encoding in HTTP/1.0 is refused', () =>
    refused(400, () => request('POST / HTTP/1.0', 'Transfer-Encoding: chunked')));
  for (const [coding, status] of [
    ['gzip, chunked', 501],
    ['chunked, chunked', 501],
    ['gzip', 400],
    ['chunked, gzip', 501],
    ['identity', 400],
    ['xchunked', 400],
    ['chunked;q=1', 400],
    ['"chunked"', 400],
    ['\x0bchunked', 400],
    ['', 400],
  ] as const)
    it(`Transfer-Encoding ${JSON.stringify(coding)} is refused`, () =>
      assert.throws(
        () => get(`Transfer-Encoding: ${coding}`),
        (error) => error instanceof HttpSyntaxError && [status, 400].includes(error.status),
      ));
});

describe('the connection after a request', () => {
  const keptAlive = (version: string, ...fields: string[]) =>
    request(`GET / ${version}`, 'Host: a', ...fields).keepAlive;
  it('is kept in HTTP/1.1 unless it says close', () => {
    assert.equal(keptAlive('HTTP/1.1'), true);
    assert.equal(keptAlive('HTTP/1.1', 'Connection: x, Close'), false);
  });
  it('is closed in HTTP/1.0 unless it says keep-alive', () => {
    assert.equal(keptAlive('HTTP/1.0'), false);
    assert.equal(keptAlive('HTTP/1.0', 'Connection: Keep-Alive'), true);
    assert.equal(keptAlive('HTTP/1.0', 'Connection: keep-alive, close'), false);
  });
  it('Expect counts in HTTP/1.1 only', () => {
    assert.equal(get('Expect: 100-Continue').expectsContinue, true);
    assert.equal(request('GET / HTTP/1.0', 'Expect: 100-continue').expectsContinue, false);
  });
});

describe('responses', () => {
  it('give status and headers', () => {
    const head = response(['HTTP/1.1 418 I am a teapot', 'X: y', 'Content-Length: 3']);
    assert.deepEqual([head.status, head.framing, head.contentLength, head.headers], [418, 'length', 3, ['x', 'y']]);
  });
  it('need no reason', () => {
    assert.equal(response(['HTTP/1.1 200 ']).status, 200);
    assert.equal(response(['HTTP/1.1 200']).status, 200);
  });
  for (const line of [
    'HTTP/1.1 99 x',
    'HTTP/1.1 1000',
    'HTTP/1.1 0200',
    'HTTP/1.1  200',
    'HTTP/1.1 2x0 OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 200 O\rK',
    'HTTP/1.1',
    'ICY 200 OK',
    '',
  ])
    it(`${JSON.stringify(line)} is refused`, () => assert.throws(() => response([line]), HttpSyntaxError));

  it('without a length end with the connection, which is then not used again', () => {
    const head = response(['HTTP/1.1 200 OK']);
    assert.deepEqual([head.framing, head.keepAlive], ['close', false]);
  });
  for (const [what, status, method] of [
    ['to HEAD', 200, 'HEAD'],
    ['204', 204, 'GET'],
    ['304', 304, 'GET'],
    ['100', 100, 'GET'],
    ['103', 103, 'GET'],
    ['200 to CONNECT', 200, 'CONNECT'],
  ] as const)
    it(`${what} have no body whatever they say`, () => {
      for (const field of ['Content-Length: 5', 'Transfer-Encoding: chunked', 'X: y']) {
        const head = response([`HTTP/1.1 ${status} x`, field], method);
        assert.deepEqual([head.framing, head.keepAlive], ['none', true]);
      }
    });
  it('to HEAD keep the length that they tell', () =>
    assert.equal(response(['HTTP/1.1 200 OK', 'Content-Length: 5'], 'HEAD').contentLength, 5));
  it('keep the connection in HTTP/1.0 only where they say so', () => {
    assert.equal(response(['HTTP/1.0 200 OK', 'Content-Length: 0']).keepAlive, false);
    assert.equal(response(['HTTP/1.0 200 OK', 'Content-Length: 0', 'Connection: keep-alive']).keepAlive, true);
  });
  it('tell how long the server keeps an idle connection', () => {
    const kept = (value: string) =>
      response(['HTTP/1.1 200 OK', 'Content-Length: 0', `Keep-Alive: ${value}`]).keepAliveTimeoutMs;
    assert.equal(kept('timeout=5'), 5000);
    assert.equal(kept('max=7, timeout=5'), 5000);
    assert.equal(kept('xtimeout=5'), undefined);
  });
  it('with Content-Length beside Transfer-Encoding are refused', () =>
    assert.throws(
      () => response(['HTTP/1.1 200 OK', 'Content-Length: 5', 'Transfer-Encoding: chunked']),
      HttpSyntaxError,
    ));
});

describe('trailers', () => {
  it('keep what is harmless', () =>
    assert.deepEqual(parseTrailers('Grpc-Status: 0\r\nX: y', limits), ['grpc-status', '0', 'x', 'y']));
  it('lose what frames, routes or authorises', () =>
    assert.deepEqual(
      parseTrailers('Content-Length: 5\r\nHost: b\r\nAuthorization: me\r\nX: y\r\nSet-Cookie: a', limits),
      ['x', 'y'],
    ));
  it('with a continued line are refused', () => refused(400, () => parseTrailers('X: y\r\n z', limits)));
});

describe('formatting', () => {
  it('writes what is given, framing last', () => {
    const head = response(['HTTP/1.1 200 Fine', 'X: y', 'Content-Length: 3']);
    assert.equal(
      formatResponseHead(head, 'content-length: 3\r\n'),
      'HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 3\r\n\r\n',
    );
    assert.equal(formatTrailers(['a', 'b']), 'a: b\r\n');
    assert.equal(formatTrailers(undefined), '');
  });

  const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/).filter((name) => !reserved.has(name));
  const value = fc.stringMatching(/^[\x21-\x7e\x80-\xff]([\x20-\x7e\x80-\xff]{0,10}[\x21-\x7e\x80-\xff])?$/);
  it('parsing what was written gives the same', () =>
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'POST', 'PURGE'),
        fc.stringMatching(/^\/[a-z0-9%/?=&.~-]{0,20}$/),
        fc.array(fc.tuple(word, value), { maxLength: 8 }),
        (method, path, fields) => {
          const head = { method, path, authority: 'shop:80', headers: fields.flat() } as unknown as RequestHead;
          const text = formatRequestHead(head, 'content-length: 7\r\n');
          const parsed = parseRequestHead(text.slice(0, -4), limits);
          const { headers, authority, contentLength, headBytes } = parsed;
          assert.deepEqual([parsed.method, parsed.path, headers], [method, path, fields.flat()]);
          assert.deepEqual([authority, contentLength, headBytes], ['shop:80', 7, text.length]);
        },
      ),
    ));

  it('parsing never throws anything but a refusal', () =>
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'GET / HTTP/1.1\r\nHost: a\tx;,=0\0'), maxLength: 80 }),
        (text) => {
          for (const parse of [
            () => parseRequestHead(`GET / HTTP/1.1\r\nHost: a\r\n${text}`, limits),
            () => parseRequestHead(text, limits),
            () => parseResponseHead(text, 'GET', limits),
          ])
            try {
              parse();
            } catch (error) {
              assert.ok(error instanceof HttpSyntaxError);
            }
        },
      ),
    ));
});

const reserved = new Set(['connection', 'te', 'host', 'upgrade', 'keep-alive', 'expect']);
