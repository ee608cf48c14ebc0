// Holds connections from callers to RFC 9113, and to the bounds on what a caller can make us do.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { responseHead, Taker, type TakenRequest } from '../../../../test/harness/exchanges.js';
import {
  data,
  frame,
  get,
  goaway,
  Http2Peer,
  ping,
  post,
  reset,
  settings,
  settingsAck,
  uint32,
  windowUpdate,
} from '../../../../test/harness/http2-peer.js';
import { MemorySocket, settle } from '../../../../test/harness/memory-socket.js';
import type { ServerLimits } from '../request-handler.js';
import { flag, frameType, preface } from './frames.js';
import { defaultHttp2Limits, type Http2Limits } from './limits.js';
import { Http2ServerConnection } from './server-connection.js';

interface Options {
  readonly limits?: Partial<Http2Limits>;
  readonly server?: Partial<ServerLimits>;
  readonly carries?: boolean;
  readonly settings?: Buffer;
}

const sockets: MemorySocket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A connection whose caller has told its settings, after what both say first. */
async function open({ limits, server, carries = false, settings: first = settings() }: Options = {}) {
  const socket = new MemorySocket();
  sockets.push(socket);
  const taker = new Taker(server);
  let closed = 0;
  const connection = new Http2ServerConnection(socket.socket, taker, {
    limits: { ...defaultHttp2Limits, ...limits },
    carries,
    onClose: () => closed++,
  });
  connection.start(undefined);
  const peer = new Http2Peer(socket);
  const opening = await peer.ask(preface, first);
  return {
    socket,
    taker,
    connection,
    peer,
    opening,
    closed: () => closed,
    /** Lets time pass, in seconds, as if it were now. */
    pass: (seconds: number) => {
      const nowMs = performance.now();
      for (let i = 1; i <= seconds; i++) connection.onTick(nowMs + i * 1000);
    },
    take: (i = -1): TakenRequest => taker.taken.at(i)!,
  };
}

type Opened = Awaited<ReturnType<typeof open>>;

/** A connection with requests under way, on streams 1, 3, ... */
async function withRequests(count: number, options: Options = {}, fields = post()): Promise<Opened> {
  const opened = await open(options);
  await opened.peer.ask(...Array.from({ length: count }, (_, i) => opened.peer.headers(2 * i + 1, fields)));
  return opened;
}

const ok = 'HEADERS 1 :status=200, content-length=0 end';

it('begins with its settings and the window for all bodies', async () => {
  const { opening } = await open();
  assert.deepEqual(opening, [
    'SETTINGS initialWindowSize=262144 maxHeaderListSize=4000 maxConcurrentStreams=100 enableConnectProtocol=1',
    'WINDOW_UPDATE 0 983041',
    'SETTINGS ack',
  ]);
});

it('a request is answered on its stream', async () => {
  const { peer, take } = await open();
  assert.deepEqual(await peer.ask(peer.headers(1, get('/a'), true)), []);
  assert.equal(take().head.path, '/a');
  assert.deepEqual(take().events, ['end']);
  take().answer(200, 'hello', ['a', 'b']);
  await settle();
  assert.deepEqual(peer.lines(), ['HEADERS 1 :status=200, a=b, content-length=5', 'DATA 1 "hello" end']);
});

it('requests are answered in whatever order', async () => {
  const { peer, take } = await withRequests(2);
  take(1).answer();
  take(0).answer();
  await settle();
  assert.deepEqual(peer.lines(), [
    'HEADERS 3 :status=200, content-length=0 end',
    'RST 3 noError',
    'HEADERS 1 :status=200, content-length=0 end',
    'RST 1 noError',
  ]);
});

it('a body with trailers comes as it was sent, and goes', async () => {
  const { peer, take } = await open();
  await peer.ask(peer.headers(1, post()), data(1, 'hel'), data(1, 'lo'), peer.headers(1, ['a', 'b'], true));
  assert.equal(take().body, 'hello');
  assert.deepEqual(take().events, ['end a=b']);
  take().stream.sendHead(responseHead(), false);
  take().stream.sendBody(Buffer.from('bye'));
  take().stream.sendEnd(['c', 'd']);
  await settle();
  assert.deepEqual(peer.lines(), ['HEADERS 1 :status=200', 'DATA 1 "bye"', 'HEADERS 1 c=d end']);
});

it('interim answers go before the answer and not after it', async () => {
  const { peer, take } = await withRequests(1);
  take().stream.sendInformational(responseHead(103, ['link', 'x']));
  take().stream.sendHead(responseHead(), false);
  take().stream.sendInformational(responseHead(103));
  await settle();
  assert.deepEqual(peer.lines(), ['HEADERS 1 :status=103, link=x', 'HEADERS 1 :status=200']);
});

