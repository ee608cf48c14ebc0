// No proxies: what the backend and the load generator do alone.
import type { Pair } from '../pair.js';

export const direct: Pair = {
  name: 'direct',
  what: 'no proxies',
  whyMissing: () => undefined,
  whyNot: () => undefined,
  start: async () => ({ client: [], server: [], stop: async () => undefined }),
};
