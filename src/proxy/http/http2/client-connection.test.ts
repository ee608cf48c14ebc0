// Holds connections to servers to RFC 9113: answers reach their requests, once, and what a server does wrong is told as what it is.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { SentRequest } from '../../../../test/harness/exchanges.js';
import {
  data,
  frame,
  goaway,
  Http2Peer,
  ping,
  reset,
  settings,
  windowUpdate,
} from '../../../../test/harness/http2-peer.js';
import { MemorySocket, settle } from '../../../../test/harness/memory-socket.js';
import type { RequestHead } from '../message.js';
import type { UpstreamEvents } from '../streams.js';
import { Http2ClientConnection } from './client-connection.js';
import { flag, frameType, preface } from './frames.js';
import { defaultHttp2Limits, type Http2Limits } from './limits.js';

const sockets: MemorySocket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

interface Options {
  readonly limits?: Partial<Http2Limits>;
  readonly carries?: boolean;
  readonly settings?: Buffer;
  /** Whether the owner sends again what no server has worked on. */
  readonly sendsAgain?: boolean;
}

async function open({ limits, carries = false, settings: first = settings(), sendsAgain = false }: Options = {}) {
  const socket = new MemorySocket();
  sockets.push(socket);
  const told: string[] = [];
  const again: UpstreamEvents[] = [];
  const connection = new Http2ClientConnection(
    socket.socket,
    {
      onChange: () => told.push('change'),
      onEnded: () => told.push('ended'),
      onClosed: () => told.push('closed'),
      onUnprocessed: (events) => sendsAgain && again.push(events) > 0,
    },
    { limits: { ...defaultHttp2Limits, ...limits }, carries },
  );
  const peer = new Http2Peer(socket, true);
  const opening = await peer.ask(first);
  return {
    socket,
    connection,
    peer,
    opening,
    told,
    again,
    begin: (request?: Partial<RequestHead>, onReady?: SentRequest['onReady']): SentRequest => {
      const sent = new SentRequest(request, onReady);
      connection.begin(sent);
      return sent;
    },
    pass: (seconds: number) => {
      const nowMs = performance.now();
      for (let i = 1; i <= seconds; i++) connection.onTick(nowMs + i * 1000);
    },
  };
}

/** A connection with one request under way, on stream 1, whose head has left. */
async function withRequest(request?: Partial<RequestHead>, options?: Options) {
  const opened = await open(options);
  const sent = opened.begin(request);
  await settle();
  const lines = opened.peer.lines();
  return { ...opened, sent, lines };
}

const upload = { method: 'POST', framing: 'chunked' } as const;

it('begins with the preface, its settings and the window for all bodies', async () => {
  const { opening, socket } = await open();
  assert.ok(socket.sent.startsWith(String(preface)));
  assert.deepEqual(opening, [
    'SETTINGS initialWindowSize=262144 maxHeaderListSize=262144 enablePush=0',
    'WINDOW_UPDATE 0 983041',
    'SETTINGS ack',
  ]);
});

it('an answer reaches its request', async () => {
  const { sent, lines, peer, connection, told } = await withRequest();
  assert.deepEqual(lines, ['HEADERS 1 :method=GET, :scheme=http, :path=/, :authority=shop end']);
  assert.deepEqual(
    await peer.ask(peer.headers(1, [':status', '200', 'a', 'b']), data(1, 'hel'), data(1, 'lo', true)),
    [],
  );
  assert.deepEqual(sent.events, ['head 200', 'end']);
  assert.equal(sent.body, 'hello');
  assert.deepEqual(sent.head?.headers, ['a', 'b']);
  assert.equal(connection.active, 0);
  assert.deepEqual(told, ['change', 'ended']);
});

it('answers reach their requests in whatever order', async () => {
  const { begin, peer } = await open();
  const [first, second] = [begin(), begin()];
  await peer.ask(peer.headers(3, [':status', '201'], true), peer.headers(1, [':status', '202'], true));
  assert.deepEqual([first.events, second.events], [['head 202 end'], ['head 201 end']]);
});

