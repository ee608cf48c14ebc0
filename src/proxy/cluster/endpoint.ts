// One place where a cluster's requests may go: its address, how to connect to it, and what is under way there.
import type { Party } from '../../telemetry/istio-labels.js';
import type { CallSeries } from '../../telemetry/series.js';
import type { Candidate } from '../balance/balancer.js';
import { HttpPool, type PoolSettings } from '../http/pool.js';
import type { ClusterUsage } from './usage.js';
import type { Connector, ConnectOutcome, SessionCache, TlsTarget } from '../tls/connector.js';

export interface EndpointOptions {
  readonly address: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  readonly tls: TlsTarget | undefined;
  /** Protocols to offer for bytes; for HTTP the listener's filter says its own. */
  readonly protocols: readonly string[];
  /** The workload as endpoint metadata describes it, for calls whose peer never answered. */
  readonly party: Party;
  readonly connector: Connector;
  /** Counts of the cluster. */
  readonly usage: ClusterUsage;
  readonly poolSettings: () => PoolSettings;
}

export class Endpoint implements Candidate {
  readonly options: EndpointOptions;
  /** `address:port`, as in logs. */
  readonly host: string;
  active = 0;
  /** Relative share of what is chosen; it may change while connections stay. */
  weight: number;
  /** Series of calls to it, by who answers, and the own workload under which they were resolved. */
  readonly calls = new WeakMap<Party, { readonly self: Party; readonly series: CallSeries }>();
  readonly #sessions: SessionCache = new Map();
  readonly #pools = new Map<string, HttpPool>();
  /** The same by the list itself: every request of a listener brings the same one. */
  readonly #poolsByList = new WeakMap<readonly string[], HttpPool>();

  constructor(options: EndpointOptions, weight: number) {
    this.options = options;
    this.weight = weight;
    this.host = `${options.address.includes(':') ? `[${options.address}]` : options.address}:${options.port}`;
  }

  /**
   * The pool for HTTP.
   * @param protocols what connections offer in the handshake, which then decides the version
   * @param isHttp2 the version in which the cluster wants requests to be sent; without a handshake it is spoken
   */
  httpPool(protocols: readonly string[], isHttp2: boolean): HttpPool {
    const { tls } = this.options;
    if (tls === undefined) return this.#poolOf(isHttp2 ? 'h2c' : '', [], isHttp2, false);
    let pool = this.#poolsByList.get(protocols);
    if (pool === undefined) {
      pool = this.#poolOf(`tls ${protocols.join(',')}`, protocols, isHttp2, true);
      this.#poolsByList.set(protocols, pool);
    }
    return pool;
  }

  #poolOf(key: string, protocols: readonly string[], isHttp2: boolean, isNegotiated: boolean): HttpPool {
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      const { usage, poolSettings } = this.options;
      pool = new HttpPool((done) => this.#connect(protocols, done), usage, poolSettings, isHttp2, isNegotiated);
      this.#pools.set(key, pool);
    }
    return pool;
  }

  /** Opens a connection for bytes; the returned function gives up. */
  connect(done: (outcome: ConnectOutcome) => void): () => void {
    return this.#connect(this.options.protocols, done);
  }

  /** Requests go on new connections from here on. */
  retireConnections(): void {
    for (const pool of this.#pools.values()) pool.retireConnections();
  }

  /** No new use: idle connections end now, busy ones after what they carry. */
  drain(): void {
    for (const pool of this.#pools.values()) pool.drain();
  }

  #connect(protocols: readonly string[], done: (outcome: ConnectOutcome) => void): () => void {
    const { address, port, connectTimeoutMs: timeoutMs, tls, connector } = this.options;
    return connector.connect({ address, port, timeoutMs, tls, protocols, sessions: this.#sessions }, done);
  }
}
