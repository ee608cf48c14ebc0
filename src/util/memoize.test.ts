// Remembering results by the identity of the arguments.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoize } from './memoize.js';

describe('a memoised function', () => {
  it('computes once for the same arguments', () => {
    let calls = 0;
    const compute = memoize((a: object, b: string) => ({ a, b, call: ++calls }));
    const [x, y] = [{}, {}];
    assert.equal(compute(x, 'n'), compute(x, 'n'));
    assert.equal(calls, 1);
    assert.notEqual(compute(y, 'n'), compute(x, 'n'));
    assert.notEqual(compute(x, 'm'), compute(x, 'n'));
    assert.equal(calls, 3);
  });

  it('takes objects by identity, everything else by value', () => {
    let calls = 0;
    const compute = memoize((key: unknown) => [key, ++calls]);
    compute({ a: 1 });
    compute({ a: 1 });
    assert.equal(calls, 2);
    compute(`te${'xt'}`);
    compute('text');
    assert.equal(calls, 3);
    compute(null);
    compute(undefined);
    compute(0);
    compute('0');
    assert.equal(calls, 7);
  });

  it('remembers undefined too', () => {
    let calls = 0;
    const compute = memoize((key: object): undefined => void (key && calls++));
    const key = {};
    compute(key);
    compute(key);
    assert.equal(calls, 1);
  });

  it('remembers nothing of a call that threw', () => {
    let calls = 0;
    const compute = memoize((key: object) => {
      if (++calls === 1) throw new Error('first');
      return [key, calls];
    });
    const key = {};
    assert.throws(() => compute(key), /first/);
    assert.deepEqual(compute(key), [key, 2]);
  });

  it('keeps a call with fewer arguments apart', () => {
    const compute = memoize((...all: readonly unknown[]) => all.length);
    const key = {};
    assert.equal(compute(key), 1);
    assert.equal(compute(key, key), 2);
    assert.equal(compute(), 0);
  });
});