it('interim answers and trailers are passed on', async () => {
  const { sent, peer } = await withRequest();
  await peer.ask(
    peer.headers(1, [':status', '100']),
    peer.headers(1, [':status', '103', 'link', 'x']),
    peer.headers(1, [':status', '200']),
    peer.headers(1, ['a', 'b'], true),
  );
  assert.deepEqual(sent.events, ['interim 100', 'interim 103', 'head 200', 'end a=b']);
});

it('a body goes with its trailers', async () => {
  const { begin, peer } = await open();
  begin(upload, (stream) => {
    stream.sendBody(Buffer.from('hello'));
    stream.sendEnd(['a', 'b']);
  });
  await settle();
  assert.deepEqual(peer.lines().slice(1), ['DATA 1 "hello"', 'HEADERS 1 a=b end']);
});

it('a body of chunks that is empty is told from none', async () => {
  const { peer, begin } = await open();
  begin(upload, (stream) => stream.sendEnd(undefined));
  begin({ method: 'POST', framing: 'none', contentLength: 0 });
  await settle();
  assert.deepEqual(
    peer.lines().map((line) => line.replace(/:method.*shop/, '...')),
    ['HEADERS 1 ...', 'DATA 1 "" end', 'HEADERS 3 ..., content-length=0 end'],
  );
});

it('a head that is longer than a frame still says that there is no body', async () => {
  const { peer, begin } = await open();
  begin({ headers: ['a', 'x'.repeat(40_000)] });
  await settle();
  assert.equal(peer.lines()[0], 'HEADERS 1 end ...');
});

describe('an answer without content', () => {
  for (const [what, method, status] of [
    ['to HEAD', 'HEAD', '200'],
    ['with status 204', 'GET', '204'],
    ['with status 304', 'GET', '304'],
  ] as const) {
    const length = status === '204' ? [] : ['content-length', '5'];
    it(`${what} ends with its head or behind it`, async () => {
      const { begin, peer } = await open();
      const [first, second] = [begin({ method }), begin({ method })];
      await peer.ask(
        peer.headers(1, [':status', status, ...length], true),
        peer.headers(3, [':status', status, ...length]),
        data(3, '', true),
      );
      assert.deepEqual(first.events, [`head ${status} end`]);
      assert.deepEqual(second.events, [`head ${status}`, 'end']);
    });

    it(`${what} never has any, which another reader could take for the next answer`, async () => {
      const { sent, peer } = await withRequest({ method });
      assert.deepEqual(await peer.ask(peer.headers(1, [':status', status, ...length]), data(1, 'HTTP/1.1 200 OK')), [
        'RST 1 protocolError',
      ]);
      assert.equal(sent.body, '');
      assert.deepEqual(sent.events, [`head ${status}`, 'failure protocol']);
    });
  }
});

describe('an answer before the end of the request', () => {
  it('is complete, and the rest is not sent', async () => {
    const { sent, peer, connection } = await withRequest(upload);
    assert.deepEqual(await peer.ask(peer.headers(1, [':status', '413'], true), reset(1, 'noError')), ['RST 1 noError']);
    assert.deepEqual(sent.events, ['head 413 end']);
    sent.stream!.sendBody(Buffer.from('more'));
    sent.stream!.sendEnd(undefined);
    await settle();
    assert.deepEqual(peer.lines(), []);
    assert.equal(connection.active, 0);
  });

  it('may have a body', async () => {
    const { sent, peer } = await withRequest(upload);
    await peer.ask(peer.headers(1, [':status', '413']));
    sent.stream!.sendBody(Buffer.from('more'));
    assert.deepEqual(await peer.ask(data(1, 'no', true), reset(1, 'noError')), ['DATA 1 "more"', 'RST 1 noError']);
    assert.deepEqual(sent.events, ['head 413', 'end']);
  });

  it('may come by the thousand', async () => {
    const { begin, peer, connection } = await open();
    for (let i = 0; i < 1200; i++) {
      begin(upload);
      await peer.ask(peer.headers(2 * i + 1, [':status', '401'], true), reset(2 * i + 1, 'noError'));
    }
    assert.equal(connection.isOver, false);
  });
});

