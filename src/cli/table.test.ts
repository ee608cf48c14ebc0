// Tables for terminals.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatTable } from './table.js';

describe('a table', () => {
  it('has columns as wide as their widest cell, and no blanks at the ends of lines', () => {
    assert.equal(
      formatTable(
        ['A', 'LONG', 'C'],
        [
          ['aaa', 'b', 'c'],
          ['a', '', ''],
        ],
      ),
      'A    LONG  C\naaa  b     c\na\n',
    );
  });

  it('is its head alone where there are no rows', () => {
    assert.equal(formatTable(['NAME', 'READY'], []), 'NAME  READY\n');
  });

  it('lets nothing from outside steer the terminal', () => {
    assert.equal(
      formatTable(['A', 'B'], [['\u001b[31mred', 'line\nbreak']]),
      'A            B\n\\x1b[31mred  line\\x0abreak\n',
    );
  });
});
