// Who calls: the token of a workload, compared in constant time.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Metadata } from '@grpc/grpc-js';

/** Knows tokens only by their hash. */
export class TokenTable {
  readonly #byHash = new Map<string, { readonly hash: Buffer; readonly workload: string }>();

  /** Replaces all tokens. */
  set(tokens: Readonly<Record<string, string>>): void {
    this.#byHash.clear();
    for (const [workload, token] of Object.entries(tokens)) {
      const hash = hashOf(token);
      this.#byHash.set(hash.toString('hex'), { hash, workload });
    }
  }

  /** The workload whose token the call carries; undefined where it carries none of ours. */
  readonly authenticate = (metadata: Metadata): string | undefined => {
    const [header] = metadata.get('authorization');
    if (typeof header !== 'string' || !header.startsWith('Bearer ')) return undefined;
    const hash = hashOf(header.slice('Bearer '.length));
    const entry = this.#byHash.get(hash.toString('hex'));
    return entry !== undefined && timingSafeEqual(entry.hash, hash) ? entry.workload : undefined;
  };
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
