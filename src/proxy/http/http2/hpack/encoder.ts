// Encodes the header blocks of one direction of a connection (RFC 7541), for the least work at both ends.
//
// No Huffman code: the peer is a loopback or a data centre's network away, and what repeats is one byte anyway. Coding the
// few strings that do not repeat would cost both ends more time than the saved third of their bytes.
import { DynamicTable, entryBytes, initialTableBytes } from './dynamic-table.js';
import { fieldRule } from './field-rules.js';
import { latin1Copy, latin1Slice, latin1Write } from './latin1.js';
import { firstDynamicIndex, staticNames } from './static-table.js';

/** Representations and the bits that their first byte leaves to an integer (RFC 7541 section 6). */
const indexedField = 0x80;
const indexedFieldMask = 0x7f;
const literalWithIndexing = 0x40;
const literalWithIndexingMask = 0x3f;
const literalWithoutIndexing = 0x00;
const literalNeverIndexed = 0x10;
const literalMask = 0x0f;
const sizeUpdate = 0x20;
const sizeUpdateMask = 0x1f;

/** Two size updates. */
const mostBytesBeforeFields = 8;
/** Representation and the lengths of two strings. */
const mostBytesBesideStrings = 12;

/** An entry takes at most this part of the table, lest one large field evict all that repeats. */
const largestPartOfTable = 1 / 4;

/** Strings up to this length are written faster here than by a call out of the engine. */
const longestWrittenHere = 24;

/** Values that are remembered after they were written once; a power of two. */
const rememberedValues = 64;

/** The table, with the entries of every name in a chain from the newest to the oldest. */
class SearchableTable extends DynamicTable {
  /** Number of the newest entry of every name that has one. */
  readonly #newest = new Map<string, number>();
  /** By slot, the number of the next older entry with the same name; it may be gone, then so is all beyond it. */
  readonly #older: number[];
  readonly #mask: number;

  constructor(mostBytes: number) {
    super(mostBytes);
    this.#older = Array.from({ length: this.slots }, () => -1);
    this.#mask = this.slots - 1;
  }

  /** Index of the newest entry with this name; 0 where there is none. */
  indexOfName(name: string): number {
    const number = this.#newest.get(name);
    return number === undefined ? 0 : this.counterpart(number);
  }

  /** Index of the entry with this name and value; 0 where there is none. */
  indexOf(name: string, value: string): number {
    let number = this.#newest.get(name);
    if (number === undefined) return 0;
    const oldest = this.oldest;
    do {
      if (this.valueAt(number) === value) return this.counterpart(number);
      number = this.#older[number & this.#mask]!;
    } while (number >= oldest);
    return 0;
  }

  /** Adds an entry that fits. */
  override insert(name: string, value: string): void {
    const older = this.#newest.get(name) ?? -1;
    const number = this.next;
    super.insert(name, value);
    this.#older[number & this.#mask] = older;
    this.#newest.set(name, number);
  }

  protected override evicted(name: string, number: number): void {
    // Entries go in the order of their age: with the newest of a name all of them are gone.
    if (this.#newest.get(name) === number) this.#newest.delete(name);
  }
}

export class HpackEncoder {
  readonly #table = new SearchableTable(initialTableBytes);
  /** Hashes of the values that were written out last, in a ring. */
  readonly #written = new Int32Array(rememberedValues);
  #nextWritten = 0;
  /** Smallest limit of the table since the last block, and the present one. */
  #smallestLimit = initialTableBytes;
  #limit = initialTableBytes;

  /**
   * Upper bound of the bytes of a block.
   * @param headers names and values in turn
   */
  static bound(headers: readonly string[]): number {
    let bytes = mostBytesBeforeFields + (headers.length >>> 1) * mostBytesBesideStrings;
    for (let i = 0; i < headers.length; i++) bytes += headers[i]!.length;
    return bytes;
  }

  /**
   * Follows the peer's SETTINGS_HEADER_TABLE_SIZE up to 4096 bytes; what repeats on a connection fits into that, and more
   * would be memory that the peer decides about.
   */
  setMaxTableBytes(bytes: number): void {
    this.#limit = Math.min(bytes, initialTableBytes);
    this.#smallestLimit = Math.min(this.#smallestLimit, this.#limit);
  }

