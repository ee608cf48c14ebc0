// Endpoints whose addresses are names (Envoy's STRICT_DNS): looks the names up again and again, and tells the addresses.
import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import type { EndpointConfig } from '../config/cluster-config.js';

/** All addresses of a name; none where the lookup failed. */
export type Lookup = (name: string, done: (addresses: readonly string[] | undefined) => void) => void;

const lookUpBySystem: Lookup = (name, done) =>
  lookup(name, { all: true }, (error, addresses) =>
    done(error === null ? addresses.map(({ address }) => address) : undefined),
  );

export class NameResolver {
  readonly #endpoints: readonly EndpointConfig[];
  readonly #refreshMs: number;
  readonly #onResolved: (endpoints: readonly EndpointConfig[]) => void;
  readonly #lookUp: Lookup;
  /** The last answer for each name: kept while lookups fail. */
  readonly #known = new Map<string, readonly string[]>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param onResolved told after every round of lookups */
  constructor(
    endpoints: readonly EndpointConfig[],
    refreshMs: number,
    onResolved: (endpoints: readonly EndpointConfig[]) => void,
    lookUp: Lookup = lookUpBySystem,
  ) {
    this.#endpoints = endpoints;
    this.#refreshMs = refreshMs;
    this.#onResolved = onResolved;
    this.#lookUp = lookUp;
    this.#resolve();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #resolve(): void {
    const names = new Set(this.#endpoints.map(({ address }) => address).filter((address) => isIP(address) === 0));
    let open = names.size + 1;
    const finish = () => {
      if (--open > 0 || this.#closed) return;
      this.#onResolved(this.#endpoints.flatMap((endpoint) => this.#addressed(endpoint)));
      this.#timer = setTimeout(() => this.#resolve(), this.#refreshMs).unref();
    };
    for (const name of names)
      this.#lookUp(name, (addresses) => {
        if (addresses !== undefined) this.#known.set(name, addresses);
        finish();
      });
    finish();
  }

  #addressed(endpoint: EndpointConfig): EndpointConfig[] {
    if (isIP(endpoint.address) !== 0) return [endpoint];
    // In one order, whatever the order of the answer: the same addresses are the same endpoints.
    return (this.#known.get(endpoint.address) ?? []).toSorted().map((address) => ({ ...endpoint, address }));
  }
}