it('an answer before the end of the request says that the rest is not wanted', async () => {
  const { peer, take, connection } = await withRequests(1);
  take().answer(413);
  await settle();
  assert.deepEqual(peer.lines(), ['HEADERS 1 :status=413, content-length=0 end', 'RST 1 noError']);
  assert.equal(connection.isIdle, true);
  assert.deepEqual(await peer.ask(data(1, 'late'), peer.headers(1, ['a', 'b'], true), ping('12345678')), [
    'PING "12345678" ack',
  ]);
});

it('an answer that is broken off is not taken for complete', async () => {
  const { peer, take } = await withRequests(1);
  take().stream.sendHead(responseHead(), false);
  take().stream.abort();
  await settle();
  assert.deepEqual(peer.lines(), ['HEADERS 1 :status=200', 'RST 1 internalError']);
});

describe('what we send', () => {
  it('stays within the window of its stream, and goes on when that opens', async () => {
    const { peer, take } = await withRequests(1, { settings: settings({ initialWindowSize: 5 }) });
    take().stream.sendHead(responseHead(), false);
    assert.equal(take().stream.sendBody(Buffer.from('hello world')), false);
    take().stream.sendEnd(undefined);
    await settle();
    assert.deepEqual(peer.lines(), ['HEADERS 1 :status=200', 'DATA 1 "hello"']);
    assert.deepEqual(await peer.ask(windowUpdate(1, 1)), ['DATA 1 " "']);
    assert.deepEqual(await peer.ask(windowUpdate(1, 100)), ['DATA 1 "world" end', 'RST 1 noError']);
  });

  it('stays within the window that all share', async () => {
    const opened = await withRequests(2, { settings: settings({ initialWindowSize: 100_000 }) });
    const { peer, take } = opened;
    for (const i of [0, 1]) {
      take(i).stream.sendHead(responseHead(), false);
      take(i).stream.sendBody(Buffer.alloc(60_000));
    }
    await settle();
    const sizes = () =>
      peer
        .frames()
        .filter(({ type }) => type === frameType.data)
        .map(({ stream, payload }) => `${stream}: ${payload.length}`);
    assert.deepEqual(sizes(), ['1: 16384', '1: 16384', '1: 16384', '1: 10848', '3: 5535']);
    peer.send(windowUpdate(1, 1000));
    await settle();
    assert.deepEqual(sizes(), []);
    peer.send(windowUpdate(0, 10));
    await settle();
    assert.deepEqual(sizes(), ['3: 10']);
    peer.send(windowUpdate(0, 1_000_000));
    await settle();
    assert.deepEqual(sizes().join(), '3: 16384,3: 16384,3: 16384,3: 5303');
  });

  it('stops where the caller takes windows back, below nothing, and goes on when they are given again', async () => {
    const { peer, take } = await withRequests(1, { settings: settings({ initialWindowSize: 10 }) });
    take().stream.sendHead(responseHead(), false);
    take().stream.sendBody(Buffer.from('12345678'));
    await settle();
    assert.deepEqual(peer.lines(), ['HEADERS 1 :status=200', 'DATA 1 "12345678"']);
    assert.deepEqual(await peer.ask(settings({ initialWindowSize: 3 })), ['SETTINGS ack']);
    take().stream.sendBody(Buffer.from('abcdef'));
    assert.deepEqual(await peer.ask(windowUpdate(1, 5)), []);
    assert.deepEqual(await peer.ask(windowUpdate(1, 2)), ['DATA 1 "ab"']);
    assert.deepEqual(await peer.ask(settings({ initialWindowSize: 5 })), ['DATA 1 "cd"', 'SETTINGS ack']);
    assert.deepEqual(await peer.ask(windowUpdate(1, 100)), ['DATA 1 "ef"']);
    assert.deepEqual(take().events, ['drain']);
  });

  it('asks whoever makes it to wait, and tells when there is room', async () => {
    const { peer, take } = await withRequests(1, { settings: settings({ initialWindowSize: 4 }) });
    take().stream.sendHead(responseHead(), false);
    assert.equal(take().stream.sendBody(Buffer.from('1234')), true);
    assert.equal(take().stream.sendBody(Buffer.from('5678')), false);
    await peer.ask(windowUpdate(1, 3));
    assert.deepEqual(take().events, []);
    await peer.ask(windowUpdate(1, 1));
    assert.deepEqual(take().events, ['drain']);
  });

  it('asks to wait while the socket takes nothing', async () => {
    const opened = await withRequests(1, { settings: settings({ initialWindowSize: 10_000_000 }) });
    const { socket, peer, take } = opened;
    await peer.ask(windowUpdate(0, 10_000_000));
    const release = socket.holdWrites();
    take().stream.sendHead(responseHead(), false);
    let room = true;
    let sent = 0;
    for (; room && sent < 1000; sent++) {
      room = take().stream.sendBody(Buffer.alloc(10_000));
      await settle(1);
    }
    assert.ok(sent < 30, `${sent} parts were taken`);
    assert.deepEqual(take().events, []);
    release();
    await settle();
    assert.deepEqual(take().events, ['drain']);
  });
});

