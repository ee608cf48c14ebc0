// What h2load prints and logs is read as it is meant.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readH2load, readLatencies } from './h2load.js';

describe('the reader of h2load', () => {
  it('finds what succeeded and what failed', () => {
    const output = `finished in 7.33ms, 272.93 req/s, 68.10KB/s
requests: 7 total, 7 started, 6 done, 4 succeeded, 2 failed, 1 errored, 0 timeout
status codes: 4 2xx, 0 3xx, 2 4xx, 0 5xx
`;
    assert.deepEqual(readH2load(output), { succeeded: 4, errors: 2 });
  });

  it('finds nothing in what is something else', () => {
    assert.deepEqual(readH2load('could not connect\n'), { succeeded: 0, errors: 0 });
  });

  it('takes latencies from the third column of the log', () => {
    assert.deepEqual(readLatencies('1700000000000000\t200\t120\n1700000000000100\t200\t95\n'), [120, 95]);
  });
});
