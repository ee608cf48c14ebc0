// Decodes the header blocks that one peer sends on a connection (RFC 7541), in bounded time and memory whatever they hold.
import { DynamicTable, entryBytes, entryOverhead, initialTableBytes } from './dynamic-table.js';
import { decodeHuffman, mostDecodedBytes } from './huffman.js';
import { latin1Slice } from './latin1.js';
import { firstDynamicIndex, staticNames, staticValues } from './static-table.js';

/** Header compression failed: the connection cannot go on (COMPRESSION_ERROR). */
export class HpackError extends Error {
  override readonly name = 'HpackError';
}

/** Bytes of an integer after its first, as many as lengths and indexes can sensibly need (section 5.1 asks for a bound). */
const mostContinuationBytes = 4;

/** Size updates at the start of a block: the smallest limit since the last block, and the present one (section 4.2). */
const mostSizeUpdates = 2;

const noNames: string[] = [];

/** Takes what comes out of Huffman code until it is a string; longer strings get a buffer of their own. */
const scratch = Buffer.allocUnsafeSlow(8192);

export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #mostTableBytes: number;
  /** Where the next byte of the block is. */
  #at = 0;
  /** Length of the string that was read last, also where it was not kept. */
  #length = 0;
  #neverIndexed = noNames;

  /**
   * @param tableBytes bound that we announced (SETTINGS_HEADER_TABLE_SIZE). The table has 4096 bytes until the peer says that
   * it goes to another size, so a smaller bound holds only from then on and a larger one has to be made use of by the peer.
   */
  constructor(tableBytes: number = initialTableBytes) {
    this.#mostTableBytes = tableBytes;
    this.#table = new DynamicTable(tableBytes);
  }

  /**
   * Names of fields in the last block, as far as they were appended, that must not be indexed by anybody who passes them
   * on (section 6.2.3), for `HpackEncoder.field`.
   */
  get neverIndexed(): readonly string[] {
    return this.#neverIndexed;
  }

  /**
   * Decodes one complete header block, appending name, value, name, value to `into`; characters are bytes. The whole block is
   * always decoded for the table's sake, but once the list (RFC 9113 section 6.5.2: name, value and 32 for each field) is
   * larger than `maxListBytes`, or has more than `maxFields` fields, nothing more is appended and nothing is held.
   * @returns size of the list, also where it is too large
   * @throws HpackError on any violation; the decoder is of no use afterwards
   */
  decode(block: Buffer, start: number, end: number, into: string[], maxListBytes: number, maxFields: number): number {
    let listBytes = 0;
    let fields = 0;
    let sizeUpdates = 0;
    this.#at = start;
    this.#neverIndexed = noNames;
    while (this.#at < end) {
      const first = block[this.#at++]!;
      if (first >= 0x20 && first < 0x40) {
        if (fields > 0 || ++sizeUpdates > mostSizeUpdates)
          throw new HpackError('the table changes its size in a block');
        this.#resize(block, end, first);
      } else {
        const room = ++fields <= maxFields ? maxListBytes - listBytes : -1;
        if (first >= 0x80) listBytes += this.#indexed(block, end, first, room, into);
        else listBytes += this.#literal(block, end, first, room, into);
      }
    }
    return listBytes;
  }

  /**
   * Looks up a field that a table has, and appends it where it fits into `room` bytes.
   * @returns its size
   */
  #indexed(block: Buffer, end: number, first: number, room: number, into: string[]): number {
    const index = first === 0xff ? this.#integer(block, end, 0x7f) : first & 0x7f;
    if (index === 0) throw new HpackError('a field has index 0');
    let name: string;
    let value: string;
    if (index < firstDynamicIndex) {
      name = staticNames[index]!;
      value = staticValues[index]!;
    } else {
      const number = this.#entry(index);
      name = this.#table.nameAt(number);
      value = this.#table.valueAt(number);
    }
    const bytes = entryBytes(name, value);
    if (bytes <= room) into.push(name, value);
    return bytes;
  }

  /**
   * Decodes a field that is written out, and appends it where it fits into `room` bytes.
   * @returns its size
   */
  #literal(block: Buffer, end: number, first: number, room: number, into: string[]): number {
    const indexed = first >= 0x40;
    const keep = indexed || room >= 0;
    const mask = indexed ? 0x3f : 0x0f;
    let index = first & mask;
    if (index === mask) index = this.#integer(block, end, mask);
    let name: string;
    let bytes = entryOverhead;
    if (index === 0) {
      name = this.#string(block, end, keep);
      bytes += this.#length;
    } else {
      name = index < firstDynamicIndex ? staticNames[index]! : this.#table.nameAt(this.#entry(index));
      bytes += name.length;
    }
    const value = this.#string(block, end, keep);
    bytes += this.#length;
    if (indexed) this.#table.insert(name, value);
    if (bytes <= room) {
      into.push(name, value);
      if (first >= 0x10 && !indexed) this.#noteNeverIndexed(name);
    }
    return bytes;
  }

  #noteNeverIndexed(name: string): void {
    if (this.#neverIndexed === noNames) this.#neverIndexed = [name];
    else this.#neverIndexed.push(name);
  }

  #resize(block: Buffer, end: number, first: number): void {
    let bytes = first & 0x1f;
    if (bytes === 0x1f) bytes = this.#integer(block, end, 0x1f);
    if (bytes > this.#mostTableBytes) throw new HpackError('the table is to be larger than was announced');
    this.#table.resize(bytes);
  }

  /** Number of the entry of the dynamic table with this index. */
  #entry(index: number): number {
    const number = this.#table.counterpart(index);
    if (number < this.#table.oldest) throw new HpackError('a field has an index that the table does not have');
    return number;
  }

  /** A string, or only its length. */
  #string(block: Buffer, end: number, keep: boolean): string {
    if (this.#at >= end) throw new HpackError('the block ends within a field');
    const first = block[this.#at++]!;
    let bytes = first & 0x7f;
    if (bytes === 0x7f) bytes = this.#integer(block, end, 0x7f);
    const start = this.#at;
    const stop = start + bytes;
    if (stop > end) throw new HpackError('a string goes beyond the end of the block');
    this.#at = stop;
    if (first >= 0x80) return this.#huffman(block, start, stop, keep);
    this.#length = bytes;
    return keep ? latin1Slice(block, start, stop) : '';
  }

  #huffman(block: Buffer, start: number, end: number, keep: boolean): string {
    const most = mostDecodedBytes(end - start);
    const target = most <= scratch.length ? scratch : Buffer.allocUnsafe(most);
    const length = decodeHuffman(block, start, end, target);
    if (length < 0) throw new HpackError('a string has an invalid Huffman code');
    this.#length = length;
    return keep ? latin1Slice(target, 0, length) : '';
  }

  /** The rest of an integer whose first byte is full (section 5.1). */
  #integer(block: Buffer, end: number, full: number): number {
    let value = full;
    for (let i = 0; i < mostContinuationBytes; i++) {
      if (this.#at >= end) throw new HpackError('the block ends within an integer');
      const byte = block[this.#at++]!;
      value += (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return value;
    }
    throw new HpackError('an integer is too large');
  }
}