describe('what we are sent', () => {
  const limits = { streamWindowBytes: 100_000, connectionWindowBytes: 200_000 };
  const most = 'x'.repeat(10_000);
  const bodies = (stream: number, count: number) => Array.from({ length: count }, () => data(stream, most));

  it('gets new credit for the stream when half of it was taken, and for all when half of that came', async () => {
    const { peer } = await withRequests(1, { limits });
    assert.deepEqual(await peer.ask(...bodies(1, 4)), []);
    assert.deepEqual(await peer.ask(...bodies(1, 1)), ['WINDOW_UPDATE 1 50000']);
    assert.deepEqual(await peer.ask(...bodies(1, 5)), ['WINDOW_UPDATE 0 100000', 'WINDOW_UPDATE 1 50000']);
  });

  it('gets no credit for a stream whose body nobody takes, while others go on', async () => {
    const { peer, take } = await withRequests(2, { limits });
    take(0).stream.pauseBody();
    assert.deepEqual(await peer.ask(...bodies(1, 10)), ['WINDOW_UPDATE 0 100000']);
    assert.deepEqual(await peer.ask(...bodies(3, 5)), ['WINDOW_UPDATE 3 50000']);
    take(0).stream.resumeBody();
    await settle();
    assert.deepEqual(peer.lines(), ['WINDOW_UPDATE 1 100000']);
  });

  it('gets no credit for a stream that has ended', async () => {
    const { peer } = await withRequests(1, { limits });
    assert.deepEqual(await peer.ask(...bodies(1, 4), data(1, most, true)), []);
  });

  it('is refused beyond the window of the stream, which costs the stream', async () => {
    const { peer, take } = await withRequests(2, { limits });
    take(0).stream.pauseBody();
    assert.deepEqual(await peer.ask(...bodies(1, 10), data(1, 'x')), [
      'WINDOW_UPDATE 0 100000',
      'RST 1 flowControlError',
    ]);
    assert.deepEqual(take(0).events, ['gone']);
    assert.deepEqual(take(1).events, []);
  });

  it('counts padding', async () => {
    const { peer } = await withRequests(1, { limits });
    const padded = frame(frameType.data, flag.padded, 1, Buffer.alloc(256, 255));
    assert.deepEqual(await peer.ask(...Array.from({ length: 196 }, () => padded)), ['WINDOW_UPDATE 1 50176']);
  });

  it('has credit for all also where it comes for a stream that is gone', async () => {
    const { peer, take } = await withRequests(1, { limits });
    take().answer();
    assert.deepEqual(await peer.ask(...bodies(1, 10)), [ok, 'RST 1 noError', 'WINDOW_UPDATE 0 100000']);
  });

  it('is as long as it says', async () => {
    const { peer, take } = await open();
    const long = (stream: number) => peer.headers(stream, [...post(), 'content-length', '3']);
    assert.deepEqual(await peer.ask(long(1), data(1, 'abcd')), ['RST 1 protocolError']);
    assert.deepEqual(await peer.ask(long(3), data(3, 'ab', true)), ['RST 3 protocolError']);
    assert.deepEqual(await peer.ask(long(5), data(5, 'ab'), peer.headers(5, ['a', 'b'], true)), [
      'RST 5 protocolError',
    ]);
    assert.deepEqual(await peer.ask(long(7), data(7, 'abc', true)), []);
    assert.deepEqual(take().events, ['end']);
    assert.deepEqual(await peer.ask(peer.headers(9, [...post(), 'content-length', '0']), data(9, 'x')), [
      'RST 9 protocolError',
    ]);
  });
});

