// Spans are ordered by microseconds and follow the wall clock.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createWallClock, wallMicros } from './wall-clock.js';

it('moments keep their distance to the microsecond', () => {
  let now = 100;
  const micros = createWallClock(
    () => now,
    () => Math.floor(1_700_000_000_000 + now),
    1_700_000_000_000,
  );
  const first = micros(now);
  now += 0.123;
  assert.equal(micros(now) - first, 123);
  assert.equal(first, 1_700_000_000_100_000);
});

it('a wall clock that is set anew is followed', () => {
  let wall = 1_700_000_000_000;
  const micros = createWallClock(
    () => 100,
    () => wall,
    wall - 100,
  );
  assert.equal(micros(100), wall * 1000);
  wall += 60_000;
  assert.ok(Math.abs(micros(100) - wall * 1000) <= 1000);
});

it('now is now', () => assert.ok(Math.abs(wallMicros(performance.now()) / 1000 - Date.now()) < 1000));
