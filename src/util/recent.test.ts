// Holds the memory of recent results to its bound.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rememberRecent } from './recent.js';

describe('recent results', () => {
  it('are computed once while few texts are in use, undefined ones too', () => {
    const computed: string[] = [];
    const of = rememberRecent((text) => (computed.push(text), text === 'none' ? undefined : { text }), 2);
    assert.equal(of('a'), of('a'));
    assert.equal(of('none'), of('none'));
    assert.deepEqual(computed, ['a', 'none']);
  });

  it('are forgotten beyond the bound', () => {
    let count = 0;
    const of = rememberRecent(() => ++count, 3);
    for (let i = 0; i < 100; i++) of(String(i));
    of('0');
    assert.equal(count, 101);
  });
});
