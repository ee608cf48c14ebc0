// Encodes and decodes whole header blocks, and looks into a decoder's table through what it decodes.
import { HpackError, type HpackDecoder } from '../../src/proxy/http/http2/hpack/decoder.js';
import { HpackEncoder } from '../../src/proxy/http/http2/hpack/encoder.js';

export interface ListLimits {
  readonly maxListBytes?: number;
  readonly maxFields?: number;
}

/** Decodes a block that stands in the middle of a buffer, as blocks do. */
export function decodeBlock(decoder: HpackDecoder, block: Buffer, limits: ListLimits = {}) {
  const around = Buffer.concat([Buffer.from([0x82]), block, Buffer.from([0x82])]);
  const fields: string[] = [];
  const { maxListBytes = Infinity, maxFields = Infinity } = limits;
  const listBytes = decoder.decode(around, 1, 1 + block.length, fields, maxListBytes, maxFields);
  return { fields, listBytes };
}

/** Encodes a block, and sees that it stays within its bound. */
export function encodeBlock(encoder: HpackEncoder, headers: readonly string[]): Buffer {
  const bound = HpackEncoder.bound(headers);
  const target = Buffer.alloc(bound + 1, 0xee);
  let at = encoder.beginBlock(target, 1);
  for (let i = 0; i < headers.length; i += 2) at = encoder.field(headers[i]!, headers[i + 1]!, target, at);
  if (at > bound + 1) throw new Error(`a block came to ${at - 1} bytes instead of ${bound}`);
  return Buffer.from(target.subarray(1, at));
}

/** Fields of a decoder's dynamic table, the newest first. */
export function tableOf(decoder: HpackDecoder): string[] {
  const fields: string[] = [];
  for (let index = 62; ; index++) {
    const block = index < 127 ? [0x80 | index] : index < 255 ? [0xff, index - 127] : [0xff, 0x80 | (index & 0x7f), 1];
    try {
      fields.push(...decodeBlock(decoder, Buffer.from(block)).fields);
    } catch (error) {
      if (error instanceof HpackError) return fields;
      throw error;
    }
  }
}