describe('streams', () => {
  it('beyond as many as were announced are refused, and the others go on', async () => {
    const { peer, take, taker } = await withRequests(3, { limits: { maxConcurrentStreams: 2 } });
    assert.deepEqual(peer.lines(), []);
    assert.equal(taker.taken.length, 2);
    take(0).answer();
    await settle();
    assert.deepEqual(await peer.ask(data(5, 'x'), peer.headers(7, get(), true)), [ok, 'RST 1 noError']);
    assert.equal(taker.taken.length, 3);
  });

  it('are opened in ascending order', async () => {
    const { peer } = await open();
    assert.deepEqual(
      (await peer.ask(peer.headers(5, get(), true), peer.headers(3, get(), true))).at(-1),
      ['GOAWAY 5 protocolError streams must be opened in ascending order'][0],
    );
  });

  it('have odd numbers', async () => {
    const { peer } = await open();
    assert.match((await peer.ask(peer.headers(2, get(), true))).at(-1)!, /^GOAWAY 0 protocolError/);
  });

  for (const [what, bytes] of [
    ['DATA', data(1, 'x')],
    ['RST_STREAM', reset(1, 'cancel')],
    ['WINDOW_UPDATE', windowUpdate(1, 5)],
  ] as const)
    it(`that were never opened have no ${what}`, async () => {
      const { peer, socket } = await open();
      assert.match((await peer.ask(bytes)).at(-1)!, /^GOAWAY 0 protocolError .* was never opened$/);
      assert.equal(socket.writableEnded, true);
    });

  it('that are over in order have no DATA', async () => {
    const { peer, take } = await open();
    await peer.ask(peer.headers(1, get(), true));
    take().answer();
    await settle();
    assert.deepEqual(await peer.ask(data(1, 'x')), [ok, 'GOAWAY 1 streamClosed DATA on a stream that is closed']);
  });

  it('that have ended on their side take nothing more', async () => {
    const { peer, take } = await open();
    assert.deepEqual(await peer.ask(peer.headers(1, get(), true), data(1, 'x')), ['RST 1 streamClosed']);
    assert.deepEqual(take().events, ['end', 'gone']);
    assert.deepEqual(await peer.ask(peer.headers(3, get(), true), peer.headers(3, ['a', 'b'], true)), [
      'RST 3 streamClosed',
    ]);
  });

  it('may be reset by the caller, and what was under way for them is ended', async () => {
    const { peer, take, connection } = await withRequests(1);
    assert.deepEqual(await peer.ask(reset(1, 'cancel')), []);
    assert.deepEqual(take().events, ['gone']);
    assert.equal(connection.isIdle, true);
    take().answer(); // nobody is there any more
    await settle();
    assert.deepEqual(peer.lines(), []);
  });

  it('that were reset by us by the hundred may still be sent to', async () => {
    const count = 300;
    const { peer, taker } = await withRequests(count, { limits: { maxConcurrentStreams: count } });
    for (const request of taker.taken) request.answer(413);
    await settle();
    peer.lines();
    const late = Array.from({ length: count }, (_, i) => data(2 * i + 1, 'x', true));
    assert.deepEqual(await peer.ask(...late, ping('12345678')), ['PING "12345678" ack']);
  });
});

describe('what is not a request', () => {
  it('costs its stream', async () => {
    const { peer, taker } = await open();
    assert.deepEqual(await peer.ask(peer.headers(1, [...get(), 'connection', 'close'], true)), ['RST 1 protocolError']);
    assert.deepEqual(taker.taken, []);
    assert.deepEqual(taker.malformed, ['400 connection belongs to a connection']);
    assert.deepEqual(await peer.ask(peer.headers(3, get(), true)), []);
    assert.equal(taker.taken.length, 1);
  });

  for (const [what, more] of [
    ['a list that is too long', ['a', 'x'.repeat(5000)]],
    ['too many fields', Array.from({ length: 21 }, (_, i) => [`a${i}`, 'b']).flat()],
  ] as const)
    it(`with ${what} is answered 431`, async () => {
      const { peer, taker } = await open();
      assert.deepEqual(await peer.ask(peer.headers(1, [...get(), ...more], true)), [
        'HEADERS 1 :status=431, content-length=0 end',
      ]);
      assert.deepEqual(taker.malformed, ['431 the header list is too long']);
      assert.deepEqual(await peer.ask(peer.headers(3, get(), true)), []);
      assert.equal(taker.taken.length, 1);
    });

  it('with trailers that do not end it costs its stream', async () => {
    const { peer, take } = await withRequests(1);
    assert.deepEqual(await peer.ask(peer.headers(1, ['a', 'b'])), ['RST 1 protocolError']);
    assert.deepEqual(take().events, ['gone']);
  });

  it('with trailers that are too long costs its stream', async () => {
    const { peer } = await withRequests(1);
    assert.deepEqual(await peer.ask(peer.headers(1, ['a', 'x'.repeat(5000)], true)), ['RST 1 enhanceYourCalm']);
  });
});