describe('an answer that is not one', () => {
  for (const [what, make] of [
    ['body before the head', () => [data(1, 'x')]],
    ['end before the head', () => [data(1, '', true)]],
    ['no status', (peer: Http2Peer) => [peer.headers(1, ['a', 'b'])]],
    ['a switch of protocols', (peer: Http2Peer) => [peer.headers(1, [':status', '101'])]],
    ['an interim answer that is the last', (peer: Http2Peer) => [peer.headers(1, [':status', '103'], true)]],
    [
      'interim answers without end',
      (peer: Http2Peer) => Array.from({ length: 17 }, () => peer.headers(1, [':status', '103'])),
    ],
    ['a head that is too long', (peer: Http2Peer) => [peer.headers(1, [':status', '200', ...many])]],
    [
      'trailers that do not end it',
      (peer: Http2Peer) => [peer.headers(1, [':status', '200']), peer.headers(1, ['a', 'b'])],
    ],
    [
      'trailers that are malformed',
      (peer: Http2Peer) => [peer.headers(1, [':status', '200']), peer.headers(1, ['A', 'b'], true)],
    ],
    [
      'more than it says',
      (peer: Http2Peer) => [peer.headers(1, [':status', '200', 'content-length', '1']), data(1, 'ab')],
    ],
    [
      'less than it says',
      (peer: Http2Peer) => [peer.headers(1, [':status', '200', 'content-length', '3']), data(1, 'ab', true)],
    ],
  ] as const)
    it(`costs its request: ${what}`, async () => {
      const { begin, peer, connection } = await open();
      const [bad, good] = [begin(), begin()];
      const lines = await peer.ask(...make(peer), peer.headers(3, [':status', '200'], true));
      assert.match(lines.at(-1)!, /^RST 1 /);
      assert.equal(bad.events.at(-1), 'failure protocol');
      assert.deepEqual(good.events, ['head 200 end']);
      assert.equal(connection.active, 0);
    });

  const many = Array.from({ length: 1100 }, (_, i) => [`a${i}`, 'b']).flat();
});

describe('a reset by the server', () => {
  for (const [code, failure] of [
    ['refusedStream', 'refused'],
    ['protocolError', 'protocol'],
    ['enhanceYourCalm', 'protocol'],
    ['internalError', 'reset'],
    ['cancel', 'reset'],
    ['noError', 'reset'],
    ['connectError', 'lost'],
  ] as const)
    it(`with ${code} is a failure of kind ${failure}`, async () => {
      const { sent, peer } = await withRequest();
      await peer.ask(reset(1, code));
      assert.deepEqual(sent.events, [`failure ${failure}`]);
      if (failure === 'lost') assert.deepEqual(sent.failure, { kind: 'lost', reset: false });
    });

  it('within an answer is told as such', async () => {
    const { sent, peer } = await withRequest();
    await peer.ask(peer.headers(1, [':status', '200']), data(1, 'half'), reset(1, 'internalError'));
    assert.deepEqual(sent.events, ['head 200', 'failure reset']);
  });

  it('that says that it has not worked on the request has it sent again, where that has no body', async () => {
    const { begin, peer, again } = await open({ sendsAgain: true });
    const [whole, withBody] = [begin({ method: 'PATCH' }), begin(upload)];
    await peer.ask(reset(1, 'refusedStream'), reset(3, 'refusedStream'));
    assert.deepEqual(again, [whole]);
    assert.deepEqual([whole.events, withBody.events], [[], ['failure refused']]);
  });

  it('after its answer has begun is no reason to send it again', async () => {
    const { sent, peer, again } = await withRequest({}, { sendsAgain: true });
    await peer.ask(peer.headers(1, [':status', '200']), reset(1, 'refusedStream'));
    assert.deepEqual(sent.events, ['head 200', 'failure refused']);
    assert.deepEqual(again, []);
  });
});

