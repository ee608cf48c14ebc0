// Guessing the word that was meant.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { closestWord } from './closest.js';

describe('the closest word', () => {
  it('is found over a missing, an extra, a wrong and a swapped letter', () => {
    const words = ['timeout', 'retries', 'mirror'];
    for (const typo of ['timeot', 'timeoutt', 'timeour', 'tiemout', 'TIMEOUT'])
      assert.equal(closestWord(typo, words), 'timeout', typo);
  });

  it('is nothing where three edits are needed', () => {
    assert.equal(closestWord('abcd', ['abcdefg']), undefined);
    assert.equal(closestWord('', ['abc']), undefined);
    assert.equal(closestWord('abc', []), undefined);
  });

  it('is the nearest of several', () => {
    assert.equal(closestWord('hosts', ['host', 'hosts', 'ports']), 'hosts');
  });

  it('survives any two edits of any word', () => {
    const edit = fc.record({ at: fc.nat(20), remove: fc.boolean(), letter: fc.constantFrom('x', 'y') });
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{1,12}$/), fc.array(edit, { maxLength: 2 }), (word, edits) => {
        let typo = word;
        for (const { at, remove, letter } of edits) {
          const i = at % (typo.length + 1);
          typo = typo.slice(0, i) + (remove ? '' : letter) + typo.slice(remove ? i + 1 : i);
        }
        assert.equal(closestWord(typo, [word]), word);
      }),
    );
  });
});