describe('the connection ends with its reason', () => {
  for (const [what, code, ...frames] of [
    ['SETTINGS on a stream', 'protocolError', frame(frameType.settings, 0, 1)],
    ['SETTINGS of a wrong length', 'frameSizeError', frame(frameType.settings, 0, 0, 'abc')],
    ['an acknowledgement with content', 'frameSizeError', frame(frameType.settings, flag.ack, 0, 'abcdef')],
    ['a window beyond all bounds', 'flowControlError', settings({ initialWindowSize: 2 ** 31 })],
    ['frames shorter than allowed', 'protocolError', settings({ maxFrameSize: 16_383 })],
    ['frames longer than allowed', 'protocolError', settings({ maxFrameSize: 2 ** 24 })],
    ['an odd wish for pushes', 'protocolError', settings({ enablePush: 2 })],
    ['PING on a stream', 'protocolError', frame(frameType.ping, 0, 1, '12345678')],
    ['PING of a wrong length', 'frameSizeError', ping('1234567')],
    ['GOAWAY on a stream', 'protocolError', frame(frameType.goaway, 0, 1, uint32(0, 0))],
    ['GOAWAY that is too short', 'frameSizeError', frame(frameType.goaway, 0, 0, uint32(0))],
    ['PUSH_PROMISE', 'protocolError', frame(frameType.pushPromise, flag.endHeaders, 1, uint32(2))],
    ['PRIORITY without a stream', 'protocolError', frame(frameType.priority, 0, 0, '12345')],
    ['RST_STREAM without a stream', 'protocolError', frame(frameType.rstStream, 0, 0, '1234')],
    ['RST_STREAM of a wrong length', 'frameSizeError', frame(frameType.rstStream, 0, 1, '123')],
    ['WINDOW_UPDATE of a wrong length', 'frameSizeError', frame(frameType.windowUpdate, 0, 0, '123')],
    ['a window that grows by nothing', 'protocolError', windowUpdate(0, 0)],
    ['a window that is too large', 'flowControlError', windowUpdate(0, 2 ** 31 - 1)],
    ['a block that cannot be read', 'compressionError', frame(frameType.headers, flag.endHeaders, 1, '\x80')],
  ] as const)
    it(`after ${what}`, async () => {
      const { peer, socket } = await open();
      const lines = await peer.ask(...frames);
      assert.match(lines.at(-1)!, new RegExp(`^GOAWAY 0 ${code} `));
      assert.equal(socket.writableEnded, true);
      assert.deepEqual(await peer.ask(peer.headers(1, get(), true), ping('12345678')), []);
    });

  it('and everything under way with it', async () => {
    const { peer, take } = await withRequests(2);
    assert.match((await peer.ask(ping('1'))).at(-1)!, /^GOAWAY 3 frameSizeError/);
    assert.deepEqual([take(0).events, take(1).events], [['gone'], ['gone']]);
  });
});

describe('the window of a stream', () => {
  it('does not grow by nothing', async () => {
    const { peer } = await withRequests(2);
    assert.deepEqual(await peer.ask(windowUpdate(1, 0)), ['RST 1 protocolError']);
  });

  it('does not grow beyond all bounds', async () => {
    const { peer, take } = await withRequests(2);
    assert.deepEqual(await peer.ask(windowUpdate(1, 2 ** 31 - 1)), ['RST 1 flowControlError']);
    assert.deepEqual([take(0).events, take(1).events], [['gone'], []]);
  });

  it('may grow when the stream is gone', async () => {
    const { peer, take } = await withRequests(1);
    take().answer();
    assert.deepEqual(await peer.ask(windowUpdate(1, 5), reset(1, 'cancel')), [ok, 'RST 1 noError']);
  });
});

describe('frames that only cost us', () => {
  const many = (count: number, make: (i: number) => readonly Buffer[]) =>
    Array.from({ length: count }, (_, i) => make(i)).flat();

  for (const [what, make] of [
    ['resets', (peer: Http2Peer, i: number) => [peer.headers(2 * i + 1, get(), true), reset(2 * i + 1, 'cancel')]],
    [
      'resets that say that nothing is wrong',
      (peer: Http2Peer, i: number) => [peer.headers(2 * i + 1, get(), true), reset(2 * i + 1, 'noError')],
    ],
    [
      'faults that make us reset',
      (peer: Http2Peer, i: number) => [peer.headers(2 * i + 1, get(), true), windowUpdate(2 * i + 1, 0)],
    ],
    ['malformed requests', (peer: Http2Peer, i: number) => [peer.headers(2 * i + 1, ['a', 'b'], true)]],
  ] as const)
    it(`end the connection: ${what}`, async () => {
      const { peer, taker } = await open();
      const lines = await peer.ask(...many(150, (i) => make(peer, i)));
      assert.match(lines.at(-1)!, /^GOAWAY \d+ enhanceYourCalm too many streams were reset/);
      assert.ok(taker.taken.length <= 102);
    });

  it('end the connection: streams beyond the limit', async () => {
    const { peer } = await open({ limits: { maxConcurrentStreams: 1 } });
    const lines = await peer.ask(...many(150, (i) => [peer.headers(2 * i + 1, post())]));
    assert.match(lines.at(-1)!, /^GOAWAY \d+ enhanceYourCalm/);
  });

  for (const [what, bytes] of [
    ['PING', ping('12345678')],
    ['SETTINGS', settings()],
    ['PRIORITY', frame(frameType.priority, 0, 1, uint32(0).toString('latin1') + '\0')],
    ['unknown', frame(99, 0, 0)],
    ['empty DATA', data(1, '')],
    ['padding alone', frame(frameType.data, flag.padded, 1, '\0')],
  ] as const)
    it(`end the connection: ${what}`, async () => {
      const { peer } = await withRequests(1);
      const lines = await peer.ask(...many(1100, () => [bytes]));
      assert.match(lines.at(-1)!, /^GOAWAY 1 enhanceYourCalm too many frames that carry nothing/);
    });

  it('end the connection: window updates', async () => {
    const { peer } = await withRequests(1);
    const lines = await peer.ask(...many(1100, () => [windowUpdate(1, 1)]));
    assert.match(lines.at(-1)!, /^GOAWAY 1 enhanceYourCalm too many window updates/);
  });

  it('are no trouble among frames that carry something', async () => {
    const { peer, take } = await withRequests(1);
    const lines = await peer.ask(...many(3000, () => [data(1, 'x'), ping('12345678'), data(1, '')]));
    assert.equal(lines.length, 3000);
    assert.equal(take().body.length, 3000);
  });

  it('may be more where a proxy carries the requests of many', async () => {
    const { peer, taker } = await open({ carries: true });
    await peer.ask(...many(500, (i) => [peer.headers(2 * i + 1, get(), true), reset(2 * i + 1, 'cancel')]));
    assert.equal(taker.taken.length, 500);
    assert.deepEqual(peer.lines(), []);
  });
});

