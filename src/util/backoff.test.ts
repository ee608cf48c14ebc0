// Delays between attempts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Backoff } from './backoff.js';

describe('a backoff', () => {
  it('doubles up to the longest delay and begins again after a reset', () => {
    const backoff = new Backoff({ firstMs: 100, longestMs: 350, random: () => 0 });
    assert.deepEqual([backoff.next(), backoff.next(), backoff.next(), backoff.next()], [100, 200, 350, 350]);
    backoff.reset();
    assert.equal(backoff.next(), 100);
  });

  it('takes off at most a fifth', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempts, random) => {
        const backoff = new Backoff({ firstMs: 100, longestMs: 5000, random: () => random });
        for (let i = 0; i < attempts; i++) backoff.next();
        const step = Math.min(100 * 2 ** attempts, 5000);
        const delay = backoff.next();
        assert.ok(delay <= step && delay > step * 0.8 - 1e-9, `${delay} of ${step}`);
      }),
    );
  });
});
