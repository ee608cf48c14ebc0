// Holds the pool to its laws where connections are shared: few of them, each request answered once or told why not, and no
// server that makes it open connections without end.
import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import fc from 'fast-check';
import { SentRequest } from '../../../test/harness/exchanges.js';
import { data, goaway, Http2Peer, reset, settings, windowUpdate } from '../../../test/harness/http2-peer.js';
import { MemorySocket, settle } from '../../../test/harness/memory-socket.js';
import type { ConnectOutcome } from '../tls/connector.js';
import { ClusterUsage, unlimited } from '../cluster/usage.js';
import type { ClusterLimits } from '../config/cluster-limits.js';
import { defaultHttp2Limits } from './http2/limits.js';
import type { RequestHead } from './message.js';
import { HttpPool, type PoolClient, type PoolSettings } from './pool.js';

class Client extends SentRequest implements PoolClient {
  cancelled = false;
  resends = 0;
  readonly #pool: HttpPool;

  constructor(pool: HttpPool, request: Partial<RequestHead>) {
    super(request);
    this.#pool = pool;
  }

  get isWaiting(): boolean {
    return !this.cancelled && !this.isOver;
  }

  get isOver(): boolean {
    return this.events.some((event) => /^(end|failure)|end$/.test(event));
  }

  onConnected(): void {
    // who is at the other end does not matter here
  }

  cancel(): void {
    if (!this.isWaiting) return;
    this.cancelled = true;
    this.stream?.cancel();
    this.#pool.cancel(this);
  }
}

/** A server's end of a connection. */
class ServerEnd {
  readonly socket = new MemorySocket();
  readonly peer = new Http2Peer(this.socket, true);
  /** Streams that wait for an answer, in their order, and the paths of all that ever came. */
  readonly open: number[] = [];
  readonly received: string[] = [];

  constructor() {
    this.socket.once('finish', () => this.socket.receiveEnd()); // it ends when the client has
  }

  /** Reads what has come. */
  read(): void {
    for (const line of this.peer.lines()) {
      const [what, id] = line.split(' ');
      if (what === 'HEADERS') {
        this.open.push(Number(id));
        this.received.push(/:path=([^,]*)/.exec(line)![1]!);
      } else if (what === 'RST') {
        const at = this.open.indexOf(Number(id));
        if (at >= 0) this.open.splice(at, 1);
      }
    }
  }

  pathOf(stream: number): string {
    return this.received[(stream - 1) / 2]!;
  }

  get isAlive(): boolean {
    return !this.socket.destroyed && !this.socket.writableEnded;
  }

  answer(i = 0): void {
    this.read();
    const [stream] = this.open.splice(i, 1);
    if (stream === undefined) return;
    this.peer.send(this.peer.headers(stream, [':status', '200']), data(stream, this.pathOf(stream), true));
  }

  refuse(i = 0): void {
    this.read();
    const [stream] = this.open.splice(i, 1);
    if (stream !== undefined) this.peer.send(reset(stream, 'refusedStream'));
  }
}

interface ConnectOptions {
  readonly protocol?: string | undefined;
  /** What the server says first; undefined: its settings. */
  readonly first?: Buffer;
  readonly expiresInMs?: number;
  readonly ended?: boolean;
}

const worlds: World[] = [];
afterEach(async () => {
  for (const { servers } of worlds.splice(0)) for (const { socket } of servers) socket.destroy();
  await settle();
});

class World {
  readonly pending: ((outcome: ConnectOutcome) => void)[] = [];
  readonly clients: Client[] = [];
  readonly servers: ServerEnd[] = [];
  opened = 0;
  readonly usage = new ClusterUsage();
  readonly pool: HttpPool;

  constructor(limits: Partial<ClusterLimits> = {}, more: Partial<PoolSettings> = {}, isHttp2 = true) {
    worlds.push(this);
    this.usage.limits = { ...unlimited, ...limits };
    this.pool = new HttpPool(
      (done) => {
        this.opened++;
        assert.ok(this.opened < 500, 'connections are opened without end');
        this.pending.push(done);
        return () => undefined;
      },
      this.usage,
      () => ({
        idleTimeoutMs: Infinity,
        maxRequestsPerConnection: Infinity,
        maxConnectionDurationMs: undefined,
        http2: defaultHttp2Limits,
        ...more,
      }),
      isHttp2,
      true,
    );
  }

  dispatch(request: Partial<RequestHead> = {}): Client {
    const client = new Client(this.pool, { path: `/${this.clients.length}`, ...request });
    this.clients.push(client);
    this.pool.dispatch(client);
    return client;
  }

