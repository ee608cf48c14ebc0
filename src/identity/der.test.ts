// DER from anywhere: read as it is, or refused with an error of its own.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  childrenOf,
  contentOf,
  DerError,
  expectTag,
  fromPem,
  readElement,
  readTime,
  readWhole,
  tag,
  toPem,
  writeElement,
  type DerElement,
} from './der.js';

const bytes = (...values: readonly number[]) => Uint8Array.from(values);
const singleByteTag = fc.integer({ min: 0, max: 255 }).filter((value) => (value & 0x1f) !== 0x1f);

/** Everything that can be read of `element`, as deep as it goes. */
function walk(element: DerElement): number {
  let count = 1;
  if ((element.tag & 0x20) !== 0) for (const child of childrenOf(element)) count += walk(child);
  return count;
}

describe('an element', () => {
  it('is read as it was written, whatever its length', () => {
    fc.assert(
      fc.property(
        singleByteTag,
        fc.oneof(fc.nat(300), fc.constantFrom(127, 128, 255, 256, 65_535, 65_536, 70_000)),
        (elementTag, length) => {
          const content = Buffer.alloc(length, 7);
          const element = readWhole(writeElement(elementTag, content));
          assert.equal(element.tag, elementTag);
          assert.ok(content.equals(contentOf(element)));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('has the children that were written', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(singleByteTag, fc.uint8Array({ maxLength: 200 }))), (children) => {
        const whole = writeElement(tag.sequence, ...children.map(([t, content]) => writeElement(t, content)));
        assert.deepEqual(
          childrenOf(readWhole(whole)).map((child) => [child.tag, Uint8Array.from(contentOf(child))]),
          children,
        );
      }),
    );
  });

  it('is refused at every truncation', () => {
    const whole = writeElement(tag.sequence, writeElement(tag.octetString, Buffer.alloc(300)), bytes(5, 0));
    for (let length = 0; length < whole.length; length++)
      assert.throws(() => readWhole(whole.subarray(0, length)), DerError, `${length} bytes`);
    assert.equal(walk(readWhole(whole)), 3);
  });

  for (const [what, malformed] of [
    ['an indefinite length', bytes(0x30, 0x80, 0, 0)],
    ['a length of four bytes', bytes(0x04, 0x84, 0, 0, 0, 1, 9)],
    ['a length of 127 bytes', bytes(0x04, 0xff, ...Array.from({ length: 127 }, () => 0))],
    ['a long form that the short form would do for', bytes(0x04, 0x81, 1, 9)],
    ['a length with a leading zero', bytes(0x04, 0x82, 0, 0x80, ...Array.from({ length: 128 }, () => 0))],
    ['a length that is cut off', bytes(0x04, 0x82, 1)],
    ['content that is cut off', bytes(0x04, 2, 0)],
    ['a tag of several bytes', bytes(0x1f, 1, 0)],
    ['bytes after it', bytes(0x04, 0, 0)],
    ['nothing', bytes()],
  ] as const)
    it(`with ${what} is refused`, () => assert.throws(() => readWhole(malformed), DerError));

  it('may not reach beyond the element around it', () => {
    const outer = readWhole(bytes(0x30, 3, 0x04, 2, 0));
    assert.throws(() => childrenOf(outer), DerError);
    assert.throws(() => readElement(bytes(0x04, 2, 0, 0), 0, 3), DerError);
  });

  it('made of any bytes is read or refused with its own error, in one pass', () => {
    const byte = fc.oneof(
      fc.constantFrom(0x30, 0x31, 0x04, 0, 1, 2, 3, 0x80, 0x81, 0x82),
      fc.integer({ min: 0, max: 255 }),
    );
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 64 }), (values) => {
        try {
          const count = walk(readWhole(Uint8Array.from(values)));
          assert.ok(count <= values.length / 2);
        } catch (error) {
          assert.ok(error instanceof DerError, String(error));
        }
      }),
      { numRuns: 1000 },
    );
  });
});

