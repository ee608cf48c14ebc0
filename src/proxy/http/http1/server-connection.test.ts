// Holds a caller's connection to what callers rely on: answers in order, an announced end, and bounds on what is held.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import fc from 'fast-check';
import { MemorySocket, settle } from '../../../../test/harness/memory-socket.js';
import type { Headers, RequestHead, ResponseHead } from '../message.js';
import type { DownstreamEvents, DownstreamStream } from '../streams.js';
import type { RequestHandler } from '../request-handler.js';
import { Http1ServerConnection } from './server-connection.js';

const limits = { bytes: 1000, fields: 20, headTimeoutMs: 1000, idleTimeoutMs: 5000, streamIdleTimeoutMs: 3000 };

/** A request as the proxy sees it; `respond` is what a test does when it begins or is complete. */
class Call implements DownstreamEvents {
  readonly head: RequestHead;
  readonly stream: DownstreamStream;
  body = '';
  trailers: Headers | undefined;
  ended = false;
  gone: [refusedWith: number | undefined] | undefined;
  drained = 0;
  idle = 0;
  onBegin: () => void = () => undefined;
  onEnd: () => void = () => undefined;

  constructor(stream: DownstreamStream, head: RequestHead) {
    this.stream = stream;
    this.head = head;
  }

  begin(): void {
    this.onBegin();
  }

  onRequestBody(chunk: Buffer): void {
    this.body += chunk.toString('latin1');
  }

  onRequestEnd(trailers: Headers | undefined): void {
    this.ended = true;
    this.trailers = trailers;
    this.onEnd();
  }

  onInternalError(error: unknown): void {
    throw error;
  }

  onDownstreamGone(refusedWith?: number): void {
    assert.equal(this.gone, undefined, 'told twice that the caller is gone');
    this.gone = [refusedWith];
  }

  onDownstreamDrain(): void {
    this.drained++;
  }

  onStreamIdle(): void {
    this.idle++;
  }

  /** Answers with 200 and a body. */
  answer(body = this.head.path): void {
    this.stream.sendHead(okWith({ framing: 'length', contentLength: body.length }), false);
    this.stream.sendBody(Buffer.from(body));
    this.stream.sendEnd(undefined);
  }
}

function okWith(head: Partial<ResponseHead> = {}): ResponseHead {
  return { status: 200, headers: [], framing: 'none', contentLength: 0, headBytes: 0, ...head };
}

type When = 'at begin' | 'at end' | 'never';

function open(when: When = 'never', prepare: (call: Call) => void = () => undefined) {
  const peer = new MemorySocket();
  const calls: Call[] = [];
  const malformed: number[] = [];
  const counts = { closed: 0, resets: 0 };
  const handler: RequestHandler = {
    limits,
    createExchange: (stream, head) => {
      const call = new Call(stream, head);
      if (when === 'at begin') call.onBegin = () => call.answer();
      if (when === 'at end') call.onEnd = () => call.answer();
      prepare(call);
      calls.push(call);
      return call;
    },
    onMalformed: (status) => malformed.push(status),
  };
  const reset = () => {
    counts.resets++;
    peer.destroy();
  };
  const connection = new Http1ServerConnection(peer.socket, handler, reset, () => counts.closed++);
  connection.start(undefined);
  /** Sends bytes and gives what came back since. */
  const send = async (text: string): Promise<string> => {
    const before = peer.sent.length;
    peer.receive(text);
    await settle();
    return peer.sent.slice(before);
  };
  return { peer, calls, malformed, counts, connection, send };
}

const get = (path: string, ...fields: string[]) =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
const post = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const formatted = (kind: string, path: string, body: string) =>
  kind === 'none'
    ? get(path)
    : kind === 'length'
      ? post(path, body)
      : `POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n\r\n`;
const okText = (body: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));