  /** The handshake of the oldest connection under way ends well. */
  connect({ protocol = 'lateen-h2', first = settings(), expiresInMs = Infinity, ended = false }: ConnectOptions = {}) {
    const server = new ServerEnd();
    this.servers.push(server);
    if (ended) server.socket.receiveEnd();
    this.pending.shift()!({
      ok: true,
      connection: {
        socket: server.socket.socket,
        first,
        peer: undefined,
        expiresAtMs: Date.now() + expiresInMs,
        protocol,
        reset: () => undefined,
      },
    });
    return server;
  }

  fail(): void {
    this.pending.shift()?.({ ok: false, reason: 'connection refused', timedOut: false });
  }

  /** Serves everything until nothing is left to do. */
  async finish(): Promise<void> {
    for (let round = 0; round < 100; round++) {
      await settle(5);
      while (this.pending.length > 0) this.connect();
      const busy = this.servers.filter((server) => (server.read(), server.isAlive && server.open.length > 0));
      if (busy.length === 0 && this.pending.length === 0 && this.clients.every((each) => !each.isWaiting)) return;
      for (const server of busy) while (server.open.length > 0) server.answer();
    }
    assert.fail('the pool does not come to rest');
  }
}

/** A world with one connection. */
async function connected(...args: ConstructorParameters<typeof World>) {
  const world = new World(...args);
  const client = world.dispatch();
  const server = world.connect();
  await settle();
  return { world, server, client };
}

const answered = ['head 200', 'end'];

describe('a shared connection', () => {
  it('carries all requests', async () => {
    const world = new World();
    const early = Array.from({ length: 10 }, () => world.dispatch());
    assert.equal(world.opened, 1);
    const server = world.connect();
    await settle();
    const late = Array.from({ length: 10 }, () => world.dispatch({ method: 'POST' }));
    await settle();
    server.read();
    assert.equal(server.open.length, 20);
    await world.finish();
    for (const client of [...early, ...late]) assert.equal(client.body, client.request.path);
    assert.equal(world.opened, 1);
  });

  it('has a second beside it where the server takes no more streams', async () => {
    const { world, server } = await connected();
    server.peer.send(settings({ maxConcurrentStreams: 2 }));
    await settle();
    world.dispatch();
    assert.equal(world.opened, 1);
    const third = world.dispatch();
    assert.equal(world.opened, 2);
    const second = world.connect();
    await settle();
    second.answer();
    await settle();
    assert.deepEqual(third.events, answered);
  });

  it('that has room again takes who waits for a second', async () => {
    const { world, server } = await connected();
    server.peer.send(settings({ maxConcurrentStreams: 1 }));
    await settle();
    const waiting = world.dispatch();
    server.answer();
    await settle();
    server.answer();
    await settle();
    assert.deepEqual(waiting.events, answered);
    assert.equal(world.pending.length, 1);
  });

  it('has a second beside it where the server does not take what is queued', async () => {
    const { world, server } = await connected();
    server.peer.send(settings({ initialWindowSize: 10_000_000 }), windowUpdate(0, 10_000_000));
    await settle();
    server.socket.holdWrites();
    const upload = world.dispatch({ method: 'POST', framing: 'chunked' });
    upload.stream!.sendBody(Buffer.alloc(600_000));
    await settle();
    world.dispatch();
    assert.equal(world.opened, 2);
    const other = world.connect();
    await settle();
    world.dispatch();
    await settle();
    other.read();
    assert.deepEqual(other.received, ['/2', '/3']);
    assert.equal(world.opened, 2);
  });

  it('that is slow is better than none', async () => {
    const { world, server } = await connected({ maxConnections: 1 });
    server.peer.send(settings({ initialWindowSize: 10_000_000 }), windowUpdate(0, 10_000_000));
    await settle();
    const release = server.socket.holdWrites();
    world.dispatch({ method: 'POST', framing: 'chunked' }).stream!.sendBody(Buffer.alloc(600_000));
    await settle();
    const late = world.dispatch();
    assert.equal(world.opened, 1);
    release();
    await settle();
    assert.ok(late.stream !== undefined);
  });

  it('takes who was to have a second, where that cannot be opened', async () => {
    const { world, server } = await connected();
    server.peer.send(settings({ initialWindowSize: 10_000_000 }), windowUpdate(0, 10_000_000));
    await settle();
    server.socket.holdWrites();
    world.dispatch({ method: 'POST', framing: 'chunked' }).stream!.sendBody(Buffer.alloc(600_000));
    await settle();
    const late = world.dispatch();
    world.fail();
    await settle();
    assert.deepEqual(late.events, []);
    assert.ok(late.stream !== undefined);
    assert.equal(world.pending.length, 0);
  });

  it('is one of ten for a thousand requests that begin at once, before any server has told its limits', async () => {
    const world = new World();
    for (let i = 0; i < 1000; i++) world.dispatch({ method: 'POST', framing: 'chunked' });
    assert.equal(world.opened, 10);
    for (let i = 0; i < 10; i++) world.connect({ first: Buffer.alloc(0) });
    await settle();
    for (const server of world.servers) {
      server.read();
      assert.equal(server.open.length, 100);
    }
    assert.equal(world.opened, 10);
  });
});

