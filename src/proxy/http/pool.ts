// Connections to one endpoint that carry one request at a time, kept while they are good and opened when all are busy.
// A request that waits for a new connection takes whichever is ready first.
import type { ClusterUsage } from '../cluster/usage.js';
import { sweep } from '../net/sweeper.js';
import type { Connected, ConnectOutcome } from '../tls/connector.js';
import type { Party } from '../../telemetry/istio-labels.js';
import { Http1ClientConnection, type ConnectionOwner } from './http1/client-connection.js';
import type { UpstreamEvents } from './streams.js';

/** Before the end of a certificate a connection is no longer used, so that what it carries ends in time. */
const expiryMarginMs = 1000;

/** A request that wants a connection. */
export interface PoolClient extends UpstreamEvents {
  /** False once the request has ended some other way. */
  readonly isWaiting: boolean;
  /** Told before `onUpstreamReady`: who is at the other end; undefined over plaintext. */
  onConnected(peer: Party | undefined): void;
}

/** What holds for the connections of a pool; read anew whenever it is needed, so that changes take effect. */
export interface PoolSettings {
  /** How long an idle connection is kept, in milliseconds; Infinity: for ever. */
  readonly idleTimeoutMs: number;
  /** Requests after which a connection is closed; Infinity: any number. */
  readonly maxRequestsPerConnection: number;
  /** How long a connection is used, in milliseconds; undefined: as long as its certificates are valid. */
  readonly maxConnectionDurationMs: number | undefined;
}

interface Pooled {
  readonly connection: Http1ClientConnection;
  readonly peer: Party | undefined;
  readonly retireAtMs: number;
  idleSinceMs: number;
}

