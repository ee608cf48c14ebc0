// Bytes that nobody meant, at both kinds of connections: saved conversations (testdata/conversations.json: frames as hex, and what
// came of them), and mutations of them. Whatever comes, it is read in one way, ends everything once, throws nowhere, and lets
// through no request that HTTP/1 would read as another.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { SentRequest, Taker } from '../../../../test/harness/exchanges.js';
import { Http2Peer } from '../../../../test/harness/http2-peer.js';
import { MemorySocket, settle } from '../../../../test/harness/memory-socket.js';
import { formatRequestHead, parseRequestHead } from '../http1/head.js';
import type { RequestHead } from '../message.js';
import { Http2ClientConnection } from './client-connection.js';
import { preface } from './frames.js';
import { defaultHttp2Limits } from './limits.js';
import { Http2ServerConnection } from './server-connection.js';

interface Conversation {
  readonly title: string;
  /** Who sends the frames: a caller, to our server; a server, to our client, which has two requests under way. */
  readonly from: 'caller' | 'server';
  /** One a frame; a caller's preface goes before them. */
  readonly frames: readonly string[];
  /** What became of the requests, and our last word. */
  readonly outcome: readonly string[];
}

const conversations = JSON.parse(
  readFileSync('src/proxy/http/http2/testdata/conversations.json', 'utf8'),
) as Conversation[];

const sockets: MemorySocket[] = [];
after(() => {
  for (const socket of sockets) socket.destroy();
});

interface Heard {
  readonly outcome: string[];
  readonly heads: RequestHead[];
}

/** Feeds a connection that answers what it takes, or has asked, and tells what came of it. */
async function hear(from: Conversation['from'], pieces: readonly Buffer[]): Promise<Heard> {
  const socket = new MemorySocket();
  sockets.push(socket);
  return from === 'caller' ? hearCaller(socket, pieces) : hearServer(socket, pieces);
}

async function feed(socket: MemorySocket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) socket.receive(piece.toString('latin1'));
  await settle(3);
}

async function hearCaller(socket: MemorySocket, pieces: readonly Buffer[]): Promise<Heard> {
  const taker = new Taker();
  const limits = { ...defaultHttp2Limits, maxConcurrentStreams: 5 };
  const connection = new Http2ServerConnection(socket.socket, taker, {
    limits,
    carries: false,
    onClose: () => undefined,
  });
  connection.start(undefined);
  await feed(socket, [preface, ...pieces]);
  const before = taker.taken.map(({ head, body, events }) => [head, body, [...events]] as const);
  const last = new Http2Peer(socket).lines().filter((line) => /^(RST|GOAWAY)/.test(line));
  socket.destroy();
  await settle();
  for (const { events } of taker.taken)
    assert.equal(events.filter((event) => event === 'gone').length, 1, `it ended by ${events.join()}`);
  return {
    heads: taker.taken.map(({ head }) => head),
    outcome: [
      ...before.map(([head, body, events]) =>
        [head.method, head.path, wholeBody(body, events), ...events].map((part) => JSON.stringify(part)).join(' '),
      ),
      ...taker.malformed,
      ...last,
    ],
  };
}

async function hearServer(socket: MemorySocket, pieces: readonly Buffer[]): Promise<Heard> {
  const owner = { onChange() {}, onEnded() {}, onClosed() {}, onUnprocessed: () => false };
  const connection = new Http2ClientConnection(socket.socket, owner, { limits: defaultHttp2Limits, carries: false });
  const requests = [new SentRequest(), new SentRequest({ method: 'POST', framing: 'chunked' })];
  for (const request of requests) connection.begin(request);
  await feed(socket, pieces);
  const before = requests.map(({ body, events }) =>
    [wholeBody(body, events), ...events].map((part) => JSON.stringify(part)).join(' '),
  );
  const last = new Http2Peer(socket, true).lines().filter((line) => /^(RST|GOAWAY)/.test(line));
  socket.destroy();
  await settle();
  for (const { events } of requests)
    assert.equal(events.filter((event) => /^(end|failure)|end$/.test(event)).length, 1, `it ended by ${events.join()}`);
  return { heads: [], outcome: [...before, ...last] };
}

/** How much of a body comes before it fails depends on how it is cut. */
const wholeBody = (body: string, events: readonly string[]): string =>
  events.some((event) => event === 'gone' || event.startsWith('failure')) ? '' : body;

const bytesOf = (frames: readonly string[]): Buffer[] => frames.map((hex) => Buffer.from(hex, 'hex'));