describe('where the handshake chooses HTTP/1', () => {
  it('each of those who wait gets a connection of its own', async () => {
    const world = new World({}, {}, false);
    for (let i = 0; i < 3; i++) world.dispatch();
    assert.equal(world.opened, 1);
    const first = world.connect({ protocol: 'lateen-http/1.1', first: Buffer.alloc(0) });
    assert.equal(world.opened, 3);
    const others = [1, 2].map(() => world.connect({ protocol: 'http/1.1', first: Buffer.alloc(0) }));
    await settle();
    for (const { socket } of [first, ...others]) {
      assert.match(socket.sent, /^GET \/\d HTTP\/1\.1\r\n/);
      socket.receive('HTTP/1.1 204 No Content\r\n\r\n');
    }
    await settle();
    assert.deepEqual(
      world.clients.map(({ events }) => events),
      [['head 204 end'], ['head 204 end'], ['head 204 end']],
    );
    world.dispatch();
    assert.equal(world.opened, 3, 'a connection that is free is used again');
  });
});

describe('a connection that is to end', () => {
  it('is drained before its certificate ends, and another takes its place', async () => {
    const world = new World();
    const first = world.dispatch();
    const old = world.connect({ expiresInMs: 10_000 });
    await settle();
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 9500 });
    const second = world.dispatch();
    mock.timers.reset();
    assert.equal(world.opened, 2);
    world.connect();
    await settle();
    old.answer();
    await settle();
    assert.deepEqual(first.events, answered);
    assert.equal(old.isAlive, false);
    await world.finish();
    assert.deepEqual(second.events, answered);
  });

  it('as soon as it is made carries who waits for it: another would end as soon', async () => {
    const world = new World();
    const client = world.dispatch();
    const server = world.connect({ expiresInMs: 500 });
    await settle();
    server.answer();
    await settle();
    assert.deepEqual(client.events, answered);
    assert.equal(world.opened, 1);
  });

  it('is drained after as many requests as it may carry', async () => {
    const world = new World({}, { maxRequestsPerConnection: 3 });
    for (let i = 0; i < 7; i++) world.dispatch();
    await world.finish();
    assert.equal(world.opened, 3);
    assert.deepEqual(
      world.servers.map(({ received, isAlive }) => [received.length, isAlive]),
      [
        [3, false],
        [3, false],
        [1, true],
      ],
    );
  });

  it('because its root is gone lets what is under way be answered, and the next is new', async () => {
    const { world, server, client } = await connected();
    world.pool.retireConnections();
    const next = world.dispatch();
    assert.equal(world.opened, 2);
    server.answer();
    await settle();
    assert.equal(server.isAlive, false);
    await world.finish();
    assert.deepEqual([client.events, next.events], [answered, answered]);
    world.dispatch();
    assert.equal(world.opened, 2);
  });

  it('with the pool lets what is under way be answered', async () => {
    const { world, server, client } = await connected();
    world.pool.drain();
    assert.equal(server.isAlive, true);
    server.answer();
    await settle();
    assert.deepEqual(client.events, answered);
    assert.equal(server.isAlive, false);
  });

  it('with the pool serves who waits, also where it is opened afterwards', async () => {
    const world = new World();
    const client = world.dispatch();
    world.pool.drain();
    const server = world.connect();
    await settle();
    server.answer();
    await settle();
    assert.deepEqual(client.events, answered);
    assert.equal(server.isAlive, false);
  });
});

