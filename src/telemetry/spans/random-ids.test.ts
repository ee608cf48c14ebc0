// Ids come from random bytes, each byte once.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createIdSource, newId } from './random-ids.js';

it('ids have 16 hex digits and differ', () => {
  const ids = Array.from({ length: 1000 }, newId);
  assert.ok(ids.every((id) => /^[0-9a-f]{16}$/.test(id)));
  assert.equal(new Set(ids).size, ids.length);
});

it('every eight bytes of the pool are one id, and the pool is filled again when it is used up', () => {
  let fills = 0;
  const next = createIdSource((pool) => {
    fills++;
    for (let i = 0; i < pool.length; i += 8) pool.writeBigUInt64BE(BigInt(fills * 1000 + i / 8), i);
  });
  const ids = Array.from({ length: 300 }, () => Number.parseInt(next(), 16));
  assert.deepEqual(
    ids,
    Array.from({ length: 300 }, (_, i) => (i < 256 ? 1000 + i : 2000 + i - 256)),
  );
});

it('zeros are no id', () => {
  let fills = 0;
  const next = createIdSource((pool) => pool.fill(0).writeUInt8(7, fills++ === 0 ? 15 : 7));
  assert.equal(next(), '0000000000000007');
});
