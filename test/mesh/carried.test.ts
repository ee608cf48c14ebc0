// What applications speak comes out at the far side as it went in, though between the proxies it shares connections of HTTP/2:
// raw bytes into the caller's port, raw bytes seen by the application behind the mTLS pair, and back.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';
import { RawEnd, RawServer } from '../harness/raw-ends.js';
import { connectionsTo } from '../harness/tcp-table.js';

/** Headers that proxies add. */
const added =
  /^(?:x-request-id|x-forwarded-(?:client-cert|proto|for)|x-envoy-[a-z-]+|traceparent|x-b3-[a-z]+|date|server): /;

/** Start line and headers, without what proxies add, and the date. */
function linesOf(head: string): string[] {
  return head.split('\r\n').filter((line) => line !== '' && !added.test(line));
}

describe('requests between two proxies of the mesh', () => {
  let app: RawServer;
  let mesh: TestMesh;
  let port: number;
  const callers: RawEnd[] = [];

  before(async () => {
    app = await RawServer.start();
    mesh = await TestMesh.start({
      'mesh.yaml': `
meshConfig:
  accessLogFile: access.log
  accessLogFormat: "%PROTOCOL% %RESPONSE_CODE% %REQ(:PATH)% %UPSTREAM_CLUSTER%\\n"
services:
  web: { port: 8080, protocol: http, address: "127.0.0.1:${app.port}" }
  client: { command: sleep 1000 }
`,
      'objects.yaml': `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec: { hosts: [web], http: [{ route: [{ destination: { host: web } }], retries: { attempts: 0 } }] }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`,
    });
    port = mesh.workload('client-0').upstreams['web']!;
  });
  afterEach(() => {
    for (const caller of callers.splice(0)) caller.close();
  });
  after(async () => {
    await mesh.close();
    app.close();
  });

  async function caller(text = ''): Promise<RawEnd> {
    const end = await RawEnd.connect(port);
    callers.push(end);
    if (text !== '') end.send(text);
    return end;
  }

  /** Log lines of both proxies about a path: the caller's, then the application's. */
  async function logged(path: string): Promise<string[]> {
    return eventually(() => {
      const lines = readFileSync(join(mesh.directory, 'access.log'), 'utf8').split('\n');
      const found = lines.filter((line) => line.split(' ')[2] === path);
      return found.length >= 2 && found.sort((a, b) => b.indexOf('outbound') - a.indexOf('outbound'));
    }, `two lines about ${path}`);
  }

  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

  it('share a connection of HTTP/2', async () => {
    const from = await Promise.all(
      Array.from({ length: 10 }, (_, i) => caller(`GET /shared/${i} HTTP/1.1\r\nHost: web\r\n\r\n`)),
    );
    const asked = await Promise.all(from.map((_, i) => app.request(`GET /shared/${i} HTTP/1.1`)));
    assert.equal(connectionsTo(mesh.workload('web-0').inbound!.port), 1);
    assert.equal(new Set(asked.map(({ end }) => end)).size, 10);
    for (const { end } of asked) end.send(answer);
    for (const each of from) await each.until('ok');
    const labels = { reporter: 'destination', connection_security_policy: 'mutual_tls', request_protocol: 'http' };
    assert.equal(sumOf(await scrape(mesh.run.url), 'istio_requests_total', labels), 10);
  });

  it('have no length where they have no body, and 0 where they say so', async () => {
    for (const [path, length] of [
      ['/none', []],
      ['/zero', ['content-length: 0']],
    ] as const) {
      const fields = length.map((line) => `${line}\r\n`).join('');
      const from = await caller(`POST ${path} HTTP/1.1\r\nHost: web\r\nX-A: b\r\n${fields}\r\n`);
      const { end, head } = await app.request(`POST ${path} HTTP/1.1`);
      assert.deepEqual(linesOf(head).sort(), [`POST ${path} HTTP/1.1`, 'host: web', 'x-a: b', ...length].sort());
      end.send('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      assert.deepEqual(linesOf(await from.until('\r\n\r\n')), ['HTTP/1.1 200 OK', 'content-length: 0']);
    }
  });

  it('have chunks and trailers both ways, also where there is nothing in them', async () => {
    for (const [path, body] of [
      ['/chunks', '3\r\nabc\r\n2\r\nde\r\n'],
      ['/no-chunks', ''],
    ] as const) {
      const from = await caller(
        `POST ${path} HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n${body}0\r\nX-Asked: 1\r\n\r\n`,
      );
      const { end, head } = await app.request(`POST ${path} HTTP/1.1`);
      assert.deepEqual(linesOf(head).at(-1), 'transfer-encoding: chunked');
      const asked = await end.until(/0\r\n(?:[^\r]+\r\n)*\r\n/);
      assert.equal(unchunk(asked), body === '' ? '' : 'abcde');
      assert.match(asked, /0\r\nx-asked: 1\r\n\r\n$/);
      end.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}0\r\nX-Told: 2\r\n\r\n`);
      const told = await from.until(/0\r\n(?:[^\r]+\r\n)*\r\n$/);
      assert.match(told, /\r\ntransfer-encoding: chunked\r\n\r\n/);
      assert.match(told, /0\r\nx-told: 2\r\n\r\n$/);
    }
  });

  it('keep the order of their headers, repeated ones, and cookies apart', async () => {
    const fields = ['x-b: 1', 'cookie: a=1', 'x-a: 2', 'cookie: b=2', 'x-b: 3', 'x-empty: '];
    const from = await caller(`GET /order HTTP/1.1\r\nHost: web\r\n${fields.join('\r\n')}\r\n\r\n`);
    const { end, head } = await app.request('GET /order HTTP/1.1');
    assert.deepEqual(linesOf(head), ['GET /order HTTP/1.1', 'host: web', ...fields]);
    const told = ['set-cookie: a', 'x-b: 1', 'set-cookie: b', 'x-b: 2'];
    end.send(`HTTP/1.1 200 OK\r\n${told.join('\r\n')}\r\ncontent-length: 0\r\n\r\n`);
    assert.deepEqual(linesOf(await from.until('\r\n\r\n')), ['HTTP/1.1 200 OK', ...told, 'content-length: 0']);
  });

  it('may be OPTIONS * or name the whole target', async () => {
    const star = await caller('OPTIONS * HTTP/1.1\r\nHost: web\r\n\r\n');
    (await app.request('OPTIONS * HTTP/1.1')).end.send(answer);
    await star.until('ok');
    const whole = await caller('GET http://web/whole?a=b HTTP/1.1\r\nHost: other\r\n\r\n');
    const { end, head } = await app.request('GET /whole?a=b HTTP/1.1');
    assert.match(head, /\r\nhost: web\r\n/);
    end.send(answer);
    await whole.until('ok');
  });

  it('get 100 from the application before they send their body', async () => {
    const from = await caller(
      'PUT /continue HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
    );
    const { end, head } = await app.request('PUT /continue HTTP/1.1');
    assert.ok(linesOf(head).includes('expect: 100-continue'));
    end.send('HTTP/1.1 100 Continue\r\n\r\n');
    assert.deepEqual(linesOf(await from.until('\r\n\r\n')), ['HTTP/1.1 100 Continue']);
    assert.equal(end.unread, '');
    from.send('hello');
    assert.equal(await end.until('hello'), 'hello');
    end.send(answer);
    await from.until('ok');
  });

  it('get interim answers as they come', async () => {
    const from = await caller('GET /hints HTTP/1.1\r\nHost: web\r\n\r\n');
    const { end } = await app.request('GET /hints HTTP/1.1');
    end.send('HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n');
    assert.deepEqual(linesOf(await from.until('\r\n\r\n')), ['HTTP/1.1 103 Early Hints', 'link: </a.css>']);
    end.send(answer);
    await from.until('ok');
  });

  it('get answers without content as they are', async () => {
    for (const [line, told, expected] of [
      ['HEAD /head', '200 OK\r\ncontent-length: 77', ['HTTP/1.1 200 OK', 'content-length: 77']],
      ['HEAD /head-none', '200 OK', ['HTTP/1.1 200 OK']],
      ['GET /204', '204 No Content', ['HTTP/1.1 204 No Content']],
      ['GET /304', '304 Not Modified\r\netag: "a"', ['HTTP/1.1 304 Not Modified', 'etag: "a"']],
      ['GET /304-length', '304 Not Modified\r\ncontent-length: 9', ['HTTP/1.1 304 Not Modified', 'content-length: 9']],
    ] as const) {
      const from = await caller(`${line} HTTP/1.1\r\nHost: web\r\n\r\n`);
      (await app.request(`${line} HTTP/1.1`)).end.send(`HTTP/1.1 ${told}\r\n\r\n`);
      assert.deepEqual(linesOf(await from.until('\r\n\r\n')), expected);
      from.send('GET /next HTTP/1.1\r\nHost: web\r\n\r\n');
      (await app.request('GET /next HTTP/1.1')).end.send(answer);
      assert.match(await from.until('ok'), /^HTTP\/1\.1 200 OK\r\n/);
    }
  });

  it('in HTTP/1.0 end with their connection, unless they ask to keep it', async () => {
    for (const [path, fields, told, kept] of [
      ['/old', '', 'content-length: 2', false],
      ['/old-kept', 'Host: web\r\nConnection: keep-alive\r\n', 'content-length: 2', true],
      ['/old-unknown-length', 'Host: web\r\nConnection: keep-alive\r\n', 'transfer-encoding: chunked', false],
    ] as const) {
      const from = await caller(`GET ${path} HTTP/1.0\r\n${fields}\r\n`);
      const { end } = await app.request(`GET ${path} HTTP/1.1`);
      end.send(`HTTP/1.1 200 OK\r\n${told}\r\n\r\n${told.startsWith('t') ? '2\r\nok\r\n0\r\n\r\n' : 'ok'}`);
      const got = await from.until(/\r\n\r\nok/);
      assert.match(got, kept ? /\r\nconnection: keep-alive\r\n/ : /\r\nconnection: close\r\n/);
      assert.doesNotMatch(got, /transfer-encoding/);
      if (!kept) assert.equal(await from.untilEnd('fin'), '');
      assert.deepEqual(
        (await logged(path)).map((line) => line.split(' ')[0]),
        ['HTTP/1.0', 'HTTP/1.0'],
      );
    }
  });

  it('end the connection on which either application says so, and no other', async () => {
    const from = await caller('GET /close HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n');
    const first = await app.request('GET /close HTTP/1.1');
    assert.doesNotMatch(first.head, /connection: close/);
    first.end.send(answer);
    assert.match(await from.until('ok'), /\r\nconnection: close\r\n/);
    await from.untilEnd('fin');

    const kept = await caller('GET /closes HTTP/1.1\r\nHost: web\r\n\r\n');
    const second = await app.request('GET /closes HTTP/1.1');
    second.end.send('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok');
    second.end.end();
    assert.doesNotMatch(await kept.until('ok'), /connection: close/);
    kept.send('GET /after HTTP/1.1\r\nHost: web\r\n\r\n');
    (await app.request('GET /after HTTP/1.1')).end.send(answer);
    await kept.until('ok');
  });

  it('get an answer that ends with the connection of the application whole', async () => {
    const from = await caller('GET /until-end HTTP/1.1\r\nHost: web\r\n\r\n');
    const { end } = await app.request('GET /until-end HTTP/1.1');
    end.send('HTTP/1.1 200 OK\r\n\r\nall of it');
    end.end();
    assert.equal(unchunk((await from.until('0\r\n\r\n')).split('\r\n\r\n').slice(1).join('\r\n\r\n')), 'all of it');
  });

  it('never get an answer that broke off as a whole one', async () => {
    const from = await caller('GET /broken HTTP/1.1\r\nHost: web\r\n\r\n');
    const { end } = await app.request('GET /broken HTTP/1.1');
    end.send('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n');
    await from.until('half');
    end.reset();
    assert.doesNotMatch(await from.untilEnd(), /0\r\n\r\n/);
  });

  it('may be answered before they are complete', async () => {
    const from = await caller('POST /early HTTP/1.1\r\nHost: web\r\nContent-Length: 1000\r\n\r\nsome');
    const { end } = await app.request('POST /early HTTP/1.1');
    await end.until('some');
    end.send('HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\n\r\nno');
    assert.match(await from.until(/\r\n\r\nno/), /^HTTP\/1\.1 413 Payload Too Large\r\n/);
  });

  it('and their answers may have heads of any size that is allowed', async () => {
    const large = ['a', 'b', 'c', 'd'].map((name) => `x-${name}: ${name.repeat(12_000)}`);
    const from = await caller(`GET /large HTTP/1.1\r\nHost: web\r\n${large.join('\r\n')}\r\n\r\n`);
    const { end, head } = await app.request('GET /large HTTP/1.1');
    assert.deepEqual(linesOf(head), ['GET /large HTTP/1.1', 'host: web', ...large]);
    end.send(`HTTP/1.1 200 OK\r\n${large.join('\r\n')}\r\ncontent-length: 0\r\n\r\n`);
    assert.deepEqual(linesOf(await from.until('\r\n\r\n')), ['HTTP/1.1 200 OK', ...large, 'content-length: 0']);
  });

  it('with as many headers as are allowed arrive, and no one else notices', async () => {
    const many = Array.from({ length: 98 }, (_, i) => `x-${i}: ${'v'.repeat(590)}`);
    const from = await caller(`GET /many HTTP/1.1\r\nHost: web\r\n${many.join('\r\n')}\r\n\r\n`);
    const { end, head } = await app.request('GET /many HTTP/1.1');
    assert.deepEqual(linesOf(head).slice(2), many);
    end.send(answer);
    await from.until('ok');
  });

  it('lose the reason phrase and the case of names, and nothing else', async () => {
    const from = await caller('GET /lost HTTP/1.1\r\nHOST: web\r\nX-Case: Kept\r\n\r\n');
    const { end, head } = await app.request('GET /lost HTTP/1.1');
    assert.deepEqual(linesOf(head).slice(1), ['host: web', 'x-case: Kept']);
    end.send('HTTP/1.1 200 Splendid\r\nX-Case: Kept\r\ncontent-length: 0\r\n\r\n');
    assert.deepEqual(linesOf(await from.until('\r\n\r\n')), ['HTTP/1.1 200 OK', 'x-case: Kept', 'content-length: 0']);
  });

  it('of HTTP/2 have their crumbs of cookies joined, and are HTTP/2 in both logs', async () => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const stream = session.request({ ':path': '/h2', ':authority': 'web', cookie: ['a=1', 'b=2'] as never });
    const { end, head } = await app.request('GET /h2 HTTP/1.1');
    assert.deepEqual(linesOf(head), ['GET /h2 HTTP/1.1', 'host: web', 'cookie: a=1; b=2']);
    const status = new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])));
    end.send(answer);
    assert.equal(await status, 200);
    stream.resume();
    await new Promise((resolve) => session.close(() => resolve(undefined)));
    const lines = await logged('/h2');
    assert.deepEqual(
      lines.map((line) => line.split(' ').slice(0, 2)),
      [
        ['HTTP/2', '200'],
        ['HTTP/2', '200'],
      ],
    );
  });

  it('show their version in both logs', async () => {
    const from = await caller('GET /version HTTP/1.1\r\nHost: web\r\n\r\n');
    (await app.request('GET /version HTTP/1.1')).end.send(answer);
    await from.until('ok');
    const lines = await logged('/version');
    assert.match(lines[0]!, /^HTTP\/1\.1 200 \/version outbound\|/);
    assert.match(lines[1]!, /^HTTP\/1\.1 200 \/version inbound\|/);
  });

  describe('that switch to WebSocket', () => {
    const asked = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n';
    const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

    /** A caller and the application behind it, that have switched. */
    async function open(path: string): Promise<{ from: RawEnd; end: RawEnd }> {
      const from = await caller(`GET ${path} HTTP/1.1\r\nHost: web\r\n${asked}\r\n`);
      const { end, head } = await app.request(`GET ${path} HTTP/1.1`);
      assert.ok(linesOf(head).includes('upgrade: websocket') && linesOf(head).includes('connection: upgrade'));
      end.send(`${switched}hello`);
      assert.match(
        await from.until('hello'),
        /^HTTP\/1\.1 101 Switching Protocols\r\n[^]*upgrade: websocket\r\n\r\nhello$/,
      );
      return { from, end };
    }

    it('carry bytes both ways, and each side ends for itself', async () => {
      const { from, end } = await open('/ws');
      from.send('ping');
      await end.until('ping');
      from.end();
      await end.untilEnd('fin');
      end.send('pong');
      await from.until('pong');
      end.end();
      await from.untilEnd('fin');
    });

    it('break where the application breaks', async () => {
      const { from, end } = await open('/ws-app-resets');
      end.reset();
      await from.untilEnd('reset');
    });

    it('break where the caller breaks, and the others on the connection go on', async () => {
      const other = await caller('GET /beside HTTP/1.1\r\nHost: web\r\n\r\n');
      const beside = await app.request('GET /beside HTTP/1.1');
      const { from, end } = await open('/ws-caller-resets');
      from.reset();
      await end.untilEnd('reset');
      beside.end.send(answer);
      await other.until('ok');
    });

    it('are answered as the application answers where it does not switch', async () => {
      const from = await caller(`GET /ws-page HTTP/1.1\r\nHost: web\r\n${asked}\r\n`);
      (await app.request('GET /ws-page HTTP/1.1')).end.send(answer);
      assert.match(await from.until(/\r\n\r\nok/), /^HTTP\/1\.1 200 OK\r\n[^]*content-length: 2\r\n/);
      const refused = await caller(`GET /ws-no HTTP/1.1\r\nHost: web\r\n${asked}\r\n`);
      (await app.request('GET /ws-no HTTP/1.1')).end.send('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno');
      assert.match(await refused.until(/\r\n\r\nno/), /^HTTP\/1\.1 403 Forbidden\r\n/);
    });

    it('may send more than anybody takes at once', async () => {
      const { from, end } = await open('/ws-large');
      const large = 'x'.repeat(3_000_000);
      end.send(`${large}.`);
      from.send(`${large}.`);
      assert.equal((await from.until('.')).length, large.length + 1);
      assert.equal((await end.until('.')).length, large.length + 1);
    });
  });

  it('may be tunnels that a caller of HTTP/2 asks for', async () => {
    const { outboundHttp } = mesh.workload('client-0');
    const session = http2.connect(`http://127.0.0.1:${outboundHttp.port}`);
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'web:8080' });
    const status = new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])));
    stream.write('GET /tunnelled HTTP/1.1\r\nHost: web\r\n\r\n');
    assert.equal(await status, 200);
    (await app.request('GET /tunnelled HTTP/1.1')).end.send(answer);
    let received = '';
    await new Promise<void>((resolve) =>
      stream.on('data', (chunk) => {
        received += String(chunk);
        if (received.endsWith('ok')) resolve();
      }),
    );
    assert.match(received, /^HTTP\/1\.1 200 OK\r\n/);
    stream.end();
    await new Promise((resolve) => session.close(() => resolve(undefined)));
  });

  it('are all that the application ever got', () => {
    assert.deepEqual(
      app.ends.map(({ unread }) => unread).filter((text) => text !== ''),
      [],
    );
  });
});

/** The content of chunks. */
function unchunk(text: string): string {
  let content = '';
  for (let rest = text; ;) {
    const [, size, after] = /^([0-9a-f]+)\r\n([^]*)$/i.exec(rest) ?? [];
    const length = Number.parseInt(size ?? '0', 16);
    if (length === 0) return content;
    content += after!.slice(0, length);
    rest = after!.slice(length + 2);
  }
}
