// Holds the table to RFC 7541 section 4: what it counts, what goes first, and that what went is let go.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { DynamicTable, initialTableBytes } from './dynamic-table.js';

/** A table of `limit` bytes with these one-letter names and values; each entry counts 34. */
function tableWith(limit: number, letters: string): DynamicTable {
  const table = new DynamicTable(initialTableBytes);
  table.resize(limit);
  for (const letter of letters) table.insert(letter, letter);
  return table;
}

/** Names from the newest to the oldest, by index. */
function names(table: DynamicTable): string {
  let text = '';
  for (let index = 62; index < 62 + table.next - table.oldest; index++) text += table.nameAt(table.counterpart(index));
  return text;
}

it('entries fill the table to the last byte', () => {
  assert.equal(names(tableWith(3 * 34, 'abc')), 'cba');
  assert.equal(tableWith(3 * 34, 'abc').bytes, 3 * 34);
});

it('the oldest entries go first', () => {
  assert.equal(names(tableWith(3 * 34, 'abcd')), 'dcb');
  assert.equal(names(tableWith(3 * 34 - 1, 'abcd')), 'dc');
  const table = tableWith(3 * 34, 'abc');
  table.resize(2 * 34);
  assert.equal(names(table), 'cb');
});

it('a number stays with its entry while its index grows', () => {
  const table = tableWith(3 * 34, 'ab');
  assert.deepEqual([table.counterpart(0), table.counterpart(63)], [63, 0]);
  table.insert('c', 'c');
  assert.deepEqual([table.counterpart(0), table.counterpart(64)], [64, 0]);
});

it('what was evicted is not held', () => {
  const table = tableWith(3 * 34, 'abc');
  table.resize(0);
  for (const number of [0, 1, 2]) assert.deepEqual([table.nameAt(number), table.valueAt(number)], ['', '']);
  assert.equal(table.bytes, 0);
});

it('the ring has room for as many entries as the largest limit lets in', () => {
  for (const limit of [0, 4096, 4097, 65536, 100_000]) {
    const table = new DynamicTable(limit);
    table.resize(limit);
    for (let i = 0; i < 5000; i++) table.insert('', '');
    assert.ok(table.next - table.oldest <= table.slots);
    assert.equal(table.next - table.oldest, Math.floor(limit / 32));
  }
});
