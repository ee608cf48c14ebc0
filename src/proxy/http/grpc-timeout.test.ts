// The header by which callers of gRPC say how long they wait.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatGrpcTimeout, parseGrpcTimeout } from './grpc-timeout.js';

const nanosOf = {
  H: 3_600_000_000_000n,
  M: 60_000_000_000n,
  S: 1_000_000_000n,
  m: 1_000_000n,
  u: 1000n,
  n: 1n,
} as const;
const units = Object.keys(nanosOf) as (keyof typeof nanosOf)[];

describe('grpc-timeout', () => {
  it('is read in every unit, rounded up to milliseconds', () => {
    fc.assert(
      fc.property(
        fc.nat(99_999_999),
        fc.constantFrom(...units),
        fc.integer({ min: 0, max: 8 }),
        (count, unit, width) => {
          const text = `${String(count).padStart(width, '0')}${unit}`;
          const expected = (BigInt(count) * nanosOf[unit] + 999_999n) / 1_000_000n;
          assert.equal(parseGrpcTimeout(text), Number(expected));
        },
      ),
    );
  });
  it('is none where it has another form', () => {
    for (const text of [
      '',
      '1',
      'S',
      '1s',
      '1 S',
      ' 1S',
      '1S ',
      '-1S',
      '+1S',
      '1.5S',
      '0x1S',
      '123456789S',
      '1S,2S',
      '1SS',
    ])
      assert.equal(parseGrpcTimeout(text), undefined, JSON.stringify(text));
    fc.assert(
      fc.property(fc.string(), (text) => {
        assert.equal(parseGrpcTimeout(text) !== undefined, /^[0-9]{1,8}[HMSmun]$/.test(text));
      }),
    );
  });
  it('as it is written reads as the same time, less than a unit longer, and never as 0', () => {
    const anyMs = fc.oneof(fc.double({ min: 0.001, max: 1e15, noNaN: true }), fc.integer({ min: 1, max: 2 ** 31 }));
    fc.assert(
      fc.property(anyMs, (ms) => {
        const text = formatGrpcTimeout(ms);
        const read = parseGrpcTimeout(text)!;
        if (ms > 99_999_999 * 3_600_000) assert.equal(text, '99999999H');
        else assert.ok(read >= ms && read - ms < Number(nanosOf[text.at(-1) as 'H']) / 1e6, `${ms} ${text}`);
      }),
    );
    assert.deepEqual([0.1, 1500, 1e8, 6e9].map(formatGrpcTimeout), ['1m', '1500m', '100000S', '6000000S']);
  });
});
