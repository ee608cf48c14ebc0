// Durations in Istio's YAML.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseDurationMs } from './duration.js';

describe('a duration', () => {
  for (const [text, ms] of [
    ['0', 0],
    ['0s', 0],
    ['5s', 5000],
    ['1.5s', 1500],
    ['250ms', 250],
    ['1h30m', 5_400_000],
    ['1m0.5s', 60_500],
    ['1us', 0.001],
    ['1\u00b5s', 0.001],
    ['1\u03bcs', 0.001],
    ['100ns', 0.0001],
    ['.5s', 500],
    ['1.s', 1000],
  ] as const)
    it(`${text} is ${ms} ms`, () => assert.ok(Math.abs(parseDurationMs(text)! - ms) < 1e-9));

  for (const text of [
    '',
    '5',
    '00',
    '-1s',
    '+1s',
    's',
    '.s',
    '5 s',
    '1d',
    '1s ',
    '1s\n',
    '1e3s',
    '1S',
    '1..5s',
    '1,5s',
    'Infinitys',
  ])
    it(`${JSON.stringify(text)} is none`, () => assert.equal(parseDurationMs(text), undefined));

  it('is the sum of its parts', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.nat(1000), (h, m, s, ms) =>
        assert.equal(parseDurationMs(`${h}h${m}m${s}s${ms}ms`), h * 3_600_000 + m * 60_000 + s * 1000 + ms),
      ),
    );
  });
});