describe('a request that no server has worked on', () => {
  it('is sent again, on the same connection or another', async () => {
    const { world, server, client } = await connected();
    server.refuse();
    await settle();
    server.answer();
    await settle();
    assert.deepEqual(client.events, answered);
    assert.equal(world.opened, 1);
  });

  it('is sent again once and no more', async () => {
    const { server, client } = await connected();
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(client.events, []);
      server.refuse();
      await settle();
    }
    assert.deepEqual(client.events, ['failure refused']);
    assert.equal(server.received.length, 2);
  });

  it('is sent again where the server goes away', async () => {
    const { world, server, client } = await connected();
    const second = world.dispatch({ method: 'DELETE' });
    await settle();
    server.peer.send(goaway(1));
    await settle();
    server.answer();
    await world.finish();
    assert.deepEqual([client.events, second.events], [answered, answered]);
    assert.equal(world.opened, 2);
  });

  it('and that has been given up is not sent again', async () => {
    const { world, server, client } = await connected();
    server.read();
    client.cancel();
    server.peer.send(reset(1, 'refusedStream'));
    await settle();
    assert.equal(world.usage.pending, 0);
    assert.deepEqual(client.events, []);
  });
});

describe('a request that waits', () => {
  it('and is given up leaves its connection to the next', async () => {
    const world = new World();
    const first = world.dispatch();
    first.cancel();
    assert.equal(world.usage.pending, 0);
    const second = world.dispatch();
    assert.equal(world.opened, 1);
    await world.finish();
    assert.deepEqual([first.events, second.events], [[], answered]);
  });

  it('fails where its connection cannot be opened, and all that waited for the same', async () => {
    const world = new World();
    const clients = [world.dispatch(), world.dispatch()];
    world.fail();
    for (const client of clients) assert.deepEqual(client.events, ['failure connect']);
    assert.equal(world.usage.connections, 0);
    assert.equal(world.pending.length, 0);
  });

  it('beyond the bound overflows at once', () => {
    const world = new World({ maxPendingRequests: 1 });
    world.dispatch();
    assert.deepEqual(world.dispatch().events, ['failure overflow']);
  });

  it('in HTTP/1 counts as a connection, so that limits mean what they mean elsewhere', async () => {
    const { world, server } = await connected({ maxConnections: 2, maxPendingRequests: 1 }, {}, false);
    world.dispatch();
    const waiting = world.dispatch();
    assert.deepEqual(world.dispatch().events, ['failure overflow']);
    assert.deepEqual([world.usage.connections, world.opened], [2, 1]);
    server.answer();
    await settle();
    server.answer();
    server.answer();
    await settle();
    assert.deepEqual(waiting.events, answered);
    assert.equal(world.usage.connections, 0);
  });
});

describe('a server', () => {
  it('that goes away between the handshake and the request has it fail, and is not called for ever', async () => {
    const world = new World();
    const client = world.dispatch();
    for (let i = 0; i < 20 && world.pending.length > 0; i++) {
      world.connect({ ended: true, first: Buffer.alloc(0) });
      await settle(8);
    }
    assert.deepEqual(client.events, ['failure connect']);
    assert.ok(world.opened <= 2, `${world.opened} connections were opened`);
  });

  it('that takes no streams at all has the request fail, and is not called for ever', async () => {
    const world = new World();
    const client = world.dispatch();
    for (let i = 0; i < 20 && world.pending.length > 0; i++) {
      world.connect({ first: settings({ maxConcurrentStreams: 0 }) });
      await settle(8);
    }
    assert.match(client.events.join(), /^failure (connect|refused)$/);
    assert.ok(world.opened <= 2, `${world.opened} connections were opened`);
    assert.equal(world.usage.connections, world.servers.filter(({ socket }) => !socket.destroyed).length);
  });

  it('that refuses whatever comes has the request fail', async () => {
    const world = new World();
    const client = world.dispatch();
    for (let i = 0; i < 20 && client.isWaiting; i++) {
      if (world.pending.length > 0) world.connect();
      await settle(8);
      for (const server of world.servers) server.refuse();
    }
    assert.deepEqual(client.events, ['failure refused']);
    assert.equal(world.opened, 1);
  });

  it('that sends rubbish has the requests fail that it was sent, and the next goes elsewhere', async () => {
    const { world, server, client } = await connected();
    server.socket.receive('HTTP/1.1 400 Bad Request\r\n\r\n');
    await settle();
    assert.deepEqual(client.events, ['failure protocol']);
    const next = world.dispatch();
    await world.finish();
    assert.deepEqual(next.events, answered);
  });
});

