// Holds the sweeper to its promise: one timer for all, and none for nobody.
import assert from 'node:assert/strict';
import { it, mock } from 'node:test';
import { sweep } from './sweeper.js';

it('members hear the time once a second until they leave', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    const ticks: string[] = [];
    const leaveA = sweep({ onTick: () => ticks.push('a') });
    const leaveB = sweep({ onTick: () => ticks.push('b') });
    mock.timers.tick(1000);
    assert.deepEqual(ticks, ['a', 'b']);
    leaveA();
    leaveA(); // leaving twice is leaving
    mock.timers.tick(1000);
    assert.deepEqual(ticks, ['a', 'b', 'b']);
    leaveB();
    mock.timers.tick(5000);
    assert.equal(ticks.length, 3);
    const leaveC = sweep({ onTick: () => ticks.push('c') });
    mock.timers.tick(1000);
    assert.equal(ticks.at(-1), 'c');
    leaveC();
  } finally {
    mock.timers.reset();
  }
});

it('a member may leave, and another come, while the time is told', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    const ticks: string[] = [];
    const leave = sweep({
      onTick: () => {
        ticks.push('a');
        leave();
      },
    });
    const leaveB = sweep({ onTick: () => ticks.push('b') });
    mock.timers.tick(2000);
    assert.deepEqual(ticks, ['a', 'b', 'b']);
    leaveB();
  } finally {
    mock.timers.reset();
  }
});