const repeatable = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export class HttpPool implements ConnectionOwner {
  readonly #connect: (done: (outcome: ConnectOutcome) => void) => () => void;
  readonly #usage: ClusterUsage;
  readonly #settings: () => PoolSettings;
  readonly #all = new Map<Http1ClientConnection, Pooled>();
  /** The last one freed is used first: the others age and can be closed. */
  readonly #idle: Pooled[] = [];
  readonly #waiting: PoolClient[] = [];
  #connecting = 0;
  /** Connections that are free and will be given to a request that waits, in a moment. */
  #reserved = 0;
  #draining = false;
  #stopSweeping: (() => void) | undefined;

  /**
   * @param connect opens one connection and calls back once
   * @param usage counts of the cluster, of which all its pools take
   */
  constructor(
    connect: (done: (outcome: ConnectOutcome) => void) => () => void,
    usage: ClusterUsage,
    settings: () => PoolSettings,
  ) {
    this.#connect = connect;
    this.#usage = usage;
    this.#settings = settings;
  }

  /** Sends a request on a free connection, or on the next one that is. */
  dispatch(client: PoolClient): void {
    const pooled = this.#takeIdle();
    if (pooled !== undefined) {
      this.#begin(pooled, client);
      return;
    }
    if (!this.#usage.hasRoomForPending) {
      client.onUpstreamFailure({ kind: 'overflow' });
      return;
    }
    this.#wait(client);
    this.#openForWaiting();
  }

  /** Forgets a request that still waits for a connection. */
  cancel(client: PoolClient): void {
    const at = this.#waiting.indexOf(client);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#usage.pending--;
  }

  drain(): void {
    this.#draining = true;
    for (const { connection } of this.#idle.splice(0)) connection.destroy();
  }

  // ---- owner of connections

  onFree(connection: Http1ClientConnection): void {
    const pooled = this.#all.get(connection);
    if (pooled === undefined) return;
    const isSpent = connection.requests >= this.#settings().maxRequestsPerConnection;
    if (Date.now() < pooled.retireAtMs && !isSpent) this.#use(pooled);
    else connection.destroy(); // onClosed opens another where requests wait
  }

  onClosed(connection: Http1ClientConnection): void {
    const pooled = this.#all.get(connection);
    if (this.#all.delete(connection)) this.#usage.connections--;
    const at = pooled === undefined ? -1 : this.#idle.indexOf(pooled);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#openForWaiting();
    if (this.#all.size > 0) return;
    this.#stopSweeping?.();
    this.#stopSweeping = undefined;
  }

  /** A server may close an idle connection just when it is used again: a request that may be repeated goes out once more (RFC 9110 section 9.2.2). */
  onStale(events: UpstreamEvents): boolean {
    const client = events as PoolClient;
    const { request } = client;
    if (request.framing !== 'none' || !repeatable.has(request.method)) return false;
    this.#wait(client);
    this.#open(); // in place of the one that is gone
    return true;
  }

  // ---- inside

  #wait(client: PoolClient): void {
    this.#waiting.push(client);
    this.#usage.pending++;
  }

  #takeWaiting(): PoolClient | undefined {
    const client = this.#waiting.shift();
    if (client !== undefined) this.#usage.pending--;
    return client;
  }

  /** Opens a connection where a request waits that none is on its way for. An endpoint may always have one. */
  #openForWaiting(): void {
    if (this.#connecting + this.#reserved >= this.#waiting.length) return;
    if (this.#usage.hasRoomForConnection || this.#all.size + this.#connecting === 0) this.#open();
  }

  /** Gives a free connection to a request that waits, also while draining: nobody else would serve it. */
  #use(pooled: Pooled): void {
    if (this.#waiting.length <= this.#reserved) {
      this.#park(pooled);
      return;
    }
    // In a turn of its own: the events of the request before it come first. Who is served is decided then, because a request
    // may give up meanwhile.
    this.#reserved++;
    setImmediate(() => {
      this.#reserved--;
      const client = this.#takeWaiting();
      if (client === undefined) this.#park(pooled);
      else this.#begin(pooled, client);
    });
  }

  #park(pooled: Pooled): void {
    if (this.#draining) {
      pooled.connection.destroy();
      return;
    }
    pooled.idleSinceMs = performance.now();
    this.#idle.push(pooled);
    this.#stopSweeping ??= sweep({ onTick: (nowMs) => this.#closeAged(nowMs) });
  }

  #takeIdle(): Pooled | undefined {
    for (let pooled = this.#idle.pop(); pooled !== undefined; pooled = this.#idle.pop()) {
      if (isUsable(pooled)) return pooled;
      pooled.connection.destroy();
    }
    return undefined;
  }

  #begin(pooled: Pooled, client: PoolClient): void {
    if (!client.isWaiting) {
      this.onFree(pooled.connection);
      return;
    }
    if (!pooled.connection.isIdle) {
      // It ended between being freed and being used. A server that ends a new one would end the next one too.
      if (pooled.connection.wasUsed) this.dispatch(client);
      else client.onUpstreamFailure({ kind: 'connect', reason: 'the connection was closed as soon as it was open' });
      return;
    }
    try {
      client.onConnected(pooled.peer);
      pooled.connection.begin(client);
    } catch (error) {
      pooled.connection.destroy();
      client.onUpstreamFailure({ kind: 'internal', error });
    }
  }

  #open(): void {
    this.#connecting++;
    this.#usage.connections++;
    this.#connect((outcome) => {
      this.#connecting--;
      if (outcome.ok) {
        this.#adopt(outcome.connection);
        return;
      }
      this.#usage.connections--;
      this.#takeWaiting()?.onUpstreamFailure(
        outcome.timedOut ? { kind: 'connect-timeout' } : { kind: 'connect', reason: outcome.reason },
      );
      this.#openForWaiting();
    });
  }

  #adopt({ socket, first, peer, expiresAtMs, reset }: Connected): void {
    const connection = new Http1ClientConnection(socket, this, reset, first);
    const oldestMs = Date.now() + (this.#settings().maxConnectionDurationMs ?? Infinity);
    const retireAtMs = Math.min(expiresAtMs - expiryMarginMs, oldestMs);
    const pooled = { connection, peer, retireAtMs, idleSinceMs: 0 };
    this.#all.set(connection, pooled);
    this.#use(pooled); // even where it retires soon: a new one would retire as soon
  }

  #closeAged(nowMs: number): void {
    const { idleTimeoutMs } = this.#settings();
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const pooled = this.#idle[i]!;
      if (isUsable(pooled) && nowMs - pooled.idleSinceMs < idleTimeoutMs) continue;
      this.#idle.splice(i, 1);
      pooled.connection.destroy();
    }
  }
}

function isUsable({ connection, retireAtMs }: Pooled): boolean {
  return connection.isIdle && performance.now() < connection.usableUntilMs && Date.now() < retireAtMs;
}
