// Holds the reader of frames to RFC 9113 sections 4 and 6, however the bytes are cut, and to its limits.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { frame, uint32 } from '../../../../test/harness/http2-peer.js';
import { FrameReader } from './frame-reader.js';
import { ConnectionError, errorCode, flag, frameType, preface } from './frames.js';

const longestBlock = 40_000;
const settings = frame(frameType.settings, 0, 0);

/** What a reader tells of bytes that come in these pieces; parts of one body are put together. */
function read(pieces: readonly Buffer[], expectsPreface = false): string[] {
  const events: string[] = [];
  let body: { stream: number; text: string; flow: number } | undefined;
  const tellBody = (end: boolean) => {
    if (body !== undefined) events.push(`DATA ${body.stream} "${body.text}" ${body.flow}${end ? ' end' : ''}`);
    body = undefined;
  };
  const reader = new FrameReader(
    {
      onData: (stream, data, flow, end) => {
        if (body?.stream !== stream) tellBody(false);
        body ??= { stream, text: '', flow: 0 };
        body.text += data.toString('latin1');
        body.flow += flow;
        if (end) tellBody(true);
      },
      onHeaders: (stream, block, start, end, endStream) => {
        tellBody(false);
        events.push(`HEADERS ${stream} "${block.toString('latin1', start, end)}"${endStream ? ' end' : ''}`);
      },
      onControl: (type, flags, stream, bytes, start, length) => {
        tellBody(false);
        events.push(`${type} ${flags} ${stream} "${bytes.toString('latin1', start, start + length)}"`);
      },
    },
    longestBlock,
    expectsPreface,
  );
  try {
    for (const piece of pieces) reader.feed(piece);
  } catch (error) {
    assert.ok(error instanceof ConnectionError, String(error));
    tellBody(false);
    return [...events, `${error.code} ${error.message}`];
  }
  tellBody(false);
  return events;
}

/** Cuts bytes after each of these distances. */
function cut(bytes: Buffer, distances: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const distance of distances) {
    pieces.push(bytes.subarray(at, at + distance));
    at += distance;
  }
  return [...pieces, bytes.subarray(at)];
}

const padded = (padding: number, content: string) =>
  Buffer.concat([Buffer.from([padding]), Buffer.from(content), Buffer.alloc(padding)]);
const refused = (...frames: readonly Buffer[]) => read([Buffer.concat([settings, ...frames])]).at(-1);

const text = fc.string({ unit: fc.constantFrom(...'abc'), maxLength: 30 });
const id = fc.integer({ min: 1, max: 9 });
const some = fc.oneof(
  fc.tuple(id, text, fc.boolean()).map(([id, text, end]) => frame(frameType.data, end ? flag.endStream : 0, id, text)),
  fc
    .tuple(id, text, fc.nat(20), fc.boolean())
    .map(([id, text, padding, end]) =>
      frame(frameType.data, flag.padded | (end ? flag.endStream : 0), id, padded(padding, text)),
    ),
  fc
    .tuple(id, fc.array(text, { minLength: 1, maxLength: 4 }), fc.boolean(), fc.nat(9))
    .map(([id, parts, end, padding]) =>
      Buffer.concat(
        parts.map((part, i) =>
          frame(
            i === 0 ? frameType.headers : frameType.continuation,
            (i === parts.length - 1 ? flag.endHeaders : 0) | (i === 0 ? flag.padded | (end ? flag.endStream : 0) : 0),
            id,
            i === 0 ? padded(padding, part) : part,
          ),
        ),
      ),
    ),
  fc
    .tuple(fc.constantFrom(frameType.ping, frameType.goaway, frameType.settings, 77), fc.nat(255), id, text)
    .map(([type, flags, id, text]) => frame(type, flags, id, text)),
);

