// Holds times of messages to what timers can count and to what Envoy means by 0.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import { durationMs, timeLimitMs } from './duration.js';

const duration = (text: JsonValue) => fromJson(DurationSchema, text);

it('seconds and parts of them are milliseconds', () => {
  assert.equal(durationMs(duration('1.5s')), 1500);
  assert.equal(durationMs(duration('0.000250s')), 0.25);
  assert.equal(durationMs(undefined), undefined);
});

it('a time longer than a timer can count is the longest, not none', () =>
  assert.equal(durationMs(duration('3600000s')), 2 ** 31 - 1));

it('a time limit of 0 is none, one that is absent is the default', () => {
  assert.equal(timeLimitMs(duration('0s'), 5000), 2 ** 31 - 1);
  assert.equal(timeLimitMs(undefined, 5000), 5000);
  assert.equal(timeLimitMs(duration('2s'), 5000), 2000);
});
