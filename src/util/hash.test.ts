// Fingerprints of content.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { contentHash } from './hash.js';

it('a content hash is the first 16 digits of SHA-256, for text and bytes alike', () => {
  assert.equal(contentHash('abc'), 'ba7816bf8f01cfea');
  assert.equal(contentHash(Buffer.from('abc')), 'ba7816bf8f01cfea');
  assert.equal(contentHash(''), 'e3b0c44298fc1c14');
});
