// Holds the pool to its laws against a model: every request is served or told why not, once, and by its own answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemorySocket, settle } from '../../../test/harness/memory-socket.js';
import type { ConnectOutcome } from '../tls/connector.js';
import type { RequestHead, ResponseHead } from './message.js';
import { ClusterUsage, unlimited } from '../cluster/usage.js';
import type { ClusterLimits } from '../config/cluster-limits.js';
import { defaultHttp2Limits } from './http2/limits.js';
import { HttpPool, type PoolClient, type PoolSettings } from './pool.js';
import type { UpstreamFailure, UpstreamStream } from './streams.js';

type Outcome = { readonly answer: string } | { readonly failure: UpstreamFailure };

/** A request, in the manner of an exchange. */
class Client implements PoolClient {
  readonly request: RequestHead;
  readonly outcomes: Outcome[] = [];
  cancelled = false;
  resends = 0;
  readonly #pool: HttpPool;
  #stream: UpstreamStream | undefined;
  #body = '';

  constructor(pool: HttpPool, method: string, id: number) {
    this.#pool = pool;
    const withBody = method === 'POST';
    this.request = {
      method,
      path: `/${id}`,
      authority: 'a',
      scheme: 'http',
      version: 'HTTP/1.1',
      headers: [],
      framing: withBody ? 'length' : 'none',
      contentLength: withBody ? 4 : -1,
      headBytes: 0,
    };
  }

  get isWaiting(): boolean {
    return !this.cancelled && this.outcomes.length === 0;
  }

  cancel(): void {
    if (!this.isWaiting) return;
    this.cancelled = true;
    this.#stream?.cancel();
    this.#pool.cancel(this);
  }

  onConnected(): void {
    // who is at the other end does not matter here
  }

  onUpstreamReady(stream: UpstreamStream): void {
    this.#stream = stream;
    if (this.request.contentLength > 0) stream.sendBody(Buffer.from('body'));
    stream.sendEnd(undefined);
  }

  onUpgraded(): void {
    assert.fail('nobody asked for it');
  }

  onInformational(): void {
    // none are sent
  }

  onResponseHead(_head: ResponseHead, endsHere: boolean): void {
    if (endsHere) this.onResponseEnd();
  }

  onResponseBody(chunk: Buffer): void {
    this.#body += chunk.toString();
  }