describe('a request that is given up', () => {
  it('is reset, and nothing more is told of it', async () => {
    const { sent, peer, connection, told } = await withRequest();
    sent.stream!.cancel();
    await settle();
    assert.deepEqual(peer.lines(), ['RST 1 cancel']);
    assert.equal(connection.active, 0);
    assert.deepEqual(told, ['change', 'ended']);
    assert.deepEqual(await peer.ask(peer.headers(1, [':status', '200']), data(1, 'late', true), ping('12345678')), [
      'PING "12345678" ack',
    ]);
    assert.deepEqual(sent.events, []);
  });

  it('with hundreds of others leaves the rest alone, though their answers were on their way', async () => {
    const { begin, peer } = await open();
    const count = 500;
    const given = Array.from({ length: count }, () => begin());
    const kept = begin();
    for (const { stream } of given) stream!.cancel();
    await peer.ask(
      ...given.flatMap((_, i) => [peer.headers(2 * i + 1, [':status', '200']), data(2 * i + 1, 'x', true)]),
      peer.headers(2 * count + 1, [':status', '204'], true),
    );
    assert.deepEqual(kept.events, ['head 204 end']);
  });
});

describe('bodies', () => {
  it('stay within the windows of the server', async () => {
    const { begin, peer } = await open({ settings: settings({ initialWindowSize: 4 }) });
    const sent = begin(upload, (stream) => {
      assert.equal(stream.sendBody(Buffer.from('hello')), false);
      stream.sendEnd(undefined);
    });
    await settle();
    assert.deepEqual(peer.lines().slice(1), ['DATA 1 "hell"']);
    assert.deepEqual(await peer.ask(settings({ initialWindowSize: 5 })), ['DATA 1 "o" end', 'SETTINGS ack']);
    assert.deepEqual(sent.events, []);
  });

  it('end once, however often their windows open afterwards', async () => {
    for (const trailers of [undefined, ['a', 'b']]) {
      const { begin, peer } = await open();
      begin(upload, (stream) => {
        stream.sendBody(Buffer.alloc(70_000));
        stream.sendEnd(trailers);
      });
      await settle();
      assert.deepEqual(peer.lines().slice(1), [...Array<string>(3).fill('DATA 1 16384'), 'DATA 1 16383']);
      const lines = await peer.ask(
        windowUpdate(0, 9999),
        windowUpdate(1, 9999),
        windowUpdate(1, 9999),
        windowUpdate(0, 1),
      );
      assert.deepEqual(lines, trailers === undefined ? ['DATA 1 4465 end'] : ['DATA 1 4465', 'HEADERS 1 a=b end']);
    }
  });

  it('that nobody takes get no credit, and those beside them do', async () => {
    const { begin, peer } = await open({ limits: { streamWindowBytes: 65_536, connectionWindowBytes: 131_072 } });
    const [slow, fast] = [begin(), begin()];
    slow.onBody = () => slow.stream!.pauseBody();
    const large = 'x'.repeat(16_384);
    await peer.ask(peer.headers(1, [':status', '200']), peer.headers(3, [':status', '200']));
    assert.deepEqual(await peer.ask(...Array.from({ length: 4 }, () => data(1, large))), ['WINDOW_UPDATE 0 65536']);
    assert.deepEqual(await peer.ask(data(3, large), data(3, large)), ['WINDOW_UPDATE 3 32768']);
    assert.equal(fast.body.length, 32_768);
    slow.stream!.resumeBody();
    await settle();
    assert.deepEqual(peer.lines(), ['WINDOW_UPDATE 1 65536']);
  });
});

describe('room for requests', () => {
  it('is for a hundred before the server has told its settings, as every server takes', async () => {
    const { begin, connection, told, peer } = await open({ settings: Buffer.alloc(0) });
    for (let i = 0; i < 100; i++) begin();
    assert.equal(connection.hasRoomForRequest, false);
    await peer.ask(settings());
    assert.equal(connection.hasRoomForRequest, true);
    assert.deepEqual(told, ['change']);
  });

  it('is for as many as the server says', async () => {
    const { begin, connection, told, peer } = await open({ settings: settings({ maxConcurrentStreams: 2 }) });
    assert.ok(told.includes('change'));
    begin();
    assert.equal(connection.hasRoomForRequest, true);
    begin();
    assert.equal(connection.hasRoomForRequest, false);
    await peer.ask(peer.headers(1, [':status', '200'], true));
    assert.equal(connection.hasRoomForRequest, true);
    await peer.ask(settings({ maxConcurrentStreams: 0 }));
    assert.equal(connection.hasRoomForRequest, false);
  });
});