it('resets beside as many answers are no trouble where a proxy carries the requests of many', async () => {
  const { peer, taker, connection } = await open({ carries: true });
  taker.onRequest = (request) => void (request.head.method === 'GET' && request.answer());
  for (let i = 0; i < 3000; i++) {
    peer.send(peer.headers(4 * i + 1, get(), true));
    peer.send(peer.headers(4 * i + 3, post()), reset(4 * i + 3, 'cancel'));
    if (i % 50 === 0) await settle(1);
  }
  await settle();
  assert.equal(connection.isOver, false);
});

describe('a drain', () => {
  it('is announced, then named, and loses nothing that was on its way', async () => {
    const { peer, take, connection, socket } = await withRequests(1, {}, get());
    connection.drain();
    await settle();
    assert.deepEqual(peer.lines(), [`GOAWAY ${2 ** 31 - 1} noError`, 'PING "lateen\\u0000\\u0000"']);
    assert.deepEqual(await peer.ask(peer.headers(3, get(), true)), []); // was on its way
    assert.deepEqual(await peer.ask(ping('lateen\0\0', true)), ['GOAWAY 3 noError']);
    take(0).answer();
    take(1).answer();
    await settle();
    assert.deepEqual(peer.lines(), [
      ok,
      'RST 1 noError',
      'HEADERS 3 :status=200, content-length=0 end',
      'GOAWAY 3 noError',
    ]);
    assert.equal(socket.writableEnded, true);
  });

  it('does not wait for ever for a caller that answers no pings', async () => {
    const { peer, take, connection, pass } = await withRequests(1);
    connection.drain();
    pass(2);
    await settle();
    assert.deepEqual(peer.lines().at(-1), 'GOAWAY 1 noError');
    take().answer();
    await settle();
    assert.deepEqual(peer.lines().at(-1), 'GOAWAY 1 noError');
  });

  it('gives a caller a whole second to answer', async () => {
    const { peer, connection } = await withRequests(1);
    connection.drain();
    connection.onTick(performance.now() + 10);
    await settle();
    assert.deepEqual(peer.lines().length, 2);
  });

  it('refuses what comes after it was named, and nobody else suffers', async () => {
    const { peer, take, connection, taker } = await withRequests(1);
    connection.drain();
    await settle();
    await peer.ask(ping('lateen\0\0', true));
    assert.deepEqual(await peer.ask(peer.headers(3, post()), data(3, 'abc'), windowUpdate(3, 5), reset(3, 'cancel')), [
      'RST 3 refusedStream',
    ]);
    assert.equal(taker.taken.length, 1);
    take().answer();
    await settle();
    assert.deepEqual(peer.lines(), [ok, 'RST 1 noError', 'GOAWAY 1 noError']);
  });

  it('of a connection that carries nothing ends it when the caller has heard of it', async () => {
    const { peer, connection, socket } = await open();
    connection.drain();
    connection.drain();
    await settle();
    assert.equal(peer.lines().length, 2);
    assert.equal(socket.writableEnded, false);
    await peer.ask(ping('lateen\0\0', true));
    assert.equal(socket.writableEnded, true);
  });
});

