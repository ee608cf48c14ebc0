// What wrk prints is read as it is meant.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readWrk } from './wrk.js';

const output = `Running 2s test @ http://127.0.0.1:19000/big
  1 threads and 1 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   639.30ms   58.67ms 701.71ms   66.67%
    Req/Sec     1.33      1.53     3.00     66.67%
  Latency Distribution
     50%  630.90us
     75%  701.71ms
     90%  701.71ms
     99%    1.02s 
  3 requests in 2.31s, 0.87GB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:      1.30
`;

describe('the reader of wrk', () => {
  it('finds requests, bytes, latencies and errors of every kind', () => {
    assert.deepEqual(readWrk(output), {
      requests: 3,
      bytes: 0.87 * 1024 ** 3,
      p50Micros: 630.9,
      p99Micros: 1_020_000,
      errors: 15,
    });
  });

  it('counts no error where none is named, and has no latency where nothing was answered', () => {
    const { errors, requests, p50Micros } = readWrk('  0 requests in 2.00s, 0.00B read\n');
    assert.deepEqual([errors, requests], [0, 0]);
    assert.ok(Number.isNaN(p50Micros));
  });
});
