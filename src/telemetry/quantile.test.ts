// Quantiles from bucket counts, as Prometheus' histogram_quantile has them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bucketBounds, bucketCount } from './series.js';
import { quantile } from './traffic-window.js';

const buckets = (counts: Readonly<Record<number, number>>) =>
  Float64Array.from({ length: bucketCount }, (_, i) => counts[i] ?? 0);

describe('a quantile', () => {
  it('of nothing is 0', () => assert.equal(quantile(buckets({}), 0.5), 0));

  it('lies within its bucket, in proportion', () => {
    // Bucket 6 holds what took between 50 and 100 ms.
    assert.equal(quantile(buckets({ 6: 10 }), 0.5), 75);
    assert.equal(quantile(buckets({ 6: 10 }), 1), 100);
    assert.equal(quantile(buckets({ 0: 10 }), 0.5), 0.25);
  });

  it('of the last bucket is the largest bound', () => {
    assert.equal(quantile(buckets({ [bucketBounds.length]: 1 }), 0.5), 3_600_000);
  });

  it('lies in the bucket that its rank falls into, and grows with its share', () => {
    const counts = fc.array(fc.nat(1000), { minLength: bucketCount, maxLength: bucketCount });
    const share = fc.double({ min: 0.001, max: 1, noNaN: true });
    fc.assert(
      fc.property(counts, share, share, (numbers, a, b) => {
        const all = Float64Array.from(numbers);
        const total = numbers.reduce((sum, count) => sum + count, 0);
        fc.pre(total > 0);
        let below = 0;
        const i = numbers.findIndex((count) => (below += count) >= a * total);
        const value = quantile(all, a);
        assert.ok(value >= (bucketBounds[i - 1] ?? 0) && value <= (bucketBounds[i] ?? 3_600_000), `${value} in ${i}`);
        if (a <= b) assert.ok(value <= quantile(all, b));
      }),
    );
  });
});
