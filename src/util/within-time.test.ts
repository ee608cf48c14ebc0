// Waiting with a bound.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withinTime } from './within-time.js';

const never = new Promise<never>(() => undefined);

describe('waiting within a time', () => {
  it('ends with the promise and leaves no timer', async (t) => {
    const cleared = t.mock.method(globalThis, 'clearTimeout');
    await withinTime(Promise.resolve(), 1_000_000);
    assert.equal(cleared.mock.callCount(), 1);
  });

  it('fails with the promise and leaves no timer', async (t) => {
    const cleared = t.mock.method(globalThis, 'clearTimeout');
    await assert.rejects(withinTime(Promise.reject(new Error('broken')), 1_000_000), /broken/);
    assert.equal(cleared.mock.callCount(), 1);
  });

  it('ends when the time is up', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const waiting = withinTime(never, 5000);
    t.mock.timers.tick(5000);
    await waiting;
  });
});