describe('requests', () => {
  it('follow one another on a connection', async () => {
    const { send, calls } = open('at end');
    assert.equal(await send(get('/1')), 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/1');
    assert.equal(await send(post('/2', 'abc')), 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/2');
    assert.equal(calls[1]!.body, 'abc');
  });

  it('are the same when they come byte by byte', async () => {
    const { peer, calls } = open('at end');
    const chunked =
      'POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n';
    for (const byte of post('/1', 'abc') + chunked + get('/3')) {
      peer.receive(byte);
      await settle(1);
    }
    await settle();
    assert.deepEqual(
      calls.map(({ head, body, trailers, ended }) => [head.path, body, trailers, ended]),
      [
        ['/1', 'abc', undefined, true],
        ['/2', 'abc', ['t', 'u'], true],
        ['/3', '', undefined, true],
      ],
    );
    assert.deepEqual(statuses(peer.sent), [200, 200, 200]);
  });

  it('that are pipelined are answered in order, one at a time', async () => {
    const { peer, calls } = open();
    peer.receive(get('/1') + post('/2', 'abc') + get('/3'));
    for (let i = 0; i < 3; i++) {
      await settle();
      assert.equal(calls.length, i + 1);
      calls[i]!.answer();
    }
    await settle();
    assert.deepEqual(peer.sent.match(/\/\d$|\/\d(?=HTTP)/g), ['/1', '/2', '/3']);
  });

  it('are the same wherever they are cut, and are answered in order', async () => {
    const message = fc.record({
      kind: fc.constantFrom('none', 'length', 'chunked'),
      body: fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0'), maxLength: 10 }),
    });
    const scenario = fc.tuple(
      fc.array(message, { minLength: 1, maxLength: 5 }),
      fc.array(fc.nat(400), { maxLength: 6 }),
      fc.constantFrom<When>('at begin', 'at end', 'never'),
    );
    await fc.assert(
      fc.asyncProperty(scenario, async ([messages, cuts, when]) => {
        const expected = messages.map(({ kind, body }, i) => [`/${i}`, kind === 'none' ? '' : body]);
        const text = messages.map(({ kind, body }, i) => formatted(kind, `/${i}`, body)).join('');
        const places = [0, ...cuts.map((cut) => cut % text.length).sort((a, b) => a - b), text.length];
        const { peer, calls } = open(when);
        for (const [i, place] of places.slice(1).entries()) {
          peer.receive(text.slice(places[i], place));
          if (place % 2 === 0) await settle(1);
        }
        await settle(2);
        if (when === 'never')
          for (let i = 0; i < calls.length; i++) {
            calls[i]!.answer();
            await settle(2);
          }
        if (when === 'at begin') {
          // An answer before the end of a request is the last one.
          const last = messages.findIndex(({ kind, body }) => kind === 'chunked' || (kind === 'length' && body !== ''));
          assert.equal(statuses(peer.sent).length, last < 0 ? messages.length : last + 1);
          return;
        }
        assert.deepEqual(
          calls.map(({ head, body }) => [head.path, body]),
          expected,
        );
        assert.equal(peer.sent, expected.map(([path]) => okText(path!)).join(''));
      }),
      { numRuns: 150 },
    );
  });

  it('that are pipelined in great number need no deep stack', async () => {
    const { peer } = open('at end');
    peer.receive(get('/1').repeat(5000));
    await settle(20);
    assert.equal(statuses(peer.sent).length, 5000);
  });

  it('that are pipelined without end are not read on', async () => {
    const { peer, calls } = open();
    peer.receive(get('/1') + get('/2').repeat(5000));
    await settle();
    assert.equal(peer.isPaused(), true);
    calls[0]!.answer();
    await settle();
    assert.equal(calls.length, 2);
  });

  it('may be preceded by an empty line, but not by many', async () => {
    const { send, malformed } = open('at end');
    assert.deepEqual(statuses(await send(`\r\n${get('/1')}`)), [200]);
    assert.deepEqual(statuses(await send(`\r\n\r\n${get('/1')}`)), [200]);
    assert.deepEqual(statuses(await send('\r\n\r\n\r\n')), [400]);
    assert.deepEqual(malformed, [400]);
  });
});

describe('answers made before the request was passed on', () => {
  it('leave the connection of a GET open', async () => {
    const { send, peer } = open('at begin');
    assert.equal(await send(get('/1')), 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/1');
    assert.equal(await send(get('/2')), 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/2');
    assert.equal(peer.writableEnded, false);
  });

  it('leave the connection of a GET open where they have no body', async () => {
    const { send } = open('never', (call) => (call.onBegin = () => call.stream.sendHead(okWith(), true)));
    assert.equal(await send(get('/1') + get('/2')), 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'.repeat(2));
  });

  it('announce the end of the connection where the request has a body that was not read', async () => {
    const { send, peer, calls } = open('at begin');
    const answer = await send(`POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab`);
    assert.match(answer, /\r\nconnection: close\r\n/);
    assert.equal(peer.writableEnded, true);
    assert.equal(await send(`cde${get('/2')}`), '', 'what follows is dropped');
    assert.equal(calls.length, 1);
  });
});

describe('framing of answers', () => {
  const answer = async (request: string, head: Partial<ResponseHead>, body?: string, trailers?: Headers) => {
    const { send, peer } = open('never', (call) => {
      call.onEnd = () => {
        call.stream.sendHead(okWith(head), body === undefined);
        if (body === undefined) return;
        call.stream.sendBody(Buffer.from(body));
        call.stream.sendBody(Buffer.alloc(0));
        call.stream.sendEnd(trailers);
      };
    });
    return { text: await send(request), closed: peer.writableEnded };
  };
  const unknownLength = { framing: 'close', contentLength: -1 } as const;
  const http10 = 'GET / HTTP/1.0\r\n\r\n';

  it('of unknown length is chunked, with trailers', async () => {
    const { text, closed } = await answer(get('/'), unknownLength, 'hello', ['t', 'u']);
    assert.equal(text, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nt: u\r\n\r\n');
    assert.equal(closed, false);
  });
  it('of unknown length to HTTP/1.0 ends with the connection', async () => {
    const { text, closed } = await answer(http10, unknownLength, 'hello', ['t', 'u']);
    assert.equal(text, 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello');
    assert.equal(closed, true);
  });
  it('of unknown length ends the connection of HTTP/1.0 that asked to keep it', async () => {
    const { text, closed } = await answer('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', unknownLength, 'hello');
    assert.equal(text, 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello');
    assert.equal(closed, true);
  });
  it('of known length keeps the connection of HTTP/1.0 that asked for it', async () => {
    const known = { framing: 'length', contentLength: 5 } as const;
    const { text, closed } = await answer('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', known, 'hello');
    assert.equal(text, 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello');
    assert.equal(closed, false);
  });
  it('of known length ends the connection of HTTP/1.0 that did not', async () =>
    assert.equal((await answer(http10, { framing: 'length', contentLength: 5 }, 'hello')).closed, true));
  it('to HEAD tells the length without a body', async () =>
    assert.equal(
      (await answer('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', { contentLength: 5 })).text,
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n',
    ));
  it('to HEAD tells no length where none is known', async () =>
    assert.equal(
      (await answer('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', { contentLength: -1 })).text,
      'HTTP/1.1 200 OK\r\n\r\n',
    ));
  it('of 204 tells no length', async () =>
    assert.equal((await answer(get('/'), { status: 204, contentLength: 0 })).text, 'HTTP/1.1 204 No Content\r\n\r\n'));
  it('of 304 tells a length only where the server did', async () => {
    const text = async (contentLength: number) => (await answer(get('/'), { status: 304, contentLength })).text;
    assert.equal(await text(-1), 'HTTP/1.1 304 Not Modified\r\n\r\n');
    assert.equal(await text(7), 'HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n');
  });
  it('without a body says so', async () =>
    assert.equal((await answer(get('/'), { contentLength: -1 })).text, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
});

describe('interim answers', () => {
  const expecting = post('/', '').replace('Content-Length: 0', 'Content-Length: 2\r\nExpect: 100-continue');
  it('reach a caller that waits for 100 before its body', async () => {
    const { send, calls } = open('at end');
    assert.equal(await send(expecting), '');
    calls[0]!.stream.sendInformational(okWith({ status: 100 }));
    await settle();
    assert.match(await send('ab'), /^HTTP\/1\.1 200 OK/);
    assert.equal(calls[0]!.body, 'ab');
  });
  it('do not reach HTTP/1.0', async () => {
    const { send, calls } = open();
    await send('GET / HTTP/1.0\r\n\r\n');
    calls[0]!.stream.sendInformational(okWith({ status: 103 }));
    assert.equal(await send(''), '');
  });
  it('do not come after the answer has begun', async () => {
    const { send, calls, peer } = open();
    await send(get('/'));
    calls[0]!.stream.sendHead(okWith({ framing: 'length', contentLength: 3 }), false);
    calls[0]!.stream.sendInformational(okWith({ status: 103 }));
    await settle();
    assert.deepEqual(statuses(peer.sent), [200]);
  });
});

describe('what is not a request', () => {
  for (const [what, text, status] of [
    ['a malformed line', 'GET /\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    ['another protocol version', 'GET / HTTP/3.0\r\n\r\n', 505],
    ['a coding that is not known', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 501],
    ['a head without an end', `GET / HTTP/1.1\r\nX: ${'y'.repeat(1000)}`, 431],
    ['a head that is too long', `GET / HTTP/1.1\r\nX: ${'y'.repeat(1000)}\r\n\r\n`, 431],
    ['a request line without an end', `GET /${'y'.repeat(1000)}`, 414],
    ['too many fields', get('/', ...Array.from({ length: 20 }, () => 'X: y')), 431],
  ] as const)
    it(`${what} is answered with ${status}, and the connection ends`, async () => {
      const { send, peer, malformed, calls } = open();
      const answer = await send(text + get('/smuggled'));
      assert.deepEqual(statuses(answer), [status]);
      assert.match(answer, /\r\nconnection: close\r\n/);
      const [head, body] = answer.split('\r\n\r\n');
      assert.equal(Number(/content-length: (\d+)/.exec(head!)![1]), body!.length);
      assert.equal(peer.writableEnded, true);
      assert.deepEqual([malformed, calls], [[status], []]);
    });

  it('is refused when its turn comes, after the answers before it', async () => {
    const { peer, calls, malformed } = open();
    peer.receive(`${get('/1')}NONSENSE\r\n\r\n`);
    await settle();
    assert.deepEqual(malformed, []);
    calls[0]!.answer();
    await settle();
    assert.deepEqual(statuses(peer.sent), [200, 400]);
  });

  it('in a body is answered with 400 where no answer has begun', async () => {
    const { send, calls, malformed } = open();
    const answer = await send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n');
    assert.deepEqual([statuses(answer), calls[0]!.gone, malformed], [[400], [400], []]);
  });

  it('in a body resets the connection where an answer has begun', async () => {
    const { send, calls, counts } = open();
    await send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    calls[0]!.stream.sendHead(okWith({ framing: 'length', contentLength: 5 }), false);
    assert.deepEqual(statuses(await send('x\r\n')), [200]);
    assert.deepEqual([counts.resets, calls[0]!.gone], [1, [400]]);
  });
});

describe('the end', () => {
  it('is announced and kept to where the caller asked for it', async () => {
    const { send, peer } = open('at end');
    assert.match(await send(get('/', 'Connection: close')), /\r\nconnection: close\r\n/);
    assert.equal(peer.writableEnded, true);
    assert.equal(await send(get('/2')), '');
  });

  it('comes with the answer while draining', async () => {
    const { send, peer, calls, connection } = open();
    await send(get('/'));
    connection.drain();
    calls[0]!.answer();
    await settle();
    assert.match(peer.sent, /\r\nconnection: close\r\n/);
    assert.equal(peer.writableEnded, true);
  });

  it('lets an idle connection be used once more while draining', async () => {
    const { send, connection } = open('at end');
    connection.drain();
    assert.match(await send(get('/')), /200 OK\r\ncontent-length: 1\r\nconnection: close\r\n/);
  });

  it('of an idle caller ends our side too', async () => {
    const { peer, counts } = open();
    peer.receiveEnd();
    await settle();
    assert.deepEqual([peer.writableEnded, peer.destroyed, counts.closed], [true, true, 1]);
  });

  it('of a caller that sends no more still brings it the answer', async () => {
    const { peer, calls } = open();
    peer.receive(get('/'));
    peer.receiveEnd();
    await settle();
    calls[0]!.answer();
    await settle();
    assert.deepEqual(statuses(peer.sent), [200]);
    assert.equal(calls[0]!.gone, undefined);
  });

  it('of a caller that asks once more while it waits, and then no more, brings it both answers', async () => {
    const now = mock.method(performance, 'now', () => 1_000_000);
    const { peer, calls } = open();
    peer.receive(get('/1'));
    await settle();
    now.mock.mockImplementation(() => 1_000_500); // the first answer takes long
    peer.receive(get('/2'));
    peer.receiveEnd();
    await settle();
    calls[0]!.answer();
    await settle();
    calls[1]!.answer();
    await settle();
    assert.deepEqual(statuses(peer.sent), [200, 200]);
    now.mock.restore();
  });

  it('of a caller in the middle of its request is told to it', async () => {
    const { peer, calls, counts } = open();
    peer.receive('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab');
    peer.receiveEnd();
    await settle();
    assert.deepEqual([calls[0]!.gone, calls[0]!.ended, counts.closed], [[undefined], false, 1]);
  });

  it('by a reset is told to the request under way', async () => {
    const { peer, calls, send } = open();
    await send(get('/'));
    peer.destroy(new Error('ECONNRESET'));
    await settle();
    assert.deepEqual(calls[0]!.gone, [undefined]);
  });

  it('of an answer that cannot be completed is a reset, and begins no other request', async () => {
    const { peer, calls, send, counts } = open();
    await send(get('/1'));
    calls[0]!.stream.sendHead(okWith({ framing: 'close', contentLength: -1 }), false);
    calls[0]!.stream.abort();
    peer.receive(get('/2'));
    await settle();
    assert.deepEqual([counts.resets, calls.length, calls[0]!.gone], [1, 1, undefined]);
  });
});

describe('time', () => {
  const later = (ms: number) => performance.now() + ms;

  it('for a head runs out from its first byte: 408, once', async () => {
    const { peer, send, connection, malformed } = open();
    await send('GET / HT');
    connection.onTick(later(900));
    assert.deepEqual(malformed, []);
    connection.onTick(later(1100));
    connection.onTick(later(2100));
    await settle();
    assert.deepEqual([statuses(peer.sent), malformed], [[408], [408]]);
  });

  it('without a request ends the connection, and no request begins after that', async () => {
    const { peer, send, connection, calls } = open();
    connection.onTick(later(6000));
    await settle();
    assert.equal(peer.writableEnded, true);
    await send(get('/'));
    assert.equal(calls.length, 0, 'its answer could not be sent any more');
  });

  it('without a byte in a request is told to it', async () => {
    const { send, connection, calls } = open();
    await send(get('/'));
    connection.onTick(later(2000));
    assert.equal(calls[0]!.idle, 0);
    connection.onTick(later(4000));
    assert.equal(calls[0]!.idle, 1);
  });
});

describe('a caller that reads slowly', () => {
  const close = get('/', 'Connection: close');
  const slow = () => {
    const opened = open('never', (call) => (call.onEnd = () => call.answer('x'.repeat(100_000))));
    const release = opened.peer.holdWrites();
    return { ...opened, release };
  };
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  it('gets all of the last answer, and only then the connection is given up', async () => {
    const { peer, send, release } = slow();
    await send(close);
    mock.timers.tick(60_000);
    assert.equal(peer.destroyed, false, 'the answer is cut off');
    release();
    await settle();
    assert.ok(peer.sent.endsWith('x'.repeat(100_000)));
    mock.timers.tick(60_000);
    assert.equal(peer.destroyed, true);
  });

  it('is given up where it does not read at all', async () => {
    const { peer, send, connection } = slow();
    await send(close);
    connection.onTick(performance.now() + 1000);
    connection.onTick(performance.now() + 2000);
    assert.equal(peer.destroyed, false);
    connection.onTick(performance.now() + 60_000);
    assert.equal(peer.destroyed, true);
  });
});

describe('back-pressure', () => {
  it('asks whoever answers to wait, and tells when there is room', async () => {
    const { peer, send, calls } = open();
    await send(get('/'));
    const { stream } = calls[0]!;
    stream.sendHead(okWith({ framing: 'close', contentLength: -1 }), false);
    assert.equal(stream.sendBody(Buffer.alloc(100_000)), false);
    await settle();
    assert.equal(calls[0]!.drained, 1);
    assert.equal(peer.sent.length > 100_000, true);
  });

  it('stops reading a body and goes on', async () => {
    const { peer, send, calls } = open();
    await send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
    calls[0]!.stream.pauseBody();
    await send('cd');
    assert.equal(calls[0]!.body, 'ab');
    calls[0]!.stream.resumeBody();
    await settle();
    assert.deepEqual([calls[0]!.body, calls[0]!.ended, peer.isPaused()], ['abcd', true, false]);
  });

  it('of an answered request does not stop the next', async () => {
    const { send, calls } = open();
    await send(post('/1', 'ab'));
    calls[0]!.stream.pauseBody();
    calls[0]!.answer();
    await send(get('/2'));
    assert.equal(calls.length, 2);
  });
});

it('a tunnel takes the connection and what came after the head', async () => {
  const tunnels: (Buffer | undefined)[] = [];
  const { peer, counts, calls, send } = open('never', (call) => {
    call.onBegin = () => tunnels.push(call.stream.openTunnel().first);
  });
  const answer = await send('CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\nhello');
  assert.equal(answer, 'HTTP/1.1 200 OK\r\n\r\n');
  assert.deepEqual(tunnels, [Buffer.from('hello')]);
  assert.deepEqual([counts.closed, calls.length, calls[0]!.ended], [1, 1, false]);
  await send(get('/'));
  assert.deepEqual([calls.length, peer.destroyed], [1, false]);
});
