// Trace headers from anywhere: what is written is read back, and what is not exactly of its form says nothing.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  formatB3,
  formatTraceparent,
  isContext,
  parseB3,
  parseB3Decision,
  parseB3Ids,
  parseTraceparent,
} from './trace-context.js';

const traceId = '463ac35c9f6413ad48485a3953bb6124';
const spanId = 'a2fb4a1d1a96d312';
const zeros = '0'.repeat(16);
const undecided = { sampled: undefined, debug: false };

const id = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
  .filter((text) => text !== zeros);
const context = fc.record(
  {
    traceId: fc.oneof(
      id,
      fc.tuple(id, id).map((halves) => halves.join('')),
    ),
    spanId: id,
    sampled: fc.boolean(),
    debug: fc.constant(false),
  },
  { noNullPrototype: true },
);
const hostile = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEFx-') as fc.Arbitrary<string>, maxLength: 70 }),
  fc.constantFrom('0', 'a', '-', '0-').map((piece) => piece.repeat(60_000)),
  context.chain((whole) => {
    const text = formatTraceparent(whole);
    return fc
      .tuple(fc.nat(text.length - 1), fc.constantFrom('', '-', 'A', ' ', '\0', 'g', '\u0660'))
      .map(([at, odd]) => text.slice(0, at) + odd + text.slice(at + 1));
  }),
);

describe('what is written', () => {
  it('as traceparent is read back', () =>
    fc.assert(fc.property(context, (whole) => assert.deepEqual(parseTraceparent(formatTraceparent(whole)), whole))));
  it('as b3 is read back, whether or not it names a parent', () =>
    fc.assert(
      fc.property(context, fc.boolean(), fc.option(id, { nil: undefined }), (whole, debug, parentId) => {
        const sent = debug ? { ...whole, sampled: true, debug } : whole;
        assert.deepEqual(parseB3(formatB3(sent, parentId)), sent);
      }),
    ));
  it('as the several headers of B3 is read back', () =>
    fc.assert(
      fc.property(context, (whole) => {
        const decision = parseB3Decision(whole.sampled === true ? '1' : '0', undefined);
        assert.deepEqual(parseB3Ids(whole.traceId, whole.spanId, decision), whole);
      }),
    ));
});

it('whatever is sent is read as a context of the right form or as nothing', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      for (const read of [parseTraceparent(text), parseB3(text), parseB3Ids(text, text, undecided)]) {
        if (read === undefined || !isContext(read)) continue;
        assert.match(read.traceId, /^([0-9a-f]{16}){1,2}$/);
        assert.match(read.spanId, /^[0-9a-f]{16}$/);
        assert.ok(!read.traceId.startsWith(zeros) && read.spanId !== zeros);
      }
    }),
    { numRuns: 1000 },
  );
});

describe('a traceparent', () => {
  it('names trace, span and whether it is sampled', () => {
    assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, sampled: true, debug: false });
    assert.equal(parseTraceparent(`00-${traceId}-${spanId}-00`)!.sampled, false);
  });
  it('has other flags, of which one is known', () => {
    assert.equal(parseTraceparent(`00-${traceId}-${spanId}-ff`)!.sampled, true);
    assert.equal(parseTraceparent(`00-${traceId}-${spanId}-fe`)!.sampled, false);
  });
  it('of a later version may have more after what is known', () => {
    assert.equal(parseTraceparent(`01-${traceId}-${spanId}-01-what-comes-later`)!.traceId, traceId);
    assert.equal(parseTraceparent(`cc-${traceId}-${spanId}-01`)!.traceId, traceId);
  });
  it('whose upper half is zero is a trace of 64 bits', () =>
    assert.equal(parseTraceparent(`00-${zeros}${traceId.slice(16)}-${spanId}-01`)!.traceId, traceId.slice(16)));

  for (const [what, text] of [
    ['nothing', ''],
    ['a version that is forbidden', `ff-${traceId}-${spanId}-01`],
    ['more than its version has', `00-${traceId}-${spanId}-01-more`],
    ['more without a dash', `01-${traceId}-${spanId}-01more`],
    ['a trace id of zeros', `00-${zeros}${zeros}-${spanId}-01`],
    ['a span id of zeros', `00-${traceId}-${zeros}-01`],
    ['upper case', `00-${traceId.toUpperCase()}-${spanId}-01`],
    ['a short trace id', `00-${traceId.slice(1)}-${spanId}-01`],
    ['a long span id', `00-${traceId}-${spanId}0-01`],
    ['a letter that is no digit', `00-${traceId.slice(1)}g-${spanId}-01`],
    ['no flags', `00-${traceId}-${spanId}`],
    ['flags of one digit', `00-${traceId}-${spanId}-1`],
    ['a space before it', ` 00-${traceId}-${spanId}-01`],
    ['other separators', `00_${traceId}_${spanId}_01`],
    ['a line break after it', `00-${traceId}-${spanId}-01\n`],
  ] as const)
    it(`with ${what} names nothing`, () => assert.equal(parseTraceparent(text), undefined));
});

describe('b3', () => {
  it('may leave the decision open', () =>
    assert.deepEqual(parseB3(`${traceId}-${spanId}`), { traceId, spanId, ...undecided }));
  it('may be the decision alone', () => {
    assert.deepEqual(parseB3('0'), { sampled: false, debug: false });
    assert.deepEqual(parseB3('1'), { sampled: true, debug: false });
    assert.deepEqual(parseB3('d'), { sampled: true, debug: true });
  });
  it('names ids in one form, whatever their letters', () =>
    assert.deepEqual(parseB3(`${traceId.toUpperCase()}-${spanId.toUpperCase()}-1`), {
      traceId,
      spanId,
      sampled: true,
      debug: false,
    }));
  for (const text of [
    '',
    'x',
    traceId,
    `${traceId}-`,
    `${traceId}-${spanId}-2`,
    `${traceId}-${spanId}-1-`,
    `${traceId}-${spanId}-1-${spanId}-`,
    `${traceId}-${spanId}-1-${spanId.slice(1)}`,
    `${traceId.slice(1)}-${spanId}-1`,
    `${zeros}${zeros}-${spanId}-1`,
    `${traceId}-${zeros}-1`,
    `${traceId} -${spanId}-1`,
  ])
    it(`${JSON.stringify(text)} says nothing`, () => assert.equal(parseB3(text), undefined));
});

describe('the decision in several headers', () => {
  it('is 1 or 0, and what older tracers wrote', () => {
    assert.deepEqual(
      ['1', 'true', '0', 'false', 'd', 'TRUE', '', '11', undefined].map(
        (sampled) => parseB3Decision(sampled, undefined).sampled,
      ),
      [true, true, false, false, undefined, undefined, undefined, undefined, undefined],
    );
  });
  it('is debug by its flag, which stands above it', () => {
    assert.deepEqual(parseB3Decision('0', '1'), { sampled: true, debug: true });
    assert.deepEqual(parseB3Decision('0', '0'), { sampled: false, debug: false });
    assert.deepEqual(parseB3Decision(undefined, 'yes'), undecided);
  });
});