describe('time', () => {
  it('ends a connection that is idle too long, in both steps', async () => {
    const { peer, pass, socket } = await open();
    pass(59);
    assert.deepEqual(peer.lines(), []);
    pass(64);
    await settle();
    assert.deepEqual(
      peer.lines().map((line) => line.split(' ')[0]),
      ['GOAWAY', 'PING', 'GOAWAY', 'GOAWAY'],
    );
    assert.equal(socket.writableEnded, true);
  });

  it('does not end a connection that carries a request', async () => {
    const { peer, pass, take } = await withRequests(1, { server: { streamIdleTimeoutMs: 1e9 } });
    pass(100);
    await settle();
    assert.deepEqual(peer.lines(), []);
    assert.deepEqual(take().events, []);
  });

  it('ends a request that nothing comes or goes for', async () => {
    const { pass, take } = await withRequests(1);
    pass(29);
    assert.deepEqual(take().events, []);
    pass(32);
    assert.equal(take().events[0], 'idle');
  });

  it('ends an answer that is complete and that its caller does not take', async () => {
    const { peer, pass, take, connection } = await withRequests(1, { settings: settings({ initialWindowSize: 3 }) });
    await peer.ask(data(1, '', true));
    take().answer(200, 'hello');
    await settle();
    pass(32);
    await settle();
    assert.equal(peer.lines().at(-1), 'RST 1 internalError');
    assert.equal(connection.isIdle, true);
  });

  for (const [what, bytes] of [
    ['a frame', ping('12345678').subarray(0, 12)],
    ['the head of a frame', ping('12345678').subarray(0, 3)],
    ['a block', frame(frameType.headers, 0, 1, '\x82')],
  ] as const)
    it(`ends a connection whose caller does not complete ${what}`, async () => {
      const { peer, pass } = await open();
      await peer.ask(bytes);
      pass(15);
      await settle();
      assert.deepEqual(peer.lines(), []);
      pass(18);
      await settle();
      assert.match(peer.lines().at(-1)!, /^GOAWAY 0 enhanceYourCalm a frame took too long/);
    });

  it('does not hold frames against a caller that completes them', async () => {
    const { peer, connection } = await open();
    const nowMs = performance.now();
    const bytes = ping('12345678');
    await peer.ask(bytes.subarray(0, 5));
    for (let i = 1; i < 40; i++) {
      connection.onTick(nowMs + i * 1000);
      await peer.ask(bytes.subarray(5), bytes.subarray(0, 5));
    }
    assert.equal(connection.isOver, false);
  });

  it('ends a connection whose caller never tells its settings', async () => {
    const { peer, pass } = await open({ settings: Buffer.alloc(0) });
    pass(18);
    await settle();
    assert.match(peer.lines().at(-1)!, /^GOAWAY 0 enhanceYourCalm/);
  });

  it('ends a connection whose caller does not take our last word', async () => {
    const { peer, socket, pass } = await withRequests(1);
    socket.holdWrites();
    await peer.ask(ping('1'));
    assert.equal(socket.destroyed, false);
    pass(40);
    assert.equal(socket.destroyed, true);
  });
});

describe('an error of our own', () => {
  it('when a request begins costs that request', async () => {
    const { peer, taker, take } = await open();
    taker.onRequest = () => {
      throw new Error('ours');
    };
    assert.deepEqual(await peer.ask(peer.headers(1, get(), true)), ['RST 1 internalError']);
    assert.deepEqual(take().events, ['error Error: ours']);
    taker.onRequest = (request) => request.answer();
    assert.deepEqual(await peer.ask(peer.headers(3, get(), true)), ['HEADERS 3 :status=200, content-length=0 end']);
  });

  it('in a body costs that request, which may still be answered', async () => {
    const { peer, take } = await withRequests(2);
    const request = take(0);
    request.onBody = () => {
      throw new Error('ours');
    };
    request.onInternalError = () => request.answer(500);
    assert.deepEqual(await peer.ask(data(1, 'x'), data(3, 'y')), [
      'HEADERS 1 :status=500, content-length=0 end',
      'RST 1 noError',
    ]);
    assert.equal(take(1).body, 'y');
  });
});

describe('a connection that is lost', () => {
  it('ends what was under way', async () => {
    const { socket, take, closed } = await withRequests(2);
    socket.destroy();
    await settle();
    assert.deepEqual([take(0).events, take(1).events], [['gone'], ['gone']]);
    assert.equal(closed(), 1);
  });

  it('within its end, too', async () => {
    const { socket, take, closed } = await withRequests(1);
    socket.receiveEnd();
    await settle();
    assert.deepEqual(take().events, ['gone']);
    assert.equal(closed(), 1);
  });
});