  /**
   * Writes what has to stand at the start of a block: the sizes that the table went to since the last one (section 4.2).
   * Whatever is written has to be sent, in the order of writing, because the peer's table follows it.
   * @returns offset of the first field
   */
  beginBlock(target: Buffer, at: number): number {
    const before = this.#table.limit;
    if (this.#smallestLimit < before) at = this.#resize(this.#smallestLimit, target, at);
    if (this.#limit !== this.#table.limit) at = this.#resize(this.#limit, target, at);
    this.#smallestLimit = this.#limit;
    return at;
  }

  /**
   * Writes one field, whose characters are bytes (up to U+00FF).
   * @param neverIndex whether it came as such (`HpackDecoder.neverIndexed`), so has to go on as such
   * @returns offset of the next field
   */
  field(name: string, value: string, target: Buffer, at: number, neverIndex = false): number {
    const rule = fieldRule(name);
    if (neverIndex || rule.isSecret(value)) {
      const nameIndex = rule.staticIndex || this.#table.indexOfName(name);
      return writeLiteral(literalNeverIndexed, literalMask, nameIndex, name, value, target, at);
    }
    let index = rule.staticIndexOf(value);
    if (index === 0 && !rule.isUnique) index = this.#table.indexOf(name, value);
    if (index !== 0) return writeInteger(indexedField, indexedFieldMask, index, target, at);
    const nameIndex = rule.staticIndex || this.#table.indexOfName(name);
    if (!this.#isWorthIndexing(rule.isUnique, nameIndex, name, value))
      return writeLiteral(literalWithoutIndexing, literalMask, nameIndex, name, value, target, at);
    at = writeLiteral(literalWithIndexing, literalWithIndexingMask, nameIndex, name, value, target, at);
    this.#table.insert(this.#ownName(name, nameIndex), latin1Slice(target, at - value.length, at));
    return at;
  }

  /**
   * Name of a new entry, whose strings are copies: one cut out of a larger text would hold all of that for as long as the
   * entry lives.
   */
  #ownName(name: string, nameIndex: number): string {
    if (nameIndex === 0) return latin1Copy(name);
    return nameIndex < firstDynamicIndex
      ? staticNames[nameIndex]!
      : this.#table.nameAt(this.#table.counterpart(nameIndex));
  }

  /**
   * A field gets a place in the table for its name's sake, where no table has that yet, or when its value comes the second
   * time; so values that never repeat evict nothing, whatever they are called.
   */
  #isWorthIndexing(isUnique: boolean, nameIndex: number, name: string, value: string): boolean {
    if (entryBytes(name, value) > this.#table.limit * largestPartOfTable) return false;
    return nameIndex === 0 || (!isUnique && this.#wasWritten(value));
  }

  /** Whether the value was probably written out not long ago. A mistake costs a few bytes. */
  #wasWritten(value: string): boolean {
    let hash = value.length;
    for (let i = 0; i < value.length; i++) hash = (Math.imul(hash, 31) + value.charCodeAt(i)) | 0;
    const written = this.#written;
    for (let i = 0; i < rememberedValues; i++) if (written[i] === hash) return true;
    written[this.#nextWritten] = hash;
    this.#nextWritten = (this.#nextWritten + 1) & (rememberedValues - 1);
    return false;
  }

  #resize(limit: number, target: Buffer, at: number): number {
    this.#table.resize(limit);
    return writeInteger(sizeUpdate, sizeUpdateMask, limit, target, at);
  }
}

function writeLiteral(
  representation: number,
  mask: number,
  nameIndex: number,
  name: string,
  value: string,
  target: Buffer,
  at: number,
): number {
  at = writeInteger(representation, mask, nameIndex, target, at);
  if (nameIndex === 0) at = writeString(name, target, at);
  return writeString(value, target, at);
}

function writeString(text: string, target: Buffer, at: number): number {
  const length = text.length;
  at = writeInteger(0, 0x7f, length, target, at);
  if (length > longestWrittenHere) latin1Write(text, target, at);
  else for (let i = 0; i < length; i++) target[at + i] = text.charCodeAt(i);
  return at + length;
}

/** Writes an integer into the bits of `mask` and as many bytes as it takes (section 5.1). */
function writeInteger(flags: number, mask: number, value: number, target: Buffer, at: number): number {
  if (value < mask) {
    target[at] = flags | value;
    return at + 1;
  }
  target[at++] = flags | mask;
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) target[at++] = (rest & 0x7f) | 0x80;
  target[at] = rest;
  return at + 1;
}
