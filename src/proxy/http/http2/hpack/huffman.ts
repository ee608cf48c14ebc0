// Decodes the Huffman code of HPACK's strings (RFC 7541 section 5.2, appendix B), eight bits of code at a look.

/** Length of each byte's code in bits, and of the end of string's. The code is canonical: lengths are all there is to it. */
const codeLengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];
const endOfString = 256;

/** Shortest code in bits, which bounds what comes out of a string. */
const shortestCode = 5;

/**
 * Tables of 256 entries, one after another. The first is for the next eight bits of code, each further one for those that
 * follow an eight-bit beginning of longer codes. An entry is `length << 8 | byte` where a code ends within the eight bits,
 * `length` of its bits being among them; else, without a length, the number of the table to go on with; 0 where there is
 * nothing to go on with, which is the end of string only.
 */
const entries: Uint16Array = buildTables();

/** Most bytes that this many bytes of code can stand for. */
export function mostDecodedBytes(codeBytes: number): number {
  return Math.floor((codeBytes * 8) / shortestCode);
}

/**
 * Decodes `code` from `start` to `end` into `target`, which must have room for `mostDecodedBytes`.
 * @returns how many bytes it came to; -1 where it contains the end of string, or does not end with up to seven ones
 */
export function decodeHuffman(code: Buffer, start: number, end: number, target: Buffer): number {
  let at = 0;
  let table = 0;
  // At most fifteen bits are waiting, the last of them lowest; above them stands what was used.
  let bits = 0;
  let waiting = 0;
  for (let i = start; i < end; i++) {
    bits = ((bits << 8) | code[i]!) & 0xffff;
    waiting += 8;
    while (waiting >= 8) {
      const entry = entries[table + ((bits >>> (waiting - 8)) & 0xff)]!;
      if (entry > 0xff) {
        target[at++] = entry & 0xff;
        waiting -= entry >>> 8;
        table = 0;
      } else if (entry === 0) return -1;
      else {
        table = entry << 8;
        waiting -= 8;
      }
    }
  }
  return decodeEnd(table, bits, waiting, target, at);
}

/** The codes that end within the last seven bits, and the padding after them. */
function decodeEnd(table: number, bits: number, waiting: number, target: Buffer, at: number): number {
  while (waiting > 0) {
    const entry = entries[table + ((bits << (8 - waiting)) & 0xff)]!;
    const length = entry >>> 8;
    if (length === 0 || length > waiting) break;
    target[at++] = entry & 0xff;
    waiting -= length;
    table = 0;
  }
  const ones = (1 << waiting) - 1;
  // Within a longer code eight bits and more are left over, which is too much even where all are ones.
  return table === 0 && (bits & ones) === ones ? at : -1;
}

function buildTables(): Uint16Array {
  const tables = [new Uint16Array(256)];
  const symbols = codeLengths.map((_length, symbol) => symbol);
  symbols.sort((a, b) => codeLengths[a]! - codeLengths[b]! || a - b);
  let code = 0;
  let codeBits = 0;
  for (const symbol of symbols) {
    const length = codeLengths[symbol]!;
    code <<= length - codeBits;
    codeBits = length;
    if (symbol !== endOfString) enter(tables, symbol, code, length);
    code++;
  }
  const flat = new Uint16Array(tables.length * 256);
  for (const [i, table] of tables.entries()) flat.set(table, i * 256);
  return flat;
}

function enter(tables: Uint16Array[], symbol: number, code: number, length: number): void {
  let table = tables[0]!;
  let left = length;
  for (; left > 8; left -= 8) {
    const beginning = (code >>> (left - 8)) & 0xff;
    if (table[beginning] === 0) table[beginning] = tables.push(new Uint16Array(256)) - 1;
    table = tables[table[beginning]!]!;
  }
  const first = (code << (8 - left)) & 0xff;
  table.fill((left << 8) | symbol, first, first + (1 << (8 - left)));
}