it('an element of another tag, or none, is refused with what was expected', () => {
  const element = readWhole(bytes(0x04, 0));
  assert.equal(expectTag(element, tag.octetString, 'a value'), element);
  assert.throws(() => expectTag(element, tag.sequence, 'a list'), { name: 'DerError', message: 'a list expected' });
  assert.throws(() => expectTag(undefined, tag.sequence, 'a list'), DerError);
});

describe('a time', () => {
  const read = (elementTag: number, text: string) => readTime(readWhole(writeElement(elementTag, Buffer.from(text))));

  it('in UTCTime lies between 1950 and 2049', () => {
    assert.equal(new Date(read(tag.utcTime, '491231235959Z')).toISOString(), '2049-12-31T23:59:59.000Z');
    assert.equal(new Date(read(tag.utcTime, '500101000000Z')).toISOString(), '1950-01-01T00:00:00.000Z');
  });

  it('in GeneralizedTime has any year of four digits', () => {
    assert.equal(new Date(read(tag.generalizedTime, '20500101000000Z')).toISOString(), '2050-01-01T00:00:00.000Z');
    assert.equal(new Date(read(tag.generalizedTime, '99991231235959Z')).toISOString(), '9999-12-31T23:59:59.000Z');
    assert.equal(new Date(read(tag.generalizedTime, '00500101000000Z')).toISOString(), '0050-01-01T00:00:00.000Z');
  });

  for (const text of [
    '4912312359Z', // no seconds
    '491231235959+0000',
    '491231235959',
    '20491231235959Z', // the other form
    '491331235959Z', // month 13
    '490001000000Z',
    '490230000000Z', // 30 February
    '490100000000Z',
    '491231240000Z',
    '491231236000Z',
    '491231235960Z',
    '49123123595\u0660Z',
    '491231235959Z\n',
    '',
  ])
    it(`${JSON.stringify(text)} as UTCTime is refused`, () => assert.throws(() => read(tag.utcTime, text), DerError));

  for (const text of ['20501301000000Z', '20500101000000.5Z', '500101000000Z'])
    it(`${text} as GeneralizedTime is refused`, () => assert.throws(() => read(tag.generalizedTime, text), DerError));

  it('of another tag is refused', () => assert.throws(() => read(tag.octetString, '491231235959Z'), DerError));

  it('is read to the second', () => {
    const pad = (value: number, length = 2) => String(value).padStart(length, '0');
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }), (date) => {
        const rest = [
          date.getUTCMonth() + 1,
          date.getUTCDate(),
          date.getUTCHours(),
          date.getUTCMinutes(),
          date.getUTCSeconds(),
        ];
        const text = `${pad(date.getUTCFullYear(), 4)}${rest.map((part) => pad(part)).join('')}Z`;
        assert.equal(read(tag.generalizedTime, text), Math.floor(date.getTime() / 1000) * 1000);
      }),
    );
  });
});

describe('PEM', () => {
  it('gives back what was wrapped, in lines of at most 64 characters', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 })), (blocks) => {
        const text = blocks.map((block) => toPem('CERTIFICATE', block)).join('between\n');
        assert.ok(text.split('\n').every((line) => line.length <= 64));
        assert.deepEqual(
          fromPem('CERTIFICATE', text).map((block) => Uint8Array.from(block)),
          blocks,
        );
      }),
    );
  });

  it('of another label is left out', () => {
    const text = toPem('PRIVATE KEY', bytes(1)) + toPem('CERTIFICATE', bytes(2));
    assert.deepEqual(fromPem('CERTIFICATE', text), [Buffer.from([2])]);
    assert.deepEqual(fromPem('CERTIFICATE REQUEST', text), []);
  });

  it('without an end is no block', () => {
    assert.deepEqual(fromPem('CERTIFICATE', '-----BEGIN CERTIFICATE-----\nAAAA\n'), []);
    assert.deepEqual(fromPem('CERTIFICATE', '-----BEGIN CERTIFICATE-----\n'.repeat(2000)), []);
  });
});
