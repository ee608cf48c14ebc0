// What a request says about its trace is taken off its head in whatever form it came, and nothing else is.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { pushTraceHeaders, takeTraceHeaders } from './trace-headers.js';

const w3cTrace = '11111111111111111111111111111111';
const b3Trace = '22222222222222222222222222222222';
const otherTrace = '33333333333333333333333333333333';
const span = 'a2fb4a1d1a96d312';
const traceparent = `00-${w3cTrace}-${span}-01`;
const several = ['x-b3-traceid', b3Trace, 'x-b3-spanid', span];

const take = (...headers: string[]) => ({ ...takeTraceHeaders(headers), left: headers });

describe('trace headers', () => {
  it('are taken, and what else there is stays in its order', () => {
    const headers = ['a', '1', 'traceparent', traceparent, 'b', '2', ...several, 'x-b3-parentspanid', span, 'x', '3'];
    assert.deepEqual(take(...headers).left, ['a', '1', 'b', '2', 'x', '3']);
  });

  it('that are not there say nothing and change nothing', () => {
    const read = take('accept', '*/*', 'x-request-id', 'b3', 'b3x', 'traceparent');
    assert.deepEqual(read, {
      caller: undefined,
      sampled: undefined,
      debug: false,
      usesB3: false,
      operation: undefined,
      left: ['accept', '*/*', 'x-request-id', 'b3', 'b3x', 'traceparent'],
    });
  });

  it('of W3C count before B3, and B3 in one header before several', () => {
    const b3 = ['b3', `${otherTrace}-${span}-0`];
    assert.equal(take(...several, ...b3, 'traceparent', traceparent).caller!.traceId, w3cTrace);
    assert.equal(take(...several, ...b3).caller!.traceId, otherTrace);
    assert.equal(take(...several).caller!.traceId, b3Trace);
  });

  it('that are malformed give way to those that are not', () => {
    assert.equal(take('traceparent', 'x', ...several).caller!.traceId, b3Trace);
    assert.equal(take('b3', 'x', ...several).caller!.traceId, b3Trace);
  });

  it('that come twice are malformed', () => {
    for (const twice of [
      ['traceparent', traceparent],
      ['b3', `${b3Trace}-${span}-1`],
      ['x-b3-traceid', b3Trace, 'x-b3-spanid', span],
    ])
      assert.equal(take(...twice, ...twice).caller, undefined, twice[0]);
  });

  it('say whether the trace is wanted, also where they name none', () => {
    for (const [headers, sampled] of [
      [['traceparent', traceparent.replace(/01$/, '00')], false],
      [['traceparent', traceparent], true],
      [['b3', '0'], false],
      [['x-b3-sampled', '1'], true],
      [['x-b3-sampled', '0', 'x-b3-traceid', 'odd', 'x-b3-spanid', span], false],
      [['x-b3-sampled', '0', 'traceparent', traceparent], true],
      [several, undefined],
      [['x-b3-sampled', '1', 'x-b3-sampled', '0'], undefined],
    ] as const)
      assert.equal(take(...headers).sampled, sampled, headers.join(' '));
  });

  it('keep the wish of B3 to be debugged beside W3C where both mean the same trace', () => {
    const same = take('x-b3-traceid', w3cTrace, 'x-b3-spanid', span, 'x-b3-flags', '1', 'traceparent', traceparent);
    assert.deepEqual([same.debug, same.sampled], [true, true]);
    const other = take(...several, 'x-b3-flags', '1', 'traceparent', traceparent.replace(/01$/, '00'));
    assert.deepEqual([other.debug, other.sampled], [false, false]);
  });

  it('of vendors stay with their trace, every line of them, and go where it is another', () => {
    const vendors = ['tracestate', 'a=1', 'tracestate', 'b=2'];
    assert.deepEqual(take(...vendors, 'traceparent', traceparent).left, vendors);
    assert.deepEqual(take('c', '1', ...vendors, 'traceparent', 'odd').left, ['c', '1']);
    assert.deepEqual(take('c', '1', ...vendors, ...several).left, ['c', '1']);
  });

  it('of the next span are read back as they were put', () => {
    const id = fc.constantFrom('463ac35c9f6413ad', 'a2fb4a1d1a96d312');
    fc.assert(
      fc.property(
        fc.tuple(fc.oneof(id, fc.constant(b3Trace)), id, fc.option(id, { nil: undefined })),
        fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
        ([traceId, spanId, parentId], [sampled, debug, withB3]) => {
          const headers: string[] = [];
          const context = { traceId, spanId, sampled: sampled || debug, debug };
          pushTraceHeaders(headers, context, parentId, withB3);
          const read = takeTraceHeaders(headers);
          assert.deepEqual({ ...read.caller, debug: read.debug, sampled: read.sampled }, context);
          assert.deepEqual([read.usesB3, headers], [withB3, []]);
        },
      ),
    );
  });
});
