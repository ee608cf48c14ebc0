// The dynamic table of one direction of a connection (RFC 7541 sections 2.3.2 and 4): fields by age, in a ring.
import { firstDynamicIndex } from './static-table.js';

/** Size of a table before either side says otherwise, in bytes as `entryBytes` counts (RFC 9113 section 6.5.2). */
export const initialTableBytes = 4096;

/** What an entry counts beside its characters (RFC 7541 section 4.1). */
export const entryOverhead = 32;

/** Size of an entry as both sides count it, which has little to do with the memory that it takes. */
export function entryBytes(name: string, value: string): number {
  return name.length + value.length + entryOverhead;
}

/**
 * Entries are numbered in the order of insertion and keep their number, while their index grows with every insertion;
 * so whoever remembers an entry remembers its number.
 */
export class DynamicTable {
  readonly #names: string[];
  readonly #values: string[];
  /** Selects the slot of a number; the ring's length is a power of two. */
  readonly #mask: number;
  #bytes = 0;
  #limit = initialTableBytes;
  /** Number of the oldest entry; numbers below are gone. */
  #oldest = 0;
  #next = 0;

  /** @param mostBytes largest limit that will ever be set */
  constructor(mostBytes: number) {
    const mostEntries = Math.floor(Math.max(mostBytes, initialTableBytes) / entryOverhead);
    const slots = 2 ** Math.ceil(Math.log2(mostEntries));
    this.#names = Array.from({ length: slots }, () => '');
    this.#values = Array.from({ length: slots }, () => '');
    this.#mask = slots - 1;
  }

  /** Length of the ring. */
  get slots(): number {
    return this.#mask + 1;
  }

  /** Sum of the entries' sizes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What `bytes` may come to. */
  get limit(): number {
    return this.#limit;
  }

  /** Number of the oldest entry; equals `next` where there is none. */
  get oldest(): number {
    return this.#oldest;
  }

  /** Number that the next entry will have. */
  get next(): number {
    return this.#next;
  }

  /** Number of the entry that has this index now, and the other way round: the newest entry has the lowest index. */
  counterpart(indexOrNumber: number): number {
    return this.#next - 1 + firstDynamicIndex - indexOrNumber;
  }

  nameAt(number: number): string {
    return this.#names[number & this.#mask]!;
  }

  valueAt(number: number): string {
    return this.#values[number & this.#mask]!;
  }

  /** Sets the limit, which evicts what is too much. */
  resize(limit: number): void {
    this.#limit = limit;
    while (this.#bytes > limit) this.#evict();
  }

  /** Adds an entry after evicting what has to make room; one larger than the whole table only empties it (section 4.4). */
  insert(name: string, value: string): void {
    const bytes = entryBytes(name, value);
    while (this.#bytes + bytes > this.#limit && this.#oldest < this.#next) this.#evict();
    if (bytes > this.#limit) return;
    const slot = this.#next & this.#mask;
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#bytes += bytes;
    this.#next++;
  }

  /** Told before an entry goes. */
  protected evicted(_name: string, _number: number): void {}

  #evict(): void {
    const slot = this.#oldest & this.#mask;
    const name = this.#names[slot]!;
    this.evicted(name, this.#oldest);
    this.#bytes -= entryBytes(name, this.#values[slot]!);
    this.#names[slot] = '';
    this.#values[slot] = '';
    this.#oldest++;
  }
}
