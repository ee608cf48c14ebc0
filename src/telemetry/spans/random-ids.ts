// Ids of traces and spans: random bytes are fetched in bulk, so that one id costs no more than a piece of text.
import { randomFillSync } from 'node:crypto';

const digits = 16;
const zero = '0'.repeat(digits);

/** Gives out ids of 16 hex digits, never all zeros. */
export function createIdSource(fill: (pool: Buffer) => void = randomFillSync): () => string {
  const pool = Buffer.alloc(2048);
  let text = '';
  let at = 0;
  const next = (): string => {
    if (at === text.length) {
      fill(pool);
      text = pool.toString('hex');
      at = 0;
    }
    const id = text.slice(at, (at += digits));
    return id === zero ? next() : id;
  };
  return next;
}

/** The ids of this process. */
export const newId = createIdSource();