describe('a server that goes away', () => {
  it('answers what it has taken, and the rest is sent again', async () => {
    const { begin, peer, again, socket, connection } = await open({ sendsAgain: true });
    const [taken, rest] = [begin(), begin()];
    await peer.ask(goaway(1));
    assert.deepEqual(again, [rest]);
    assert.equal(connection.hasRoomForRequest, false);
    assert.equal(socket.writableEnded, false);
    await peer.ask(peer.headers(1, [':status', '200'], true));
    assert.deepEqual(taken.events, ['head 200 end']);
    assert.equal(socket.writableEnded, true);
  });

  it('in two steps has everything answered that it takes', async () => {
    const { sent, peer, connection } = await withRequest();
    await peer.ask(goaway(2 ** 31 - 1), ping('x'.repeat(8)));
    assert.deepEqual(sent.events, []);
    assert.equal(connection.hasRoomForRequest, false);
    await peer.ask(goaway(1), peer.headers(1, [':status', '200'], true));
    assert.deepEqual(sent.events, ['head 200 end']);
  });

  it('and is idle is left at once', async () => {
    const { peer, socket, told } = await open();
    await peer.ask(goaway(0));
    assert.equal(socket.writableEnded, true);
    assert.ok(told.includes('change'));
  });

  it('without a word fails what was under way', async () => {
    const { sent, socket, told } = await withRequest();
    socket.receiveEnd();
    await settle();
    assert.deepEqual(sent.failure, { kind: 'lost', reset: false });
    assert.deepEqual(told, ['change', 'ended', 'closed']);
  });
});

describe('a server that is none', () => {
  for (const [what, bytes] of [
    ['HTTP/1.1', 'HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'],
    ['TLS', '\x15\x03\x03\0\x02\x02\x0a\x15\x03\x03'],
    ['zeros', '\0'.repeat(100)],
  ] as const)
    it(`fails every request: ${what}`, async () => {
      const { sent, socket, connection } = await withRequest({}, { settings: Buffer.alloc(0) });
      socket.receive(bytes);
      await settle();
      assert.deepEqual(sent.events, ['failure protocol']);
      assert.equal(connection.hasRoomForRequest, false);
    });

  for (const [what, bytes] of [
    ['pushes', frame(frameType.pushPromise, flag.endHeaders, 1, '\0\0\0\x02')],
    ['asks for pushes', settings({ enablePush: 1 })],
    ['answers what was never asked', data(5, 'x')],
    ['opens streams', windowUpdate(2, 5)],
  ] as const)
    it(`fails every request: one that ${what}`, async () => {
      const { sent, peer } = await withRequest();
      assert.match((await peer.ask(bytes)).at(-1)!, /^GOAWAY 0 protocolError/);
      assert.deepEqual(sent.events, ['failure protocol']);
    });
});

describe('a proxy of the mesh that owes answers and says nothing', () => {
  it('is asked whether it is there, and left where it does not answer', async () => {
    const { sent, peer, pass, socket } = await withRequest({}, { carries: true });
    pass(14);
    await settle();
    assert.deepEqual(peer.lines(), []);
    pass(17);
    await settle();
    assert.deepEqual(peer.lines(), ['PING "lateen?\\u0000"']);
    pass(40);
    await settle();
    assert.equal(socket.destroyed, true);
    assert.deepEqual(sent.events, ['failure lost']);
  });

  it('is kept where it answers', async () => {
    const { peer, connection, socket } = await withRequest({}, { carries: true });
    const nowMs = performance.now();
    for (let i = 1; i <= 60; i++) {
      connection.onTick(nowMs + i * 1000);
      await settle(2);
      if (peer.lines().length > 0) await peer.ask(ping('lateen?\0', true));
    }
    assert.equal(socket.destroyed, false);
  });

  it('is left alone where it owes nothing', async () => {
    const { peer, pass, socket } = await open({ carries: true });
    pass(100);
    await settle();
    assert.deepEqual(peer.lines(), []);
    assert.equal(socket.destroyed, false);
  });
});

