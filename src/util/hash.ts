// Content hashes: equal bytes, equal version.
import { createHash } from 'node:crypto';

/** A short stable fingerprint of some bytes (the first 16 hexadecimal digits of SHA-256). */
export function contentHash(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16);
}
