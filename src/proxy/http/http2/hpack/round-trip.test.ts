// What the encoder writes is what the decoder reads, over whole connections on which the table changes its size.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { decodeBlock, encodeBlock, tableOf } from '../../../../../test/harness/header-blocks.js';
import { HpackDecoder } from './decoder.js';
import { HpackEncoder } from './encoder.js';

const name = fc.oneof(
  fc.constantFrom(
    ':method',
    ':path',
    ':status',
    ':authority',
    'accept-encoding',
    'cookie',
    'authorization',
    'date',
    'etag',
  ),
  fc.constantFrom('x-request-id', 'traceparent', 'content-length', 'x-a', 'x-b', 'x-c', ''),
  fc.string({ unit: fc.constantFrom(...'abc-'), maxLength: 3 }),
);
const latin1 = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const value = fc.oneof(
  fc.constantFrom('', '/', 'GET', 'POST', '200', 'gzip, deflate', 'a', 'b', 'c'),
  fc.nat(60).map((n) => `value-${n}`),
  fc.nat(40).map((n) => `${n}`.padStart(n * 30, '.')),
  fc.string({ unit: latin1, maxLength: 40 }),
);
const headers = fc.array(fc.tuple(name, value), { maxLength: 20 }).map((fields) => fields.flat());
const tableBytes = fc.constantFrom(0, 31, 32, 33, 64, 100, 500, 1000, 4095, 4096, 4097, 65536);
const step = fc.record({ resizes: fc.oneof(fc.constant([]), fc.array(tableBytes, { maxLength: 3 })), headers });

it('blocks are decoded to what was encoded, whatever sizes the table goes through', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      for (const { resizes, headers } of steps) {
        for (const bytes of resizes) encoder.setMaxTableBytes(bytes);
        const decoded = decodeBlock(decoder, encodeBlock(encoder, headers));
        assert.deepEqual(decoded.fields, headers);
        assert.equal(decoded.listBytes, headers.join('').length + headers.length * 16);
      }
    }),
    { numRuns: 300 },
  );
});

it('the table never holds more than the peer allows', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(tableBytes, headers), { maxLength: 10 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      for (const [bytes, headers] of steps) {
        encoder.setMaxTableBytes(bytes);
        decodeBlock(decoder, encodeBlock(encoder, headers));
        const held = tableOf(decoder);
        assert.ok(held.join('').length + held.length * 16 <= Math.min(bytes, 4096));
      }
    }),
  );
});

it('tables stay equal over thousands of evictions', () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  for (let i = 0; i < 5000; i++) {
    const twice = i >> 1;
    const headers = [
      'a',
      `${twice % 150}`,
      `name-${i % 211}`,
      `${i % 7}`,
      'b',
      'x'.repeat(twice % 300),
      '',
      `${twice}`,
    ];
    assert.deepEqual(decodeBlock(decoder, encodeBlock(encoder, headers)).fields, headers);
  }
});

it('the smallest entries fill the table to the last', () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  // Each twice, because that is when a value gets its place.
  const many = Array.from({ length: 600 }, (_, i) => ['', String.fromCharCode((i >> 1) & 0xff)]).flat();
  assert.deepEqual(decodeBlock(decoder, encodeBlock(encoder, many)).fields, many);
  assert.equal(tableOf(decoder).length / 2, Math.floor(4096 / 33));
});