  onResponseEnd(): void {
    this.outcomes.push({ answer: this.#body });
  }

  onUpstreamFailure(failure: UpstreamFailure): void {
    this.outcomes.push({ failure });
  }

  onUpstreamDrain(): void {
    // bodies are small
  }
}

/** A server connection: finds requests in what was sent. */
class ServerEnd {
  readonly socket = new MemorySocket();
  readonly received: string[] = [];
  #answered = 0;
  #seen = 0;

  constructor(overlaps: () => void) {
    this.socket.onSent = () => {
      for (;;) {
        const end = this.socket.sent.indexOf('\r\n\r\n', this.#seen);
        if (end < 0) return;
        const [, path] = /([^ \n]+) HTTP\/1\.1\r\n/.exec(this.socket.sent.slice(this.#seen, end))!;
        if (this.received.length > this.#answered) overlaps();
        this.received.push(path!);
        this.#seen = end + 4;
      }
    };
  }

  get owesAnswer(): boolean {
    return !this.socket.destroyed && this.received.length > this.#answered;
  }

  answer(keepAlive = true): void {
    if (!this.owesAnswer) return;
    const path = this.received[this.#answered++]!;
    this.socket.receive(
      `HTTP/1.1 200 OK\r\ncontent-length: ${path.length}\r\n${keepAlive ? '' : 'connection: close\r\n'}\r\n${path}`,
    );
  }
}

/** A pool whose connections are opened and answered by the test. */
class World {
  readonly clients: Client[] = [];
  readonly servers: ServerEnd[] = [];
  readonly pending: ((outcome: ConnectOutcome) => void)[] = [];
  opened = 0;
  overlaps = 0;
  readonly usage = new ClusterUsage();
  readonly settings = {
    idleTimeoutMs: Infinity,
    maxRequestsPerConnection: Infinity,
    maxConnectionDurationMs: undefined,
    http2: defaultHttp2Limits,
  };
  readonly pool: HttpPool;

  constructor(limits: Partial<ClusterLimits> = {}, settings: Partial<PoolSettings> = {}) {
    this.usage.limits = { ...unlimited, ...limits };
    this.pool = new HttpPool(
      (done) => {
        this.opened++;
        this.pending.push(done);
        return () => undefined;
      },
      this.usage,
      () => ({ ...this.settings, ...settings }),
      false,
      false,
    );
  }

  dispatch(method: string): Client {
    const client = new Client(this.pool, method, this.clients.length);
    this.clients.push(client);
    this.pool.dispatch(client);
    return client;
  }

  connect({ expired = false, ended = false, at = 0 } = {}): ServerEnd | undefined {
    const [done] = this.pending.splice(at, 1);
    if (done === undefined) return undefined;
    const server = new ServerEnd(() => this.overlaps++);
    this.servers.push(server);
    if (ended) server.socket.receiveEnd();
    done({
      ok: true,
      connection: {
        socket: server.socket.socket,
        first: undefined,
        peer: undefined,
        expiresAtMs: expired ? 0 : Infinity,
        protocol: undefined,
        reset: () => undefined,
      },
    });
    return server;
  }

  refuse(at = 0): void {
    const [done] = this.pending.splice(at, 1);
    done?.({ ok: false, reason: 'connection refused', timedOut: false });
  }

  /** Serves everything until nothing is left to do. */
  async finish(): Promise<void> {
    for (let round = 0; round < 50; round++) {
      await settle(5);
      const busy = this.servers.filter((server) => server.owesAnswer);
      if (busy.length === 0 && this.pending.length === 0) {
        assert.equal(this.usage.pending, 0, 'nothing waits');
        assert.equal(this.usage.connections, this.servers.filter(({ socket }) => !socket.destroyed).length);
        return;
      }
      for (const server of busy) server.answer();
      while (this.pending.length > 0) this.connect();
    }
    assert.fail('the pool does not come to rest');
  }
}

async function inUse(world: World, method = 'GET'): Promise<ServerEnd> {
  world.dispatch(method);
  const server = world.connect()!;
  await settle();
  return server;
}

/** A world with one connection that has answered once and is free. */
async function withIdleConnection(): Promise<{ world: World; server: ServerEnd }> {
  const world = new World();
  const server = await inUse(world);
  server.answer();
  await settle();
  return { world, server };
}

test('a free connection is used again', async () => {
  const { world } = await withIdleConnection();
  const second = world.dispatch('POST');
  await world.finish();
  assert.deepEqual(second.outcomes, [{ answer: '/1' }]);
  assert.equal(world.opened, 1);
});

test('a request that waits for a new connection takes one that becomes free before it', async () => {
  const world = new World();
  const server = await inUse(world);
  const second = world.dispatch('GET');
  server.answer();
  await settle();
  server.answer();
  await settle();
  assert.deepEqual(second.outcomes, [{ answer: '/1' }]);
  assert.equal(world.pending.length, 1, 'the connection that was begun for it is still being opened');
});

test('a connection that could not be opened fails one request and no other', async () => {
  const world = new World();
  const clients = [world.dispatch('GET'), world.dispatch('GET')];
  world.refuse();
  await world.finish();
  assert.deepEqual(clients[0]!.outcomes, [{ failure: { kind: 'connect', reason: 'connection refused' } }]);
  assert.deepEqual(clients[1]!.outcomes, [{ answer: '/1' }]);
});

test('a connect that takes too long is told as such', () => {
  const world = new World();
  const client = world.dispatch('GET');
  world.pending.pop()!({ ok: false, reason: 'no connection within 5 ms', timedOut: true });
  assert.deepEqual(client.outcomes, [{ failure: { kind: 'connect-timeout' } }]);
});

test('a draining pool serves the requests that wait and keeps no connection', async () => {
  const world = new World();
  const server = await inUse(world);
  const waiting = world.dispatch('POST');
  world.pool.drain();
  server.answer();
  await world.finish();
  assert.deepEqual(waiting.outcomes, [{ answer: '/1' }]);
  assert.ok(world.servers.every(({ socket }) => socket.destroyed));
});

test('draining ends idle connections at once', async () => {
  const { world, server } = await withIdleConnection();
  world.pool.drain();
  assert.equal(server.socket.destroyed, true);
});

test('a connection is not used after its certificate', async () => {
  const world = new World();
  world.dispatch('GET');
  const server = world.connect({ expired: true })!;
  await settle();
  server.answer(); // what it was opened for goes through: a new one would retire as soon
  await settle();
  assert.equal(server.socket.destroyed, true);
  world.dispatch('GET');
  await world.finish();
  assert.equal(world.opened, 2);
});

test('a request that waits while a connection retires gets another one', async () => {
  const world = new World();
  world.dispatch('GET');
  const server = world.connect({ expired: true })!;
  await settle();
  const second = world.dispatch('GET');
  world.pool.cancel(second);
  const third = world.dispatch('GET');
  server.answer();
  await world.finish();
  assert.deepEqual(third.outcomes, [{ answer: '/2' }]);
});

test('a GET that meets a connection which the server has just closed is sent once more', async () => {
  const { world, server } = await withIdleConnection();
  const second = world.dispatch('GET');
  server.socket.receiveReset();
  await world.finish();
  assert.deepEqual(second.outcomes, [{ answer: '/1' }]);
  assert.equal(world.opened, 2);
});

test('a POST that meets a connection which the server has just closed fails: it may have been executed', async () => {
  const { world, server } = await withIdleConnection();
  const second = world.dispatch('POST');
  server.socket.receiveReset();
  await world.finish();
  assert.deepEqual(second.outcomes, [{ failure: { kind: 'lost', reset: true } }]);
});

test('a GET whose server ends in order without an answer is not sent again: it has been read', async () => {
  const { world, server } = await withIdleConnection();
  const second = world.dispatch('GET');
  server.socket.receiveEnd();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await world.finish();
  assert.deepEqual(second.outcomes, [{ failure: { kind: 'lost', reset: false } }]);
  assert.equal(world.opened, 1);
});

test('nor is a request without a body sent twice whose method may not be repeated', async () => {
  const { world, server } = await withIdleConnection();
  const second = world.dispatch('PATCH');
  server.socket.receiveReset();
  await world.finish();
  assert.deepEqual(second.outcomes, [{ failure: { kind: 'lost', reset: true } }]);
});

test('a request is not sent on a connection whose end has been seen, even before it is closed for good', async () => {
  const { world, server } = await withIdleConnection();
  const sent = new Promise<Client>((resolve) => server.socket.on('end', () => resolve(world.dispatch('POST'))));
  server.socket.receiveEnd();
  const client = await sent;
  await world.finish();
  assert.deepEqual(client.outcomes, [{ answer: '/1' }]);
});

test('a request that waits is not given to a connection whose end has been seen', async () => {
  const world = new World();
  const server = await inUse(world);
  const second = world.dispatch('POST');
  server.answer(); // frees the connection for the second request, in a later turn
  server.socket.destroy();
  await world.finish();
  assert.deepEqual(second.outcomes, [{ answer: '/1' }]);
});

test('a server that ends every connection as soon as it is open fails the request instead of being called for ever', async () => {
  const world = new World();
  const client = world.dispatch('GET');
  for (let i = 0; i < 20 && client.isWaiting; i++) {
    world.connect({ ended: true });
    await settle();
  }
  assert.equal(client.outcomes.length, 1);
  assert.ok(world.opened <= 2, `${world.opened} connections were opened for one request`);
});

test('no more connections are opened than the cluster may have, and who waits is served by those', async () => {
  const world = new World({ maxConnections: 2 });
  const clients = Array.from({ length: 5 }, () => world.dispatch('POST'));
  assert.equal(world.pending.length, 2);
  await world.finish();
  assert.equal(world.opened, 2);
  assert.ok(clients.every(({ outcomes }) => 'answer' in outcomes[0]!));
});

test('an endpoint may have one connection whatever the others hold', async () => {
  const world = new World({ maxConnections: 2 });
  world.usage.connections = 2;
  world.dispatch('GET');
  assert.equal(world.pending.length, 1);
  world.usage.connections -= 2;
  await world.finish();
});

test('who would wait beyond the bound overflows at once, and disturbs nobody', async () => {
  const world = new World({ maxConnections: 1, maxPendingRequests: 1 });
  await inUse(world);
  const waiting = world.dispatch('GET');
  const over = world.dispatch('GET');
  assert.deepEqual(over.outcomes, [{ failure: { kind: 'overflow' } }]);
  await world.finish();
  assert.deepEqual(waiting.outcomes, [{ answer: '/1' }]);
});

test('a connection that is lost while requests wait behind the bound is replaced', async () => {
  const world = new World({ maxConnections: 1 });
  const server = await inUse(world, 'POST');
  const waiting = world.dispatch('GET');
  server.socket.destroy();
  await world.finish();
  assert.deepEqual(waiting.outcomes, [{ answer: '/1' }]);
});

test('a connection is closed after as many requests as it may carry', async () => {
  const world = new World({}, { maxRequestsPerConnection: 2 });
  for (let i = 0; i < 5; i++) {
    world.dispatch('GET');
    await world.finish();
  }
  assert.equal(world.opened, 3);
});

test('a request that gives up just when a connection is free for it leaves the connection to the next', async () => {
  const world = new World({ maxConnections: 1 });
  const server = await inUse(world);
  const second = world.dispatch('GET');
  const third = world.dispatch('GET');
  server.answer();
  second.cancel();
  await world.finish();
  assert.deepEqual(second.outcomes, []);
  assert.deepEqual(third.outcomes, [{ answer: '/2' }]);
  assert.deepEqual(server.received, ['/0', '/2']);
});

test('bytes that nobody asked for end an idle connection', async () => {
  const { world, server } = await withIdleConnection();
  server.socket.receive('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  await settle();
  assert.equal(server.socket.destroyed, true);
  const second = world.dispatch('POST');
  await world.finish();
  assert.deepEqual(second.outcomes, [{ answer: '/1' }]);
});

test('a request that is cancelled while it waits leaves its connection to the next', async () => {
  const world = new World();
  world.dispatch('GET').cancel();
  const second = world.dispatch('GET');
  assert.equal(world.opened, 1);
  await world.finish();
  assert.deepEqual(second.outcomes, [{ answer: '/1' }]);
});

test('cancelling a request under way ends its connection, so that its answer reaches nobody', async () => {
  const world = new World();
  const server = await inUse(world);
  world.clients[0]!.cancel();
  server.socket.receive('HTTP/1.1 200 OK\r\n');
  await world.finish();
  assert.equal(server.socket.destroyed, true);
  assert.deepEqual(world.clients[0]!.outcomes, []);
});

/** What may happen, and how often. */
const happenings = {
  GET: 5,
  POST: 3,
  PATCH: 2,
  connect: 8,
  'connect expired': 2,
  'connect ended': 2,
  refuse: 2,
  answer: 8,
  'answer close': 2,
  end: 3,
  reset: 2,
  rubbish: 2,
  cancel: 4,
  drain: 1,
  turn: 6,
  turns: 6,
} as const;
type Happening = keyof typeof happenings;
type Step = readonly [what: Happening, at: number];
const step: fc.Arbitrary<Step> = fc.tuple(
  fc.oneof(
    ...Object.entries(happenings).map(([name, weight]) => ({ arbitrary: fc.constant(name as Happening), weight })),
  ),
  fc.oneof({ arbitrary: fc.constant(0), weight: 2 }, { arbitrary: fc.nat(3), weight: 1 }),
);

async function take(world: World, [what, at]: Step): Promise<void> {
  const server = world.servers.at(-1 - at);
  switch (what) {
    case 'GET':
    case 'POST':
    case 'PATCH':
      world.dispatch(what);
      break;
    case 'connect':
      world.connect({ at });
      break;
    case 'connect expired':
      world.connect({ at, expired: true });
      break;
    case 'connect ended':
      world.connect({ at, ended: true });
      break;
    case 'refuse':
      world.refuse(at);
      break;
    case 'answer':
      server?.answer();
      break;
    case 'answer close':
      server?.answer(false);
      break;
    case 'end':
      server?.socket.receiveEnd();
      break;
    case 'reset':
      server?.socket.destroy(new Error('ECONNRESET'));
      break;
    case 'rubbish':
      server?.socket.receive('?');
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

test('whatever happens to connections, every request is answered by its own answer or told why not, once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      const world = new World();
      for (const each of steps) await take(world, each);
      await world.finish();
      for (const client of world.clients) {
        const { path, method } = client.request;
        const reached = world.servers.filter(({ received }) => received.includes(path)).length;
        if (client.cancelled) assert.deepEqual(client.outcomes, [], `${path} was cancelled`);
        else assert.equal(client.outcomes.length, 1, `${path} has ${client.outcomes.length} outcomes`);
        const [outcome] = client.outcomes;
        if (outcome !== undefined && 'answer' in outcome) assert.equal(outcome.answer, path);
        if (method !== 'GET') assert.ok(reached <= 1, `${path} reached ${reached} servers`);
      }
      assert.equal(world.overlaps, 0, 'two requests were under way on one connection');
      assert.ok(world.opened <= 2 * world.clients.length, `${world.opened} connections for ${world.clients.length}`);
      world.pool.drain();
      await settle();
      assert.ok(world.servers.every(({ socket }) => socket.destroyed));
    }),
    { numRuns: 1000 },
  );
});