describe('a server that takes nothing of what waits for it', () => {
  it('is given no more requests after five seconds, and is left when those under way have ended', async () => {
    const { sent, socket, connection, pass } = await withRequest(upload);
    socket.holdWrites();
    sent.stream!.sendBody(Buffer.alloc(50_000));
    await settle();
    pass(4);
    assert.equal(connection.hasRoomForRequest, true);
    pass(8);
    assert.deepEqual([connection.hasRoomForRequest, socket.destroyed], [false, false]);
    sent.stream!.cancel();
    assert.equal(socket.destroyed, true);
  });

  it('is kept where it goes on taking, however slowly', async () => {
    const { sent, socket, connection } = await withRequest(upload);
    const nowMs = performance.now();
    for (let i = 1; i < 20; i += 4) {
      const release = socket.holdWrites();
      sent.stream!.sendBody(Buffer.alloc(2000));
      await settle();
      for (let second = i; second < i + 4; second++) connection.onTick(nowMs + second * 1000);
      release();
      await settle();
      connection.onTick(nowMs + (i + 4) * 1000);
    }
    assert.equal(connection.hasRoomForRequest, true);
  });
});

describe('a request without an answer that is given up', () => {
  it('leaves a connection on which the server has said nothing meanwhile', async () => {
    const { sent, connection, socket, pass } = await withRequest();
    pass(3);
    sent.stream!.cancel();
    assert.deepEqual([connection.hasRoomForRequest, socket.destroyed], [false, true]);
  });

  it('leaves one where others are under way to them', async () => {
    const { sent, connection, socket, begin, pass } = await withRequest();
    begin();
    pass(3);
    sent.stream!.cancel();
    assert.deepEqual([connection.hasRoomForRequest, socket.destroyed], [false, false]);
  });

  it('keeps one at once, and one on which the server answers somebody', async () => {
    const early = await withRequest();
    early.sent.stream!.cancel();
    assert.equal(early.connection.hasRoomForRequest, true);
    const busy = await withRequest();
    busy.begin();
    await settle();
    const nowMs = performance.now();
    busy.connection.onTick(nowMs - 3000);
    await busy.peer.ask(busy.peer.headers(3, [':status', '200'], true));
    busy.sent.stream!.cancel();
    assert.equal(busy.connection.hasRoomForRequest, true);
  });

  it('keeps one between proxies of the mesh, which are asked whether they are there', async () => {
    const { sent, connection, pass } = await withRequest({}, { carries: true });
    pass(3);
    sent.stream!.cancel();
    assert.equal(connection.hasRoomForRequest, true);
  });
});

describe('a drain', () => {
  it('lets what is under way be answered', async () => {
    const { sent, peer, connection, socket } = await withRequest();
    connection.drain();
    assert.equal(connection.hasRoomForRequest, false);
    await peer.ask(peer.headers(1, [':status', '200'], true));
    assert.deepEqual(sent.events, ['head 200 end']);
    assert.equal(socket.writableEnded, true);
  });

  it('of an idle connection ends it', async () => {
    const { connection, socket } = await open();
    connection.drain();
    await settle();
    assert.equal(socket.writableEnded, true);
  });
});