describe('a saved conversation', () => {
  for (const { title, from, frames, outcome } of conversations)
    it(`has its outcome however it is cut: ${title}`, async () => {
      const whole = Buffer.concat(bytesOf(frames));
      assert.deepEqual((await hear(from, [whole])).outcome, outcome);
      const single = Array.from(whole, (byte) => Buffer.from([byte]));
      assert.deepEqual((await hear(from, single)).outcome, outcome);
    });
});

/** One change to a list of frames. */
type Edit = (frames: Buffer[]) => void;
const at = fc.nat(1000);
const pick = (frames: readonly Buffer[], i: number): number => i % frames.length;
const edit: fc.Arbitrary<Edit> = fc.oneof(
  // A byte anywhere; one of the head of a frame; and what heads say of length, type, flags and stream.
  fc.tuple(at, at, fc.nat(255)).map(([i, byte, value]): Edit => (frames) => {
    const frame = frames[pick(frames, i)]!;
    if (frame.length > 0) frame[byte % frame.length] = value;
  }),
  fc.tuple(at, fc.nat(8), fc.nat(255)).map(([i, byte, value]): Edit => (frames) => {
    const frame = frames[pick(frames, i)]!;
    if (byte < frame.length) frame[byte] = value;
  }),
  fc.tuple(at, fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)).map(([i, type]): Edit => (frames) => {
    const frame = frames[pick(frames, i)]!;
    if (frame.length > 3) frame[3] = type;
  }),
  fc.tuple(at, fc.constantFrom(0, 1, 2, 3, 5, 7, 9, 101)).map(([i, stream]): Edit => (frames) => {
    const frame = frames[pick(frames, i)]!;
    if (frame.length > 8) frame.writeUInt32BE(stream, 5);
  }),
  fc.tuple(at, fc.nat(7)).map(([i, bit]): Edit => (frames) => {
    const frame = frames[pick(frames, i)]!;
    if (frame.length > 4) frame[4]! ^= 1 << bit;
  }),
  // Frames that are lost, come twice, in another order, or are cut short with a length that says so.
  at.map(
    (i): Edit =>
      (frames) =>
        void (frames.length > 1 && frames.splice(pick(frames, i), 1)),
  ),
  fc.tuple(at, at).map(
    ([i, j]): Edit =>
      (frames) =>
        void frames.splice(pick(frames, j), 0, Buffer.from(frames[pick(frames, i)]!)),
  ),
  fc.tuple(at, at).map(([i, j]): Edit => (frames) => {
    const [a, b] = [pick(frames, i), pick(frames, j)];
    [frames[a], frames[b]] = [frames[b]!, frames[a]!];
  }),
  fc.tuple(at, at).map(([i, length]): Edit => (frames) => {
    const a = pick(frames, i);
    const frame = frames[a]!;
    if (frame.length <= 9) return;
    const cut = Buffer.from(frame.subarray(0, 9 + (length % (frame.length - 9))));
    cut.writeUIntBE(cut.length - 9, 0, 3);
    frames[a] = cut;
  }),
);

const mutation = fc.record({
  conversation: fc.constantFrom(...conversations),
  edits: fc.array(edit, { minLength: 1, maxLength: 5 }),
  cuts: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 10 }),
});

/** What a server of HTTP/1 would read is what was taken. */
function checkHead(head: RequestHead): void {
  if (head.method === 'CONNECT') return; // goes no further than this proxy
  const text = formatRequestHead(head, '').slice(0, -4);
  const read = parseRequestHead(text, { bytes: 1e6, fields: 1000 });
  const same = ({ method, path, authority, headers }: RequestHead) => ({ method, path, authority, headers });
  assert.deepEqual(same(read), same(head));
  assert.deepEqual([read.framing, read.contentLength, read.upgrade], ['none', -1, undefined]);
}

it('a mutated conversation is read in one way, ends everything once, and lets through nothing that could be read in two', async () => {
  await fc.assert(
    fc.asyncProperty(mutation, async ({ conversation: { from, frames }, edits, cuts }) => {
      const changed = bytesOf(frames);
      for (const change of edits) change(changed);
      const whole = Buffer.concat(changed);
      const first = await hear(from, [whole]);
      const pieces: Buffer[] = [];
      let start = 0;
      for (const cut of cuts) pieces.push(whole.subarray(start, (start += cut)));
      assert.deepEqual((await hear(from, [...pieces, whole.subarray(start)])).outcome, first.outcome);
      for (const head of first.heads) checkHead(head);
    }),
    { numRuns: 1500 },
  );
});
