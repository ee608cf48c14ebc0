// Joins our client to our server in memory, cuts what they say to each other at will, and holds them to their law: every body
// arrives as it was sent, every exchange ends once on both sides, and nothing is left over.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { responseHead, SentRequest, Taker, type TakenRequest } from '../../../../test/harness/exchanges.js';
import { parseFrames, type Frame } from '../../../../test/harness/http2-peer.js';
import { MemorySocket, settle } from '../../../../test/harness/memory-socket.js';
import { Http2ClientConnection } from './client-connection.js';
import { frameType, initialWindow, preface } from './frames.js';
import type { Http2Limits } from './limits.js';
import { Http2ServerConnection } from './server-connection.js';

/** One request, and what either side does. */
interface Plan {
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly chunkBytes: number;
  readonly trailers: boolean;
  readonly answersEarly: boolean;
  /** Turns after which a side gives up; undefined: never. */
  readonly callerGivesUpAt: number | undefined;
  readonly serverGivesUpAt: number | undefined;
  /** Turns for which each side takes nothing, after its first piece. */
  readonly callerPause: number;
  readonly serverPause: number;
}

/** Sizes that belong together, so that windows open many times and little is carried by the byte. */
interface Scale {
  readonly windows: readonly number[];
  readonly bodies: readonly number[];
  readonly chunks: readonly number[];
  readonly mostCut: number;
}
const small: Scale = { windows: [30, 100, 333], bodies: [0, 1, 100, 500], chunks: [10, 70, 600], mostCut: 60 };
const large: Scale = {
  windows: [16_384, 65_535, 262_144],
  bodies: [0, 16_384, 65_536, 150_000],
  chunks: [5000, 20_000, 100_000],
  mostCut: 40_000,
};

const limits = ({ windows }: Scale): fc.Arbitrary<Http2Limits> =>
  fc.record({
    maxConcurrentStreams: fc.constantFrom(3, 100),
    streamWindowBytes: fc.constantFrom(...windows),
    connectionWindowBytes: fc.constantFrom(65_535, 100_000, 1_048_576),
  });
const size = ({ bodies }: Scale): fc.Arbitrary<number> =>
  fc.oneof(fc.constantFrom(...bodies), fc.noBias(fc.integer({ min: 0, max: 2 * bodies.at(-1)! })));
const seldom = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: 5 }, { arbitrary, weight: 1 });
const pause = fc.oneof(fc.constant(0), fc.nat(20));
const plan = (scale: Scale): fc.Arbitrary<Plan> =>
  fc.record({
    requestBytes: size(scale),
    responseBytes: size(scale),
    chunkBytes: fc.constantFrom(...scale.chunks),
    trailers: fc.boolean(),
    answersEarly: seldom(fc.constant(true)).map((early) => early === true),
    callerGivesUpAt: seldom(fc.nat(10)),
    serverGivesUpAt: seldom(fc.nat(10)),
    callerPause: pause,
    serverPause: pause,
  });
const scenario = (scale: Scale) =>
  fc.record({
    plans: fc.array(plan(scale), { minLength: 1, maxLength: 5 }),
    clientLimits: limits(scale),
    serverLimits: limits(scale),
    /** Bytes that are carried in a turn. */
    cuts: fc.array(fc.noBias(fc.integer({ min: 1, max: scale.mostCut })), { minLength: 1, maxLength: 6 }),
  });

/** A body that shows what is missing or twice. */
function bodyOf(bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) body[i] = (i * 7 + (i >> 8)) & 0xff;
  return body;
}

/** Sends a body in pieces for as long as there is room, and goes on when it is called again. */
function sender(
  body: Buffer,
  chunkBytes: number,
  stream: { sendBody(chunk: Buffer): boolean; sendEnd(trailers: string[] | undefined): void },
  trailers: string[] | undefined,
): () => void {
  let at = 0;
  let ended = false;
  return () => {
    let room = true;
    while (room && at < body.length) {
      room = stream.sendBody(body.subarray(at, at + chunkBytes));
      at += chunkBytes;
    }
    if (ended || at < body.length) return;
    ended = true;
    stream.sendEnd(trailers);
  };
}

/** Bytes on their way from one to the other. */
class Wire {
  readonly from: MemorySocket;
  readonly to: MemorySocket;
  #at = 0;

