// Holds the three operations on headers to what a list of names and values should do.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { findHeader, removeHeader, setHeader } from './message.js';

const fields = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('a', 'b', '1', '')), { maxLength: 6 });

it('finding joins all values of a name by commas', () =>
  fc.assert(
    fc.property(fields, (list) => {
      const values = list.filter(([name]) => name === 'a').map(([, value]) => value);
      assert.equal(findHeader(list.flat(), 'a'), values.length === 0 ? undefined : values.join(','));
    }),
  ));

it('removing takes every field of a name and leaves the others in order', () =>
  fc.assert(
    fc.property(fields, (list) => {
      const headers = list.flat();
      removeHeader(headers, 'a');
      assert.deepEqual(headers, list.filter(([name]) => name !== 'a').flat());
    }),
  ));

it('setting leaves one field of a name, where the first was, else at the end', () =>
  fc.assert(
    fc.property(fields, (list) => {
      const headers = list.flat();
      setHeader(headers, 'a', 'new');
      const first = list.findIndex(([name]) => name === 'a');
      const expected = list.map(([name, value], i) => (i === first ? [name, 'new'] : [name, value]));
      const kept = expected.filter(([name], i) => name !== 'a' || i === first);
      assert.deepEqual(headers, first < 0 ? [...list.flat(), 'a', 'new'] : kept.flat());
    }),
  ));
