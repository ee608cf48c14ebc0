// Holds balancers to their shares: exact where a policy is exact, within five standard deviations where it is random.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createBalancer, type BalancerKind, type Candidate } from './balancer.js';

interface Counted extends Candidate {
  active: number;
  picks: number;
}

const candidates = (...weights: number[]): Counted[] => weights.map((weight) => ({ weight, active: 0, picks: 0 }));

/** A small generator with a fixed seed (mulberry32), so that every run is the same. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shares(kind: BalancerKind, among: Counted[], picks: number, seed = 1): number[] {
  const balancer = createBalancer(kind, among, seeded(seed));
  for (let i = 0; i < picks; i++) balancer.pick()!.picks++;
  return among.map((candidate) => candidate.picks);
}

function assertShares(counts: readonly number[], weights: readonly number[]): void {
  const picks = counts.reduce((sum, count) => sum + count, 0);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, count] of counts.entries()) {
    const share = weights[i]! / total;
    const deviation = Math.sqrt(picks * share * (1 - share));
    assert.ok(Math.abs(count - picks * share) <= 5 * deviation + 1, `${count} of ${picks} for a share of ${share}`);
  }
}

const kinds = ['least-request', 'round-robin', 'random'] as const;

for (const kind of kinds)
  describe(kind, () => {
    it('picks nothing where there is nothing', () =>
      assert.equal(createBalancer(kind, [], Math.random).pick(), undefined));

    it('picks the only one', () => {
      const [only] = candidates(7);
      const balancer = createBalancer(kind, [only!], () => 0.999_999);
      for (let i = 0; i < 20; i++) assert.equal(balancer.pick(), only);
    });

    it('shares alike among equals', () => assertShares(shares(kind, candidates(1, 1, 1), 30_000), [1, 1, 1]));

    it('shares by weight where nobody is busy', () =>
      assertShares(shares(kind, candidates(1, 2, 5), 40_000, 7), [1, 2, 5]));

    it('shares by weights too large for a slot each, and leaves nobody out', () => {
      const among = candidates(1_000_000, 3_000_001);
      assertShares(shares(kind, among, 40_000, 3), [1, 3]);
      const tiny = candidates(1, 1_000_000_000);
      const balancer = createBalancer(kind, tiny, seeded(5));
      for (let i = 0; i < 200_000; i++) balancer.pick()!.picks++;
      assert.ok(tiny[0]!.picks > 0);
    });

    it('never picks anything but a candidate, whatever the random numbers', () =>
      fc.assert(
        fc.property(
          fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 }),
          fc.infiniteStream(fc.constantFrom(0, 0.25, 0.5, 1 - 2 ** -53)),
          (weights, points) => {
            const among = candidates(...weights);
            const balancer = createBalancer(kind, among, () => points.next().value);
            for (let i = 0; i < 20; i++) assert.ok(among.includes(balancer.pick()!));
          },
        ),
      ));
  });

describe('round-robin', () => {
  it('gives exact shares over every full turn, wherever it starts', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0, max: 1 - 2 ** -53, noNaN: true }),
        (weights, start) => {
          const among = candidates(...weights);
          const balancer = createBalancer('round-robin', among, () => start);
          const turn = weights.reduce((sum, weight) => sum + weight, 0);
          for (let i = 0; i < turn; i++) balancer.pick()!.picks++;
          assert.deepEqual(
            among.map(({ picks }) => picks),
            weights,
          );
        },
      ),
    ));
});

describe('least-request', () => {
  it('picks the less busy of two', () => {
    const [busy, free] = candidates(1, 1);
    busy!.active = 3;
    const balancer = createBalancer('least-request', [busy!, free!], seeded(1));
    for (let i = 0; i < 50; i++) assert.equal(balancer.pick(), free);
  });

  it('looks at two different ones, so that the busiest of all is never picked', () => {
    const among = candidates(1, 1, 1, 1);
    among[2]!.active = 1;
    assert.equal(shares('least-request', among, 5000)[2], 0);
  });

  it('keeps requests that never end spread evenly', () => {
    const among = candidates(1, 1, 1, 1, 1);
    const balancer = createBalancer('least-request', among, seeded(2));
    for (let i = 0; i < 1000; i++) balancer.pick()!.active++;
    const active = among.map((candidate) => candidate.active);
    assert.ok(Math.max(...active) - Math.min(...active) <= 10, active.join(' '));
  });
});
