// Lines out of a stream.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LineSplitter } from './line-splitter.js';

const longest = 16 * 1024;

function split(...chunks: string[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return lines;
}

describe('a line splitter', () => {
  it('gives lines without their ends, the last one without end too', () => {
    assert.deepEqual(split('a\nb\r\n\nc'), ['a', 'b', '', 'c']);
    assert.deepEqual(split('a\n'), ['a']);
    assert.deepEqual(split(''), []);
  });

  it('keeps a line of the longest length whole', () => {
    assert.deepEqual(split(`${'x'.repeat(longest)}\nb`), ['x'.repeat(longest), 'b']);
  });

  it('cuts what is longer, also where its end came along', () => {
    assert.deepEqual(
      split(`${'x'.repeat(2 * longest + 5)}\nb\n`).map((line) => line.length),
      [longest, longest, 5, 1],
    );
  });

  it('gives the same lines however the stream is cut', () => {
    const unit = fc.constantFrom('a', '\n', '\r', '\r\n', 'x'.repeat(longest - 1), 'y'.repeat(longest));
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 8 }), fc.array(fc.nat(3 * longest), { maxLength: 6 }), (units, cuts) => {
        const text = units.join('');
        const places = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
        assert.deepEqual(split(...places.slice(1).map((end, i) => text.slice(places[i], end))), split(text));
      }),
    );
  });

  it('loses nothing but line ends', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n') })), (chunks) =>
        assert.equal(split(...chunks).join(''), chunks.join('').replaceAll('\n', '')),
      ),
    );
  });
});
