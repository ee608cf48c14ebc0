// Holds a connection to a server to its promise: an answer goes to whom it belongs, whole or told as lost.
import assert from 'node:assert/strict';
import net, { type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { MemorySocket, settle } from '../../../../test/harness/memory-socket.js';
import type { RelayEnd } from '../../tcp/relay.js';
import type { Headers, RequestHead, ResponseHead } from '../message.js';
import type { UpstreamEvents, UpstreamFailure, UpstreamStream } from '../streams.js';
import { Http1ClientConnection, type ConnectionOwner } from './client-connection.js';

class Call implements UpstreamEvents {
  readonly request: RequestHead;
  stream: UpstreamStream | undefined;
  readonly informational: number[] = [];
  head: ResponseHead | undefined;
  body = '';
  trailers: Headers | undefined;
  ends = 0;
  failure: UpstreamFailure | undefined;
  upgraded: { readonly socket: Socket; readonly first: string | undefined } | undefined;
  drained = 0;

  constructor(request: Partial<RequestHead> = {}) {
    this.request = {
      method: 'GET',
      path: '/',
      authority: 'a',
      scheme: 'http',
      version: 'HTTP/1.1',
      headers: [],
      framing: 'none',
      contentLength: -1,
      headBytes: 0,
      ...request,
    };
  }

  onUpstreamReady(stream: UpstreamStream): void {
    this.stream = stream;
  }

  onUpgraded(head: ResponseHead, { socket, first }: RelayEnd): void {
    this.head = head;
    this.upgraded = { socket, first: first?.toString() };
  }

  onInformational({ status }: ResponseHead): void {
    this.informational.push(status);
  }

  onResponseHead(head: ResponseHead, endsHere: boolean): void {
    assert.equal(this.head, undefined);
    this.head = head;
    if (endsHere) this.ends++;
  }

  onResponseBody(chunk: Buffer): void {
    this.body += chunk.toString('latin1');
  }

  onResponseEnd(trailers: Headers | undefined): void {
    this.trailers = trailers;
    this.ends++;
  }

  onUpstreamFailure(failure: UpstreamFailure): void {
    assert.equal(this.failure, undefined);
    this.failure = failure;
  }

  onUpstreamDrain(): void {
    this.drained++;
  }

  /** Status, body, number of ends. */
  get result(): unknown[] {
    return [this.head?.status, this.body, this.ends];
  }
}

function open({ stale = false, socket }: { stale?: boolean; socket?: Socket } = {}) {
  const server = new MemorySocket();
  const counts = { free: 0, closed: 0, stale: 0 };
  const owner: ConnectionOwner = {
    onFree: () => counts.free++,
    onClosed: () => counts.closed++,
    onStale: () => {
      counts.stale++;
      return stale;
    },
  };
  const connection = new Http1ClientConnection(socket ?? server.socket, owner, () => undefined);
  const call = async (request: Partial<RequestHead> = {}, complete = true): Promise<Call> => {
    const started = new Call(request);
    connection.begin(started);
    if (complete) started.stream!.sendEnd(undefined);
    await settle();
    return started;
  };
  const receive = async (text: string): Promise<void> => {
    server.receive(text);
    await settle();
  };
  return { server, counts, connection, call, receive };
}

describe('requests', () => {
  it('are sent with what frames them', async () => {
    const { server, call } = open();
    await call({ headers: ['x', 'y'] });
    assert.equal(server.sent, 'GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n');
  });
  it('with a body of known length are sent as they came', async () => {
    const { server, call } = open();
    const post = await call({ method: 'POST', framing: 'length', contentLength: 5 }, false);
    post.stream!.sendBody(Buffer.from('he'));
    post.stream!.sendBody(Buffer.from('llo'));
    post.stream!.sendEnd(undefined);
    await settle();
    assert.equal(server.sent, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello');
  });
  it('of no length keep saying so', async () => {
    const { server, call } = open();
    await call({ method: 'POST', contentLength: 0 });
    assert.match(server.sent, /\r\ncontent-length: 0\r\n/);
  });
  it('in chunks are sent in chunks, with trailers', async () => {
    const { server, call } = open();
    const post = await call({ method: 'POST', framing: 'chunked' }, false);
    post.stream!.sendBody(Buffer.from('hello'));
    post.stream!.sendBody(Buffer.alloc(0));
    post.stream!.sendEnd(['t', 'u']);
    await settle();
    assert.equal(
      server.sent,
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nt: u\r\n\r\n',
    );
  });
});

describe('answers', () => {
  for (const [what, method, text, result] of [
    ['of known length', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', [200, 'hello', 1]],
    [
      'in chunks',
      'GET',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\n\r\n',
      [200, 'hello', 1],
    ],
    ['without a body', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', [200, '', 1]],
    ['to HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', [200, '', 1]],
    ['to HEAD in chunks', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', [200, '', 1]],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', [204, '', 1]],
    ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', [304, '', 1]],
    [
      'of HTTP/1.0 that keeps',
      'GET',
      'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na',
      [200, 'a', 1],
    ],
  ] as const) {
    it(`${what} free the connection`, async () => {
      const { call, receive, counts, connection } = open();
      const get = await call({ method });
      await receive(text);
      assert.deepEqual([get.result, counts.free, connection.isIdle], [result, 1, true]);
    });
    it(`${what} are the same byte by byte`, async () => {
      const { call, server, counts } = open();
      const get = await call({ method });
      for (const byte of text) {
        server.receive(byte);
        await settle(1);
      }
      await settle();
      assert.deepEqual([get.result, counts.free], [result, 1]);
    });
    it(`${what} with a byte too many end the connection`, async () => {
      const { call, receive, counts, server } = open();
      const get = await call({ method });
      await receive(`${text}H`);
      assert.deepEqual([get.result, counts.free, server.destroyed], [result, 0, true]);
    });
  }

  it('bring their trailers', async () => {
    const { call, receive } = open();
    const get = await call();
    await receive('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGrpc-Status: 0\r\n\r\n');
    assert.deepEqual(get.trailers, ['grpc-status', '0']);
  });

  for (const [what, head] of [
    ['that say close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'],
    ['of HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ] as const)
    it(`${what} end the connection`, async () => {
      const { call, receive, counts, server } = open();
      const get = await call();
      await receive(head);
      assert.deepEqual([get.result, counts.free, server.destroyed], [[200, '', 1], 0, true]);
    });

  it('before the end of the request end the connection', async () => {
    const { call, receive, counts, server } = open();
    const post = await call({ method: 'POST', framing: 'length', contentLength: 5 }, false);
    await receive('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n');
    assert.deepEqual([post.result, counts.free, server.destroyed], [[413, '', 1], 0, true]);
  });

  it('without a length end with the connection', async () => {
    const { call, receive, server, counts } = open();
    const get = await call();
    await receive('HTTP/1.1 200 OK\r\n\r\nhello');
    assert.deepEqual(get.result, [200, 'hello', 0]);
    server.receiveEnd();
    await settle();
    assert.deepEqual([get.result, get.failure, counts.free], [[200, 'hello', 1], undefined, 0]);
  });

  it('tell how long an idle connection is good', async () => {
    const { call, receive, connection } = open();
    await call();
    const before = performance.now();
    await receive('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nContent-Length: 0\r\n\r\n');
    assert.ok(connection.usableUntilMs >= before + 59_000 && connection.usableUntilMs < before + 60_000 + 1e6);
  });
});

describe('interim answers', () => {
  it('are told, and the answer follows', async () => {
    const { call, receive } = open();
    const get = await call();
    await receive('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 x\r\n\r\n');
    assert.deepEqual(
      [get.informational, get.result],
      [
        [100, 103],
        [204, '', 1],
      ],
    );
  });
  it('without end are refused', async () => {
    const { call, receive } = open();
    const get = await call();
    await receive('HTTP/1.1 103 x\r\n\r\n'.repeat(17));
    assert.equal(get.failure?.kind, 'protocol');
  });
  it('to another protocol are refused: nobody asked for one', async () => {
    const { call, receive } = open();
    const get = await call();
    await receive('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n');
    assert.equal(get.failure?.kind, 'protocol');
  });
});

describe('what is no answer', () => {
  for (const [what, text] of [
    ['another protocol', 'SSH-2.0-x\r\n\r\n'],
    ['a malformed field', 'HTTP/1.1 200 OK\r\nX\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    ['a length beside a coding', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a head without an end', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(257 * 1024)}`],
    ['a malformed chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n'],
  ] as const)
    it(`${what} is told as such and ends the connection`, async () => {
      const { call, receive, server, counts } = open();
      const get = await call();
      await receive(text);
      assert.deepEqual([get.failure?.kind, get.ends, server.destroyed, counts.free], ['protocol', 0, true, 0]);
    });

  it('is told once where the request has ended meanwhile', async () => {
    const { call, receive, counts } = open();
    const get = await call();
    get.stream!.cancel();
    await receive('nonsense\r\n\r\n');
    assert.deepEqual([get.failure, counts.closed], [undefined, 1]);
  });
});

describe('a connection that is lost', () => {
  for (const [what, sent] of [
    ['before the answer', ''],
    ['in the head', 'HTTP/1.1 200 OK\r\nX'],
    ['in a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell'],
    ['in a body in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ] as const)
    it(`${what} is told, by an end and by a reset`, async () => {
      for (const reset of [false, true]) {
        const { call, receive, server } = open();
        const get = await call();
        await receive(sent);
        if (reset) server.destroy(new Error('ECONNRESET'));
        else server.receiveEnd();
        await settle();
        assert.deepEqual([get.failure, get.ends], [{ kind: 'lost', reset }, 0]);
      }
    });

  it('by a reset completes no body that ends with the connection', async () => {
    const { call, receive, server } = open();
    const get = await call();
    await receive('HTTP/1.1 200 OK\r\n\r\nhello');
    server.destroy(new Error('ECONNRESET'));
    await settle();
    assert.deepEqual([get.ends, get.failure], [0, { kind: 'lost', reset: true }]);
  });

  it('before the first answer is no stale connection', async () => {
    const { call, server, counts } = open({ stale: true });
    const get = await call();
    server.receiveEnd();
    await settle();
    assert.deepEqual([counts.stale, get.failure?.kind], [0, 'lost']);
  });

  it('when it was used again is left to its owner to repeat', async () => {
    const { call, receive, server, counts } = open({ stale: true });
    await call();
    await receive('HTTP/1.1 204 x\r\n\r\n');
    const second = await call();
    server.receiveReset();
    await settle();
    assert.deepEqual([counts.stale, second.failure], [1, undefined]);
  });

  it('when it was used again is told where the owner does not repeat', async () => {
    const { call, receive, server, counts } = open();
    await call();
    await receive('HTTP/1.1 204 x\r\n\r\n');
    const second = await call();
    server.receiveReset();
    await settle();
    assert.deepEqual([counts.stale, second.failure?.kind], [1, 'lost']);
  });

  it('after the first byte of an answer is not repeated', async () => {
    const { call, receive, server, counts } = open({ stale: true });
    await call();
    await receive('HTTP/1.1 204 x\r\n\r\n');
    const second = await call();
    await receive('H');
    server.receiveEnd();
    await settle();
    assert.deepEqual([counts.stale, second.failure?.kind], [0, 'lost']);
  });
});

describe('a switch of protocols', () => {
  const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst';

  it('that was asked for gives the connection away, with what has arrived', async () => {
    const { call, receive, server } = open();
    const get = await call({ upgrade: 'websocket' });
    assert.match(server.sent, /\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
    await receive(switched);
    assert.equal(get.head?.status, 101);
    assert.equal(get.upgraded?.first, 'first');
    assert.equal(server.destroyed, false);
  });

  it('that nobody asked for is not HTTP', async () => {
    const { call, receive, server } = open();
    const get = await call();
    await receive(switched);
    assert.equal(get.failure?.kind, 'protocol');
    assert.equal(server.destroyed, true);
  });

  it('to another protocol than the one asked for is not HTTP', async () => {
    const { call, receive } = open();
    const get = await call({ upgrade: 'h2c' });
    await receive(switched);
    assert.equal(get.failure?.kind, 'protocol');
  });

  it('that the server does not make is an answer like any other', async () => {
    const { call, receive, server } = open();
    const get = await call({ upgrade: 'websocket' });
    await receive('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno');
    assert.deepEqual(get.result, [200, 'no', 1]);
    assert.equal(server.destroyed, false);
  });
});

it('back-pressure stops the body of an answer, and the next request is not stopped by it', async () => {
  const { call, receive, server } = open();
  const first = await call();
  await receive('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na');
  first.stream!.pauseBody();
  await receive('b');
  assert.deepEqual(first.result, [200, 'a', 0]);
  first.stream!.resumeBody();
  await settle();
  assert.deepEqual([first.result, server.isPaused()], [[200, 'ab', 1], false]);
});

it('back-pressure of the server is told, and when there is room', async () => {
  const { call } = open();
  const post = await call({ method: 'POST', framing: 'chunked' }, false);
  assert.equal(post.stream!.sendBody(Buffer.alloc(100_000)), false);
  await settle();
  assert.equal(post.drained, 1);
});

it('a real server that resets in the middle of a body without a length is not taken for whole', async () => {
  const server = net.createServer((peer) => {
    peer.on('error', () => undefined);
    peer.once('data', () => peer.write('HTTP/1.1 200 OK\r\n\r\nhello', () => peer.resetAndDestroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await new Promise((resolve) => socket.once('connect', resolve));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const { call } = open({ socket });
  const get = await call();
  await closed;
  assert.equal(get.ends, 0);
  assert.equal(get.failure?.kind, 'lost');
  server.close();
});
