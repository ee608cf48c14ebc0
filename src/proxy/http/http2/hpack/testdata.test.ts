// Decodes the sequences of blocks in testdata: the examples of RFC 7541 appendix C with the tables after them, and blocks at
// and beyond every limit.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { decodeBlock, tableOf, type ListLimits } from '../../../../../test/harness/header-blocks.js';
import { HpackDecoder, HpackError } from './decoder.js';

interface Block {
  readonly hex: string;
  /** What the block decodes to; or else the error. */
  readonly fields?: readonly (readonly string[])[];
  readonly error?: string;
  readonly listBytes?: number;
  readonly neverIndexed?: readonly string[];
  /** What is in the table afterwards, the newest first. */
  readonly table?: readonly (readonly string[])[];
  readonly tableBytes?: number;
}

interface Sequence extends ListLimits {
  readonly title: string;
  /** What the decoder announced. */
  readonly tableBytes?: number;
  readonly blocks: readonly Block[];
}

function check(decoder: HpackDecoder, limits: ListLimits, block: Block): void {
  const bytes = Buffer.from(block.hex, 'hex');
  if (block.error !== undefined) {
    assert.throws(() => decodeBlock(decoder, bytes, limits), new HpackError(block.error));
    return;
  }
  const decoded = decodeBlock(decoder, bytes, limits);
  assert.deepEqual(decoded.fields, block.fields?.flat());
  if (block.listBytes !== undefined) assert.equal(decoded.listBytes, block.listBytes);
  assert.deepEqual(decoder.neverIndexed, block.neverIndexed ?? []);
  if (block.table === undefined) return;
  const table = tableOf(decoder);
  assert.deepEqual(table, block.table.flat());
  const bytesHeld = table.reduce((sum, text) => sum + text.length, 0) + (table.length / 2) * 32;
  assert.equal(bytesHeld, block.tableBytes);
}

for (const file of ['rfc7541-appendix-c', 'blocks'])
  describe(`testdata/${file}.json`, () => {
    const path = new URL(`../../../../../../src/proxy/http/http2/hpack/testdata/${file}.json`, import.meta.url);
    for (const { title, tableBytes, blocks, ...limits } of JSON.parse(readFileSync(path, 'utf8')) as Sequence[])
      it(title, () => {
        const decoder = new HpackDecoder(tableBytes);
        for (const block of blocks) check(decoder, limits, block);
      });
  });
