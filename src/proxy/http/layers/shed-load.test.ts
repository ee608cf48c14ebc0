// Holds the shedding of load to its one rule.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryPressure } from '../../net/memory-pressure.js';
import type { Exchange } from '../exchange.js';
import { answerFor, type Failure } from '../failures.js';
import { shedLoad } from './shed-load.js';

describe('a request', () => {
  it('is refused with 503 and the flag OM while hardly any memory is left, and taken again after', () => {
    let share = 0.99;
    const pressure = new MemoryPressure(() => share);
    const layer = shedLoad(pressure);
    const failures: Failure[] = [];
    const exchange = { fail: (failure: Failure) => failures.push(failure) } as unknown as Exchange;
    const taken = [0.5, 0.96, 0.99, 0.96, 0.5].map((now) => {
      share = now;
      pressure.look();
      return layer.onRequest!(exchange);
    });
    assert.deepEqual(taken, [true, true, false, false, true]);
    assert.deepEqual(
      failures.map((failure) => answerFor(failure)).map(({ status, flags, body }) => [status, flags, body]),
      [
        [503, 'OM', 'envoy overloaded'],
        [503, 'OM', 'envoy overloaded'],
      ],
    );
  });
});
