// Holds the Huffman decoder to the codes of RFC 7541 appendix B, which testdata has one by one.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import fc from 'fast-check';
import { decodeHuffman, mostDecodedBytes } from './huffman.js';

const path = new URL('../../../../../../src/proxy/http/http2/hpack/testdata/huffman-codes.json', import.meta.url);
/** By byte; the last one is the end of string. */
const codes = JSON.parse(readFileSync(path, 'utf8')) as string[];

const bytesOf = (bits: string) => Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
const pad = (bits: string) => bits + '1'.repeat((8 - (bits.length % 8)) % 8);
const bitsOf = (text: Uint8Array) => [...text].map((byte) => codes[byte]).join('');

function decode(code: Buffer): Buffer | undefined {
  const most = mostDecodedBytes(code.length);
  const target = Buffer.alloc(most + 1, 0xee);
  const length = decodeHuffman(Buffer.concat([Buffer.from('x'), code, Buffer.from('x')]), 1, 1 + code.length, target);
  assert.ok(length <= most && target[most] === 0xee, 'more came out than there is room for');
  return length < 0 ? undefined : target.subarray(0, length);
}

it('every byte is decoded, alone and among others', () => {
  for (let byte = 0; byte < 256; byte++)
    for (const text of [[byte], [byte, byte, byte], [0x61, byte, 0x62]])
      assert.deepEqual(decode(bytesOf(pad(bitsOf(Buffer.from(text))))), Buffer.from(text));
});

it('any text is decoded', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (text) => {
      assert.deepEqual(decode(bytesOf(pad(bitsOf(text)))), Buffer.from(text));
    }),
  );
});

it('whatever is decoded is the one code of what it is decoded to', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (code) => {
      const text = decode(Buffer.from(code));
      if (text !== undefined) assert.deepEqual(bytesOf(pad(bitsOf(text))), Buffer.from(code));
    }),
    { numRuns: 2000 },
  );
});

it('padding other than up to seven ones is refused after every byte', () => {
  for (let byte = 0; byte < 256; byte++) {
    const bits = codes[byte]!;
    const room = (8 - (bits.length % 8)) % 8;
    for (let zero = 0; zero < room; zero++) {
      const padding = `${'1'.repeat(zero)}0${'1'.repeat(room - zero - 1)}`;
      const text = decode(bytesOf(bits + padding));
      // Some such padding is a further short code.
      if (text !== undefined) assert.deepEqual(pad(bitsOf(text)), bits + padding);
    }
    assert.equal(decode(bytesOf(`${pad(bits)}11111111`)), undefined);
  }
});

it('the end of string is refused wherever it stands', () => {
  for (let byte = 0; byte < 256; byte++) {
    assert.equal(decode(bytesOf(pad(codes[byte]! + codes[256]!))), undefined);
    assert.equal(decode(bytesOf(pad(codes[256]! + codes[byte]!))), undefined);
  }
});