describe('a tunnel', () => {
  const connect = [':method', 'CONNECT', ':authority', 'shop:80'];
  const webSocket = [':method', 'CONNECT', ':protocol', 'websocket', ...get().slice(2)];
  const socketOf = (request: TakenRequest) => request.stream.openTunnel();

  it('carries bytes both ways, and each side ends for itself', async () => {
    const { peer, take } = await open();
    await peer.ask(peer.headers(1, connect), data(1, 'early'));
    assert.deepEqual(take().events, ['end']);
    assert.equal(take().body, '');
    const { socket, first } = socketOf(take());
    assert.equal(String(first), 'early');
    const received: string[] = [];
    socket.on('data', (chunk) => received.push(String(chunk)));
    socket.on('end', () => received.push('end'));
    socket.write('hello');
    await settle();
    assert.deepEqual(peer.lines(), ['HEADERS 1 :status=200', 'DATA 1 "hello"']);
    await peer.ask(data(1, 'a'), data(1, 'b', true));
    assert.deepEqual(received, ['a', 'b', 'end']);
    socket.write('more');
    socket.end('bye');
    await settle();
    assert.deepEqual(peer.lines(), ['DATA 1 "more"', 'DATA 1 "bye" end']);
    assert.equal(socket.destroyed, true);
  });

  it('is reset where its other end breaks', async () => {
    const { peer, take } = await open();
    await peer.ask(peer.headers(1, connect));
    const { reset: breakOff } = socketOf(take());
    breakOff();
    await settle();
    assert.deepEqual(peer.lines(), ['HEADERS 1 :status=200', 'RST 1 cancel']);
  });

  it('tells that it broke, where the caller resets it', async () => {
    const { peer, take, connection } = await open();
    await peer.ask(peer.headers(1, connect));
    const { socket } = socketOf(take());
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await peer.ask(reset(1, 'cancel'));
    assert.equal(await closed, true);
    assert.equal(connection.isIdle, true);
  });

  it('keeps back who sends more than is taken', async () => {
    const { peer, take } = await open({ limits: { streamWindowBytes: 70_000 } });
    await peer.ask(peer.headers(1, connect));
    const { socket } = socketOf(take());
    const lines = await peer.ask(...Array.from({ length: 7 }, () => data(1, 'x'.repeat(10_000))));
    assert.deepEqual(lines, ['HEADERS 1 :status=200']);
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await settle();
    assert.equal(bytes, 70_000);
    assert.match(peer.lines()[0]!, /^WINDOW_UPDATE 1 /);
  });

  it('waits while its caller takes nothing', async () => {
    const { peer, take } = await open({ settings: settings({ initialWindowSize: 3 }) });
    await peer.ask(peer.headers(1, connect));
    const { socket } = socketOf(take());
    let written = false;
    socket.write('hello', () => (written = true));
    await settle();
    assert.deepEqual([written, peer.lines().at(-1)], [false, 'DATA 1 "hel"']);
    assert.deepEqual(await peer.ask(windowUpdate(1, 2)), ['DATA 1 "lo"']);
    assert.equal(written, true);
  });

  it('to WebSocket is opened with 200 and the headers of the switch', async () => {
    const { peer, take } = await open();
    await peer.ask(peer.headers(1, webSocket));
    assert.deepEqual([take().head.method, take().head.upgrade], ['GET', 'websocket']);
    take().stream.switchProtocols({ ...responseHead(101, ['sec-websocket-accept', 'x']), upgrade: 'websocket' });
    await settle();
    assert.deepEqual(peer.lines(), ['HEADERS 1 :status=200, sec-websocket-accept=x']);
  });

  it('that is refused is answered', async () => {
    const { peer, take } = await open();
    await peer.ask(peer.headers(1, webSocket));
    take().answer(403, 'no');
    await settle();
    assert.deepEqual(peer.lines(), ['HEADERS 1 :status=403, content-length=2', 'DATA 1 "no" end', 'RST 1 noError']);
  });

  it('to a protocol that is not taken is never a request with a body', async () => {
    const { peer, taker, take } = await open();
    taker.onRequest = ({ head }) => (head.upgrade = undefined); // as the proxy does with what it does not carry
    await peer.ask(peer.headers(1, webSocket), data(1, 'GET /smuggled HTTP/1.1\r\n\r\n'));
    assert.equal(take().body, '');
    assert.deepEqual(take().events, ['end']);
  });

  it('that the server answers without switching is not taken for open', async () => {
    const { peer, take } = await open();
    await peer.ask(peer.headers(1, webSocket));
    take().answer(200, 'page');
    await settle();
    assert.deepEqual(peer.lines(), ['HEADERS 1 :status=501, content-length=4', 'DATA 1 "page" end', 'RST 1 noError']);
  });

  it('that the server answers without switching is told to a proxy of the mesh as it is', async () => {
    const { peer, take } = await open({ carries: true });
    await peer.ask(peer.headers(1, webSocket));
    take().answer(200, 'page');
    await settle();
    assert.equal(peer.lines()[0], 'HEADERS 1 :status=200, :version=1.1, content-length=4');
  });
});

it('a caller that goes away in order is no trouble', async () => {
  const { peer, connection } = await open();
  await peer.ask(settingsAck, goaway(0));
  assert.equal(connection.isOver, false);
});

it('a caller that does not take its answers is not read from', async () => {
  const { peer, socket, taker } = await withRequests(1, {
    settings: settings({ initialWindowSize: 100_000_000 }),
  });
  await peer.ask(windowUpdate(0, 100_000_000));
  const release = socket.holdWrites();
  taker.taken[0]!.stream.sendHead(responseHead(), false);
  for (let i = 0; i < 200; i++) taker.taken[0]!.stream.sendBody(Buffer.alloc(10_000));
  await peer.ask(peer.headers(3, get(), true), peer.headers(5, get(), true));
  await peer.ask(peer.headers(7, get(), true));
  assert.ok(taker.taken.length < 4);
  release();
  await settle(8);
  assert.equal(taker.taken.length, 4);
});
