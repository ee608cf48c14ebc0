// Whatever bytes come, the decoder decodes them or refuses them, within the memory that its limits allow.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeBlock, encodeBlock, tableOf } from '../../../../../test/harness/header-blocks.js';
import { HpackDecoder, HpackError } from './decoder.js';
import { HpackEncoder } from './encoder.js';

const literal = (name: string, value: string) => encodeBlock(new HpackEncoder(), [name, value]);
/** A literal with indexing and lengths of two bytes. */
const indexedLiteral = (value: string) => {
  const head = [0x40, 1, 0x61, 0x7f, 0x80 | ((value.length - 127) & 0x7f), (value.length - 127) >> 7];
  return Buffer.concat([Buffer.from(head), Buffer.from(value, 'latin1')]);
};

/** Decodes, or refuses with the one error that there is. */
function decodeOrRefuse(decoder: HpackDecoder, block: Buffer, maxListBytes: number, maxFields: number): boolean {
  const fields: string[] = [];
  try {
    const listBytes = decoder.decode(block, 0, block.length, fields, maxListBytes, maxFields);
    const held = fields.join('').length + fields.length * 16;
    assert.ok(listBytes >= held);
  } catch (error) {
    assert.ok(error instanceof HpackError, String(error));
    return false;
  } finally {
    assert.ok(fields.length / 2 <= maxFields);
    assert.ok(fields.join('').length + fields.length * 16 <= maxListBytes);
  }
  return true;
}

describe('a list that is too large', () => {
  it('is counted and not held, however often an index repeats a large entry', () => {
    const decoder = new HpackDecoder();
    decodeBlock(decoder, indexedLiteral('v'.repeat(4000)));
    const fields: string[] = [];
    const bomb = Buffer.alloc(65536, 0xbe);
    assert.equal(decoder.decode(bomb, 0, bomb.length, fields, 60_000, 100), 65536 * 4033);
    assert.deepEqual(fields.length / 2, Math.floor(60_000 / 4033));
    assert.deepEqual(decodeBlock(decoder, Buffer.from([0xbe])).fields, ['a', 'v'.repeat(4000)]);
  });

  it('is counted and not held, however many small fields it has', () => {
    const fields: string[] = [];
    const many = Buffer.alloc(65536, 0x82);
    assert.equal(new HpackDecoder().decode(many, 0, many.length, fields, Infinity, 100), 65536 * 42);
    assert.equal(fields.length, 200);
  });

  it('holds nothing that comes after what did not fit', () => {
    const block = Buffer.concat([literal('a', 'x'.repeat(2000)), literal('b', 'c')]);
    const { fields, listBytes } = decodeBlock(new HpackDecoder(), block, { maxListBytes: 1000 });
    assert.deepEqual([fields, listBytes], [[], 2033 + 34]);
  });

  it('is appended to what was there', () => {
    const fields = ['before', 'it'];
    new HpackDecoder().decode(Buffer.from([0x82, 0x86]), 0, 2, fields, 1000, 1);
    assert.deepEqual(fields, ['before', 'it', ':method', 'GET']);
  });
});

describe('the bound of the table', () => {
  it('leaves it at 4096 until the peer goes to a larger size', () => {
    const decoder = new HpackDecoder(65536);
    decodeBlock(decoder, indexedLiteral('1'.repeat(3000)));
    decodeBlock(decoder, indexedLiteral('2'.repeat(3000)));
    assert.deepEqual(tableOf(decoder), ['a', '2'.repeat(3000)]);
    decodeBlock(decoder, Buffer.from('3fe1ff03', 'hex'));
    decodeBlock(decoder, indexedLiteral('3'.repeat(3000)));
    assert.equal(tableOf(decoder).length, 4);
  });

  it('leaves it at 4096 until the peer goes to a smaller size, for what it sends before it knows', () => {
    const decoder = new HpackDecoder(0);
    decodeBlock(decoder, literal('a', 'b'));
    assert.deepEqual(tableOf(decoder), ['a', 'b']);
    decodeBlock(decoder, Buffer.from([0x20]));
    assert.deepEqual(tableOf(decoder), []);
  });
});

describe('bytes that nobody meant', () => {
  const sequence = [
    [
      ':method',
      'GET',
      ':scheme',
      'https',
      ':path',
      '/a',
      ':authority',
      'shop',
      'cookie',
      'a=b',
      'x-a',
      'y'.repeat(200),
    ],
    [
      ':method',
      'GET',
      ':scheme',
      'https',
      ':path',
      '/a',
      ':authority',
      'shop',
      'cookie',
      'c=d',
      'x-a',
      'y'.repeat(200),
    ],
    [':status', '200', 'date', 'today', 'etag', '"a"', 'x-a', 'z'.repeat(900)],
  ];
  const byte = fc.nat(255);

  it('are decoded or refused', () => {
    const blocks = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 });
    fc.assert(
      fc.property(blocks, fc.nat(500), fc.nat(10), (blocks, maxListBytes, maxFields) => {
        const decoder = new HpackDecoder();
        blocks.every((block) => decodeOrRefuse(decoder, Buffer.from(block), maxListBytes, maxFields));
        assert.ok(tableOf(decoder).join('').length <= 4096);
      }),
      { numRuns: 3000 },
    );
  });

  it('are decoded or refused among ones that somebody meant', () => {
    const edits = fc.array(fc.tuple(fc.nat(2), fc.nat(300), byte), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(edits, fc.boolean(), (edits, cut) => {
        const encoder = new HpackEncoder();
        encoder.setMaxTableBytes(2000);
        const blocks = sequence.map((headers) => encodeBlock(encoder, headers));
        for (const [block, at, byte] of edits) blocks[block]![at % blocks[block]!.length] = byte;
        if (cut) blocks[1] = blocks[1]!.subarray(0, edits[0]![1] % blocks[1]!.length);
        const decoder = new HpackDecoder();
        blocks.every((block) => decodeOrRefuse(decoder, block, 1500, 20));
      }),
      { numRuns: 3000 },
    );
  });

  it('never read beyond their block', () => {
    for (const headers of sequence) {
      const block = encodeBlock(new HpackEncoder(), headers);
      for (let end = 0; end < block.length; end++) {
        const fields: string[] = [];
        try {
          new HpackDecoder().decode(block, 0, end, fields, Infinity, Infinity);
        } catch (error) {
          assert.ok(error instanceof HpackError);
        }
        assert.deepEqual(fields, headers.slice(0, fields.length));
        assert.ok(fields.length < headers.length);
      }
    }
  });
});

it('which fields are never to be indexed is told of each block alone', () => {
  const decoder = new HpackDecoder();
  decodeBlock(decoder, Buffer.from('1001610162100163016440016501661001670168', 'hex'));
  assert.deepEqual(decoder.neverIndexed, ['a', 'c', 'g']);
  decodeBlock(decoder, Buffer.from([0x82]));
  assert.deepEqual(decoder.neverIndexed, []);
});