it('however bytes are cut, the same is read', () => {
  fc.assert(
    fc.property(
      fc.array(some, { maxLength: 10 }),
      fc.array(fc.oneof(fc.constant(1), fc.nat(20))),
      fc.boolean(),
      (frames, distances, expectsPreface) => {
        const bytes = Buffer.concat([...(expectsPreface ? [preface] : []), settings, ...frames]);
        assert.deepEqual(read(cut(bytes, distances), expectsPreface), read([bytes], expectsPreface));
        const single = cut(
          bytes,
          Array.from({ length: bytes.length }, () => 1),
        );
        assert.deepEqual(read(single, expectsPreface), read([bytes], expectsPreface));
      },
    ),
    { numRuns: 500 },
  );
});

it('whatever bytes come, they are read or refused in one way, however they are cut', () => {
  fc.assert(
    fc.property(
      fc.array(some, { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(20)),
      (frames, edits, distances) => {
        const bytes = Buffer.concat([settings, ...frames]);
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
        assert.deepEqual(read(cut(bytes, distances)), read([bytes]));
      },
    ),
    { numRuns: 2000 },
  );
});

describe('the beginning', () => {
  it('is the preface, where a client is expected', () => {
    assert.deepEqual(read([Buffer.concat([preface, settings])], true), ['4 0 0 ""']);
    for (let at = 0; at < preface.length; at++) {
      const wrong = Buffer.from(preface);
      wrong[at]! ^= 1;
      assert.deepEqual(read([wrong.subarray(0, at), wrong.subarray(at)], true), [
        `${errorCode.protocolError} the connection does not begin as HTTP/2 does`,
      ]);
    }
  });

  it('is SETTINGS and nothing else', () => {
    assert.deepEqual(read([frame(frameType.ping, 0, 0, '12345678')]), [
      `${errorCode.protocolError} the first frame is not SETTINGS`,
    ]);
  });
});

describe('a body', () => {
  it('is passed on as it comes, before its frame is complete', () => {
    const bytes = frame(frameType.data, flag.endStream, 1, 'hello');
    assert.deepEqual(read([settings, bytes.subarray(0, 11)]).slice(1), ['DATA 1 "he" 2']);
  });

  it('counts its padding against the windows and does not have it', () => {
    const bytes = frame(frameType.data, flag.padded, 1, padded(7, 'hi'));
    assert.deepEqual(read([settings, bytes]).slice(1), ['DATA 1 "hi" 10']);
    assert.deepEqual(read([settings, frame(frameType.data, flag.padded, 1, padded(3, ''))]).slice(1), ['DATA 1 "" 4']);
  });

  it('has no more padding than its frame has room for', () => {
    assert.equal(
      refused(frame(frameType.data, flag.padded, 1, Buffer.from([2, 0]))),
      `${errorCode.protocolError} padding is longer than its frame`,
    );
    assert.match(refused(frame(frameType.data, flag.padded, 1))!, /^6 /);
  });

  it('has a stream', () => {
    assert.match(refused(frame(frameType.data, 0, 0, 'x'))!, /^1 DATA without a stream/);
  });

  it('ends only once where padding comes after it', () => {
    const bytes = frame(frameType.data, flag.padded | flag.endStream, 1, padded(3, 'hi'));
    const pieces = cut(bytes, [9, 1, 1, 1, 1, 1]);
    assert.deepEqual(read([settings, ...pieces]).slice(1), ['DATA 1 "hi" 6 end']);
  });
});

describe('a header block', () => {
  it('is put together', () => {
    const frames = [
      frame(frameType.headers, flag.endStream, 1, 'a'),
      frame(frameType.continuation, 0, 1),
      frame(frameType.continuation, flag.endHeaders, 1, 'bc'),
    ];
    assert.deepEqual(read([settings, ...frames]).slice(1), ['HEADERS 1 "abc" end']);
  });

  it('is without padding and priority', () => {
    const flags = flag.endHeaders | flag.padded | flag.priority;
    const content = Buffer.concat([Buffer.from([2]), uint32(3), Buffer.from([16]), Buffer.from('ab..')]);
    assert.deepEqual(read([settings, frame(frameType.headers, flags, 1, content)]).slice(1), ['HEADERS 1 "ab"']);
  });

  for (const [what, code, flags, content] of [
    ['without room for the length of its padding', errorCode.frameSizeError, flag.padded, ''],
    ['with more padding than bytes', errorCode.protocolError, flag.padded, '\x03ab'],
    ['without room for its priority', errorCode.frameSizeError, flag.priority, 'abcd'],
    ['that depends on itself', errorCode.protocolError, flag.priority, '\0\0\0\x01\0'],
    ['that depends on itself exclusively', errorCode.protocolError, flag.priority, '\x80\0\0\x01\0'],
  ] as const)
    it(`${what} is refused`, () => {
      const [got] = refused(frame(frameType.headers, flag.endHeaders | flags, 1, content))!.split(' ');
      assert.equal(Number(got), code);
    });

  it('belongs to a stream', () => {
    assert.match(refused(frame(frameType.headers, flag.endHeaders, 0, 'a'))!, /^1 HEADERS without a stream/);
  });

  for (const [what, next] of [
    ['another frame', frame(frameType.ping, 0, 0, '12345678')],
    ['DATA of its stream', frame(frameType.data, 0, 1, 'x')],
    ['a block of another stream', frame(frameType.continuation, flag.endHeaders, 3, 'x')],
    ['an unknown frame', frame(99, 0, 1, 'x')],
  ] as const)
    it(`is not interrupted by ${what}`, () => {
      assert.match(refused(frame(frameType.headers, 0, 1, 'a'), next)!, /^1 a header block was interrupted/);
    });

  it('has to have begun', () => {
    assert.match(refused(frame(frameType.continuation, flag.endHeaders, 1, 'a'))!, /^1 CONTINUATION continues no/);
  });

  it('is as long as is allowed, however many frames say nothing', () => {
    const full = frame(frameType.continuation, 0, 1, 'x'.repeat(16_000));
    assert.match(refused(frame(frameType.headers, 0, 1, 'x'.repeat(16_000)), full, full)!, /^11 a header block is too/);
    const empty = Array.from({ length: 64 }, () => frame(frameType.continuation, 0, 1));
    assert.match(refused(frame(frameType.headers, 0, 1), ...empty)!, /^11 a header block is too long/);
  });
});

it('a frame is no longer than was announced', () => {
  assert.match(refused(frame(99, 0, 0, 'x'.repeat(16_385)))!, /^6 a frame is too long/);
  assert.match(refused(frame(frameType.data, 0, 1, 'x'.repeat(16_384)))!, /^DATA/);
});

it('the first bit of the number of a stream means nothing', () => {
  assert.deepEqual(read([settings, frame(frameType.data, 0, 2 ** 31 + 5, 'x')]).slice(1), ['DATA 5 "x" 1']);
});

it('nothing is read after a stop, not even of the same bytes', () => {
  const seen: number[] = [];
  const reader: FrameReader = new FrameReader(
    {
      onData: () => undefined,
      onHeaders: () => undefined,
      onControl: (type) => {
        seen.push(type);
        if (type === 99) reader.stop();
      },
    },
    longestBlock,
    false,
  );
  reader.feed(Buffer.concat([settings, frame(99, 0, 0), frame(98, 0, 0)]));
  reader.feed(frame(97, 0, 0));
  assert.deepEqual(seen, [frameType.settings, 99]);
});

it('tells which frame or block is under way, so that one that never ends is found', () => {
  const ignore = () => undefined;
  const reader = new FrameReader({ onData: ignore, onHeaders: ignore, onControl: ignore }, longestBlock, false);
  const states: number[] = [];
  for (const bytes of [
    settings,
    frame(frameType.ping, 0, 0, '12345678').subarray(0, 3),
    frame(frameType.ping, 0, 0, '12345678').subarray(3, 12),
    frame(frameType.ping, 0, 0, '12345678').subarray(12),
    frame(frameType.headers, 0, 1, 'a'),
    frame(frameType.continuation, flag.endHeaders, 1, 'a'),
  ]) {
    reader.feed(bytes);
    states.push(reader.underWay);
  }
  assert.deepEqual(states, [0, 2, 2, 0, 3, 0]);
});