describe('a switch of protocols', () => {
  const webSocket = { upgrade: 'websocket', headers: ['sec-websocket-key', 'k'] };
  const asked =
    'HEADERS 1 :method=CONNECT, :scheme=http, :path=/, :authority=shop, :protocol=websocket, sec-websocket-key=k';

  it('is asked for by CONNECT, and carries bytes both ways', async () => {
    const { sent, lines, peer } = await withRequest(webSocket);
    assert.deepEqual(lines, [asked]);
    await peer.ask(peer.headers(1, [':status', '200', 'sec-websocket-accept', 'x']), data(1, 'first'));
    assert.deepEqual(sent.events, ['upgraded 101 websocket']);
    assert.deepEqual(sent.head?.headers, ['sec-websocket-accept', 'x']);
    const { socket } = sent.tunnel!;
    const received: string[] = [];
    socket.on('data', (chunk) => received.push(String(chunk)));
    socket.on('end', () => received.push('end'));
    socket.end('bye');
    await settle();
    assert.deepEqual(peer.lines(), ['DATA 1 "bye" end']);
    await peer.ask(data(1, 'last', true));
    assert.equal(received.join(' ').replace('first last', 'firstlast'), 'firstlast end');
  });

  it('that is broken off breaks the other side', async () => {
    const { sent, peer } = await withRequest(webSocket);
    await peer.ask(peer.headers(1, [':status', '200']));
    const closed = new Promise((resolve) => sent.tunnel!.socket.once('close', resolve));
    await peer.ask(reset(1, 'cancel'));
    assert.equal(await closed, true);
  });

  it('that is refused is an answer', async () => {
    const { sent, peer, connection } = await withRequest(webSocket);
    await peer.ask(peer.headers(1, [':status', '403', 'content-length', '2']), data(1, 'no', true));
    assert.deepEqual(sent.events, ['head 403', 'end']);
    assert.equal(connection.active, 0);
  });

  it('that a proxy of the mesh says was not made is an answer', async () => {
    const { sent, peer } = await withRequest(webSocket, { carries: true });
    await peer.ask(
      peer.headers(1, [':status', '200', ':version', '1.1', 'content-length', '4']),
      data(1, 'page', true),
    );
    assert.deepEqual(sent.events, ['head 200', 'end']);
    assert.equal(sent.body, 'page');
  });

  it('is never told by others in that way', async () => {
    const { sent, peer } = await withRequest(webSocket);
    await peer.ask(peer.headers(1, [':status', '200', ':version', '1.1']));
    assert.deepEqual(sent.events, ['failure protocol']);
  });
});

describe('an error of our own', () => {
  const ours = (): never => {
    throw new Error('ours');
  };

  for (const [what, hook, make] of [
    ['at the head', 'onResponseHead', (peer: Http2Peer) => [peer.headers(1, [':status', '200'])]],
    ['at a head that is all', 'onResponseHead', (peer: Http2Peer) => [peer.headers(1, [':status', '200'], true)]],
    ['in the body', 'onResponseBody', (peer: Http2Peer) => [peer.headers(1, [':status', '200']), data(1, 'x')]],
    ['at the end', 'onResponseEnd', (peer: Http2Peer) => [peer.headers(1, [':status', '200']), data(1, 'x', true)]],
    ['at an interim answer', 'onInformational', (peer: Http2Peer) => [peer.headers(1, [':status', '103'])]],
  ] as const)
    it(`${what} costs its request and no other`, async () => {
      const { begin, peer, connection } = await open();
      const [bad, good] = [begin(), begin()];
      bad[hook] = ours;
      await peer.ask(...make(peer), peer.headers(3, [':status', '200'], true));
      assert.equal(bad.failure?.kind, 'internal');
      assert.deepEqual(good.events, ['head 200 end']);
      assert.equal(connection.active, 0);
    });

  it('at a switch costs its request and no other', async () => {
    const { begin, peer, connection } = await open();
    const [bad, good] = [begin({ upgrade: 'websocket' }), begin()];
    bad.onUpgraded = ours;
    await peer.ask(peer.headers(1, [':status', '200']), peer.headers(3, [':status', '200'], true));
    assert.equal(bad.failure?.kind, 'internal');
    assert.deepEqual(good.events, ['head 200 end']);
    assert.equal(connection.active, 0);
  });

  it('when it begins costs its request, and leaves nothing under way', async () => {
    const { begin, connection, peer } = await open();
    assert.throws(() => begin({}, ours), /ours/);
    await settle();
    assert.equal(connection.active, 0);
    assert.match(peer.lines().at(-1)!, /^RST 1 cancel/);
  });
});

it('what came while the connection was being looked at is read first', async () => {
  const socket = new MemorySocket();
  sockets.push(socket);
  const owner = { onChange() {}, onEnded() {}, onClosed() {}, onUnprocessed: () => false };
  const options = { limits: defaultHttp2Limits, carries: false };
  const first = settings({ maxConcurrentStreams: 0 });
  assert.equal(new Http2ClientConnection(socket.socket, owner, options, first).hasRoomForRequest, false);
});