  constructor(from: MemorySocket, to: MemorySocket) {
    this.from = from;
    this.to = to;
  }

  get isEmpty(): boolean {
    return this.#at === this.from.sent.length;
  }

  /** Everything that was sent so far. */
  get sent(): Buffer {
    return Buffer.from(this.from.sent, 'latin1');
  }

  carry(bytes: number): void {
    const end = Math.min(this.from.sent.length, this.#at + bytes);
    if (end > this.#at) this.to.receive(this.from.sent.slice(this.#at, end));
    this.#at = end;
  }
}

class World {
  readonly clientSocket = new MemorySocket();
  readonly serverSocket = new MemorySocket();
  readonly forth = new Wire(this.clientSocket, this.serverSocket);
  readonly back = new Wire(this.serverSocket, this.clientSocket);
  readonly taker = new Taker();
  readonly client: Http2ClientConnection;
  readonly server: Http2ServerConnection;
  readonly requests: SentRequest[] = [];
  readonly plans: readonly Plan[];
  readonly #cuts: readonly number[];
  #turn = 0;
  ended = 0;
  readonly #later: { readonly turn: number; readonly act: () => void }[] = [];

  constructor(plans: readonly Plan[], clientLimits: Http2Limits, serverLimits: Http2Limits, cuts: readonly number[]) {
    this.plans = plans;
    this.#cuts = cuts;
    const owner = {
      onChange: () => undefined,
      onEnded: () => this.ended++,
      onClosed: () => undefined,
      onUnprocessed: () => false,
    };
    this.client = new Http2ClientConnection(this.clientSocket.socket, owner, { limits: clientLimits, carries: true });
    this.server = new Http2ServerConnection(this.serverSocket.socket, this.taker, {
      limits: serverLimits,
      carries: true,
      onClose: () => undefined,
    });
    this.server.start(undefined);
    this.taker.onRequest = (taken) => this.#serve(taken, this.plans[Number(taken.head.path.slice(1))]!);
  }

  #in(turns: number, act: () => void): void {
    this.#later.push({ turn: this.#turn + turns, act });
  }

  #serve(taken: TakenRequest, plan: Plan): void {
    const trailers = plan.trailers ? ['x-t', 'served'] : undefined;
    const send = sender(bodyOf(plan.responseBytes), plan.chunkBytes, taken.stream, trailers);
    let isGone = false;
    const answer = () => {
      if (isGone) return;
      taken.stream.sendHead(responseHead(200), false);
      taken.onDownstreamDrain = send;
      send();
    };
    const end = taken.onRequestEnd.bind(taken);
    taken.onRequestEnd = (received) => {
      end(received);
      if (!plan.answersEarly) answer();
    };
    const gone = taken.onDownstreamGone.bind(taken);
    taken.onDownstreamGone = () => {
      isGone = true;
      gone();
    };
    if (plan.serverPause > 0)
      taken.onBody = () => {
        taken.onBody = () => undefined;
        taken.stream.pauseBody();
        this.#in(plan.serverPause, () => taken.stream.resumeBody());
      };
    if (plan.answersEarly) answer();
    if (plan.serverGivesUpAt !== undefined)
      this.#in(plan.serverGivesUpAt, () => {
        isGone = true;
        taken.stream.abort();
      });
  }

  begin(plan: Plan, i: number): void {
    const hasBody = plan.requestBytes > 0 || plan.trailers;
    const sent = new SentRequest({ method: 'POST', path: `/${i}`, framing: hasBody ? 'chunked' : 'none' }, (stream) => {
      const trailers = plan.trailers ? ['x-t', 'asked'] : undefined;
      const send = sender(bodyOf(plan.requestBytes), plan.chunkBytes, stream, trailers);
      sent.onUpstreamDrain = send;
      send();
    });
    if (plan.callerPause > 0)
      sent.onBody = () => {
        sent.onBody = () => undefined;
        sent.stream!.pauseBody();
        this.#in(plan.callerPause, () => sent.stream!.resumeBody());
      };
    this.requests.push(sent);
    this.client.begin(sent);
    if (plan.callerGivesUpAt !== undefined)
      this.#in(plan.callerGivesUpAt, () => {
        if (isOver(sent)) return;
        sent.events.push('given up');
        sent.stream!.cancel();
      });
  }

  /** Lets bytes pass until nothing moves any more. */
  async run(): Promise<void> {
    for (let quiet = 0; quiet < 3; this.#turn++) {
      const cut = this.#cuts[this.#turn % this.#cuts.length]!;
      this.forth.carry(cut);
      this.back.carry(this.#cuts[(this.#turn + 1) % this.#cuts.length]!);
      for (const each of this.#later.splice(0))
        if (each.turn <= this.#turn) each.act();
        else this.#later.push(each);
      await settle(1);
      const isQuiet = this.forth.isEmpty && this.back.isEmpty && this.#later.length === 0;
      quiet = isQuiet ? quiet + 1 : 0;
      assert.ok(this.#turn < 100_000, 'it never comes to rest');
    }
  }
}

const isOver = ({ events }: SentRequest): boolean => events.some((event) => /^(end|failure|given up)|end$/.test(event));

/** Bytes of bodies that were sent, for which no credit was given to all streams together. */
function owedBytes(sent: Buffer, answered: Buffer, { connectionWindowBytes }: Http2Limits): number {
  const framesOf = (bytes: Buffer): Frame[] =>
    parseFrames(bytes.subarray(bytes.subarray(0, preface.length).equals(preface) ? preface.length : 0)).frames;
  let owed = Math.max(connectionWindowBytes, initialWindow) - initialWindow;
  for (const { type, stream, payload } of framesOf(answered))
    if (type === frameType.windowUpdate && stream === 0) owed -= payload.readUInt32BE();
  for (const { type, payload } of framesOf(sent)) if (type === frameType.data) owed += payload.length;
  return owed;
}

for (const [what, scale, numRuns] of [
  ['small', small, 200],
  ['large', large, 40],
] as const)
  it(`every body arrives as it was sent, every exchange ends once, and nothing is left: ${what} bodies`, async () => {
    await fc.assert(
      fc.asyncProperty(scenario(scale), async ({ plans, clientLimits, serverLimits, cuts }) => {
        const world = new World(plans, clientLimits, serverLimits, cuts);
        await world.run(); // settings, before which nobody knows of small windows
        plans.forEach((each, i) => {
          if (world.client.hasRoomForRequest) world.begin(each, i);
        });
        await world.run();
        assert.equal(world.client.isOver, false);
        assert.equal(world.server.isOver, false);
        assert.equal(world.client.active, 0, 'streams are left at the client');
        assert.equal(world.server.isIdle, true, 'streams are left at the server');
        assert.equal(world.ended, world.requests.length);
        for (const [i, sent] of world.requests.entries()) check(plans[i]!, sent, world.taker);
        const { forth, back } = world;
        for (const [owed, { connectionWindowBytes }] of [
          [owedBytes(forth.sent, back.sent, serverLimits), serverLimits],
          [owedBytes(back.sent, forth.sent, clientLimits), clientLimits],
        ] as const)
          assert.ok(owed >= 0 && owed * 2 < connectionWindowBytes + 1, `${owed} bytes have no credit`);
        world.clientSocket.destroy();
        world.serverSocket.destroy();
      }),
      { numRuns },
    );
  });

function check(plan: Plan, sent: SentRequest, taker: Taker): void {
  const ends = sent.events.filter((event) => /^(end|failure|given up)|end$/.test(event));
  assert.equal(ends.length, 1, `it ended by ${sent.events.join()}`);
  const taken = taker.taken.find(({ head }) => head.path === sent.request.path);
  const isDisturbed = plan.callerGivesUpAt !== undefined || plan.serverGivesUpAt !== undefined;
  const full = bodyOf(plan.responseBytes).toString('latin1');
  if (sent.events.includes('given up') || sent.failure !== undefined) {
    assert.ok(isDisturbed, sent.events.join());
    assert.ok(full.startsWith(sent.body));
    return;
  }
  assert.equal(sent.body.length, plan.responseBytes);
  assert.equal(sent.body, full);
  assert.deepEqual(sent.events, ['head 200', plan.trailers ? 'end x-t=served' : 'end']);
  const asked = bodyOf(plan.requestBytes).toString('latin1');
  assert.ok(asked.startsWith(taken!.body));
  if (plan.answersEarly) return;
  assert.equal(taken!.body.length, plan.requestBytes);
  assert.deepEqual(taken!.events.slice(0, 1), [plan.trailers ? 'end x-t=asked' : 'end']);
}
