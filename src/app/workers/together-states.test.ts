// Whether several workers together serve a workload.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TogetherStates } from './together-states.js';

function two() {
  const told: string[] = [];
  const states = new TogetherStates(2, ({ key, ready, problem }) =>
    told.push(`${key} ${ready ? 'ready' : (problem ?? 'not ready')}`),
  );
  const say = (worker: number, ready: boolean, problem?: string) => states.set(worker, { key: 'web', ready, problem });
  return { states, say, take: () => told.splice(0) };
}

describe('two workers of a workload', () => {
  it('are ready when both are', () => {
    const { say, take } = two();
    say(0, true);
    assert.deepEqual(take(), []);
    say(1, true);
    assert.deepEqual(take(), ['web ready']);
  });

  it('stay ready while one is, and are so again when one comes back', () => {
    const { states, say, take } = two();
    say(0, true);
    say(1, true);
    take();
    states.remove(0);
    assert.deepEqual(take(), []);
    states.remove(1);
    assert.deepEqual(take(), ['web not ready']);
    say(1, true);
    assert.deepEqual(take(), [], 'as at the start both are waited for');
    say(0, true);
    assert.deepEqual(take(), ['web ready']);
  });

  it('have a problem once, however many of them say so, until both are ready', () => {
    const { say, take } = two();
    say(0, false, 'cannot listen');
    say(1, false, 'cannot listen');
    assert.deepEqual(take(), ['web cannot listen']);
    say(0, true);
    assert.deepEqual(take(), []);
    say(1, true);
    assert.deepEqual(take(), ['web ready']);
  });

  it('of a workload that is gone are forgotten', () => {
    const { states, say, take } = two();
    say(0, true);
    say(1, true);
    take();
    states.forget('web');
    states.remove(0);
    states.remove(1);
    assert.deepEqual(take(), []);
  });
});
