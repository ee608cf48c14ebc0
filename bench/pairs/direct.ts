// No proxies: what the backend and the load generator do alone.
import { ports, type Pair } from '../pair.js';

export const direct: Pair = {
  name: 'direct',
  what: 'no proxies',
  whyMissing: () => undefined,
  start: async () => ({ client: [], server: [], stop: async () => undefined }),
};

/** The port that wrk calls. */
export function entranceOf({ name }: Pair): number {
  return name === direct.name ? ports.backend : ports.client;
}