describe('a connection that is idle too long', () => {
  it('is closed, and one that carries something is not', async () => {
    mock.timers.enable({ apis: ['setInterval'] });
    try {
      const { world, server } = await connected({}, { idleTimeoutMs: 0 });
      mock.timers.tick(2000);
      assert.equal(server.isAlive, true);
      server.answer();
      await settle();
      mock.timers.tick(2000);
      await settle();
      assert.equal(server.isAlive, false);
      assert.equal(world.clients[0]!.body, '/0');
    } finally {
      mock.timers.reset();
    }
  });
});

// ---- whatever happens

const happenings = {
  GET: 6,
  POST: 4,
  connect: 8,
  'connect with few streams': 3,
  'connect to HTTP/1': 1,
  'connect for a moment': 2,
  'connect to the dead': 2,
  fail: 2,
  answer: 8,
  'answer late': 4,
  refuse: 3,
  'go away': 2,
  'go away in two steps': 2,
  end: 2,
  break: 2,
  rubbish: 1,
  fewer: 2,
  cancel: 4,
  drain: 1,
  turn: 6,
  turns: 6,
} as const;
type Happening = keyof typeof happenings;
const step = fc.tuple(
  fc.oneof(
    ...Object.entries(happenings).map(([name, weight]) => ({ arbitrary: fc.constant(name as Happening), weight })),
  ),
  fc.oneof({ arbitrary: fc.constant(0), weight: 2 }, { arbitrary: fc.nat(3), weight: 1 }),
);

async function take(world: World, what: Happening, at: number): Promise<void> {
  const server = world.servers.at(-1 - at);
  const isOpening = world.pending.length > 0;
  switch (what) {
    case 'GET':
      world.dispatch();
      break;
    case 'POST':
      world.dispatch({ method: 'POST', contentLength: 4, framing: 'length' });
      break;
    case 'connect':
      if (isOpening) world.connect();
      break;
    case 'connect with few streams':
      if (isOpening) world.connect({ first: settings({ maxConcurrentStreams: at }) });
      break;
    case 'connect to HTTP/1':
      if (isOpening) world.connect({ protocol: 'http/1.1', first: Buffer.alloc(0), ended: true });
      break;
    case 'connect for a moment':
      if (isOpening) world.connect({ expiresInMs: 0 });
      break;
    case 'connect to the dead':
      if (isOpening) world.connect({ ended: true, first: Buffer.alloc(0) });
      break;
    case 'fail':
      world.fail();
      break;
    case 'answer':
      server?.answer();
      break;
    case 'answer late':
      server?.answer(1);
      break;
    case 'refuse':
      server?.refuse(at);
      break;
    case 'go away':
      server?.read();
      if (server !== undefined) server.peer.send(goaway(server.open[0] ?? 0));
      if (server !== undefined) server.open.splice(1);
      break;
    case 'go away in two steps':
      server?.peer.send(goaway(2 ** 31 - 1));
      break;
    case 'end':
      server?.socket.receiveEnd();
      break;
    case 'break':
      server?.socket.destroy(new Error('ECONNRESET'));
      break;
    case 'rubbish':
      server?.socket.receive('?'.repeat(10));
      break;
    case 'fewer':
      server?.peer.send(settings({ maxConcurrentStreams: at }));
      break;
    case 'cancel':
      world.clients.at(-1 - at)?.cancel();
      break;
    case 'drain':
      world.pool.drain();
      break;
    case 'turn':
      await settle(1);
      break;
    case 'turns':
      await settle();
      break;
  }
}

it('whatever happens to shared connections, every request is answered by its own answer or told why not, once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), fc.boolean(), async (steps, isHttp2) => {
      const world = new World({}, {}, isHttp2);
      for (const [what, at] of steps) await take(world, what, at);
      await world.finish();
      for (const client of world.clients) {
        const { path, method } = client.request;
        const ends = client.events.filter((event) => /^(end|failure)/.test(event));
        if (client.cancelled) assert.deepEqual(ends, [], `${path} was cancelled`);
        else assert.equal(ends.length, 1, `${path} ended by ${client.events.join()}`);
        if (ends[0] === 'end') assert.equal(client.body, path);
        const reached = world.servers.flatMap(({ received }) => received).filter((each) => each === path).length;
        assert.ok(reached <= (method === 'GET' ? 3 : 1), `${path} was sent ${reached} times`);
      }
      assert.equal(world.usage.pending, 0);
      world.pool.drain();
      await settle(8);
      assert.equal(world.usage.connections, 0);
      assert.ok(
        world.servers.every(({ isAlive }) => !isAlive),
        'a connection is left',
      );
    }),
    { numRuns: 600 },
  );
});
