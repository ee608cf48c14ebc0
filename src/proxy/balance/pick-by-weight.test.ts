// Choice by weight is held against a plain model: a list in which everything stands as often as its weight says.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { pickByWeight } from './pick-by-weight.js';

const sumOf = (weights: readonly number[]) => weights.reduce((sum, weight) => sum + weight, 0);
const weightLists = fc
  .array(fc.nat(50), { minLength: 2, maxLength: 8 })
  .filter((weights) => weights.some((weight) => weight > 0));
const pickAt = (weights: readonly number[], point: number) => {
  const items = weights.map((weight, index) => ({ weight, index }));
  return pickByWeight(items, sumOf(weights), () => point)?.index;
};

describe('choice by weight', () => {
  it('is that of the model at every point', () =>
    fc.assert(
      fc.property(weightLists, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (weights, random) => {
        const model = weights.flatMap((weight, index) => Array.from({ length: weight }, () => index));
        // In the middle of a place of the model, where rounding cannot decide.
        const place = Math.floor(random * model.length);
        assert.equal(pickAt(weights, (place + 0.5) / model.length), model[place]);
      }),
    ));

  it('never takes what has no weight, at the very ends either', () =>
    fc.assert(
      fc.property(weightLists, fc.constantFrom(0, Number.EPSILON, 0.5, 1 - 2 ** -53), (weights, point) =>
        assert.ok(weights[pickAt(weights, point)!]! > 0),
      ),
    ));

  it('holds for weights as large as they may be', () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4_294_967_294 }), (weight) => {
        const weights = [weight, 4_294_967_295 - weight];
        assert.equal(pickAt(weights, 0), 0);
        assert.equal(pickAt(weights, 1 - 2 ** -53), 1);
      }),
    ));

  it('takes a sole one whatever its weight', () => assert.equal(pickAt([0], 0.5), 0));
  it('takes nothing from nothing', () => assert.equal(pickAt([], 0.5), undefined));

  it('over many random points comes within five standard deviations of its shares', () => {
    let state = 1;
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647; // a fixed sequence
    const weights = [1, 0, 5, 94];
    const items = weights.map((weight, index) => ({ weight, index }));
    const counts = weights.map(() => 0);
    const draws = 50_000;
    for (let i = 0; i < draws; i++) counts[pickByWeight(items, 100, random)!.index]!++;
    for (const [index, weight] of weights.entries()) {
      const share = weight / 100;
      const deviation = Math.sqrt(draws * share * (1 - share));
      assert.ok(Math.abs(counts[index]! - draws * share) <= 5 * deviation, `${counts[index]} for weight ${weight}`);
    }
  });
});
