// Connections to one endpoint. What the handshake chose decides how they are used: HTTP/1 carries one request at a time and is
// kept while it is good, HTTP/2 is shared by many. A request that waits takes whichever connection is ready first.
import type { ClusterUsage } from '../cluster/usage.js';
import { connectionLimit } from '../net/connection-limit.js';
import { sweep } from '../net/sweeper.js';
import type { Connected, ConnectOutcome } from '../tls/connector.js';
import type { Party } from '../../telemetry/istio-labels.js';
import { Http1ClientConnection, type ConnectionOwner } from './http1/client-connection.js';
import { Http2ClientConnection, type SharedConnectionOwner } from './http2/client-connection.js';
import type { Http2Limits } from './http2/limits.js';
import { isHttp2Protocol, multiplexProtocol } from './protocol-names.js';
import type { UpstreamEvents } from './streams.js';

/** Before the end of a certificate a connection is no longer used, so that what it carries ends in time. */
const expiryMarginMs = 1000;
/** Bytes that a shared connection has not sent, above which others are preferred and, for want of them, opened. */
const mostQueuedBytes = 512 * 1024;
/** How many waiting requests a new connection is expected to take where it will be shared. */
const sharedBy = 100;
/** How often a request that no server has worked on is sent again by itself. */
const mostResends = 1;

/** A request that wants a connection. */
export interface PoolClient extends UpstreamEvents {
  /** False once the request has ended some other way. */
  readonly isWaiting: boolean;
  /** How often it was sent again because nobody had worked on it. */
  resends: number;
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
  readonly http2: Http2Limits;
}

interface Pooled {
  readonly connection: Http1ClientConnection | Http2ClientConnection;
  readonly peer: Party | undefined;
  retireAtMs: number;
  idleSinceMs: number;
}

const repeatable = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export class HttpPool implements ConnectionOwner, SharedConnectionOwner {
  readonly #connect: (done: (outcome: ConnectOutcome) => void) => () => void;
  readonly #usage: ClusterUsage;
  readonly #settings: () => PoolSettings;
  /** Whether requests are to be sent in HTTP/2, as the cluster says. */
  readonly #isHttp2: boolean;
  /** Whether a handshake tells what connections carry in truth. */
  readonly #isNegotiated: boolean;
  readonly #all = new Map<Http1ClientConnection | Http2ClientConnection, Pooled>();
  /** Connections that carry one request at a time and none now. The last one freed is used first: the others age and can be closed. */
  readonly #idle: Pooled[] = [];
  /** Connections that are shared and take more requests. */
  #shared: Pooled[] = [];
  /** Whether connections are likely to be shared, by what the last one was; the first tells. */
  #expectsSharing: boolean;
  readonly #waiting: PoolClient[] = [];
  #connecting = 0;
  /** Connections that are free and will be given to a request that waits, in a moment. */
  #reserved = 0;
  #isServing = false;
  /** Whether a shared connection has ended that never carried anything. */
  #endedUnused = false;
  #draining = false;
  #stopSweeping: (() => void) | undefined;

  /**
   * @param connect opens one connection and calls back once
   * @param usage counts of the cluster, of which all its pools take
   * @param isHttp2 whether requests are to be sent in HTTP/2, as the cluster says. Requests in HTTP/1 that share a connection
   * between proxies count as a connection each, so that limits mean what they mean elsewhere.
   * @param isNegotiated whether a handshake tells what connections carry in truth
   */
  constructor(
    connect: (done: (outcome: ConnectOutcome) => void) => () => void,
    usage: ClusterUsage,
    settings: () => PoolSettings,
    isHttp2: boolean,
    isNegotiated: boolean,
  ) {
    this.#connect = connect;
    this.#usage = usage;
    this.#settings = settings;
    this.#isHttp2 = isHttp2;
    this.#isNegotiated = isNegotiated;
    this.#expectsSharing = isHttp2 || isNegotiated;
  }

  /** Sends a request on a connection that has room, or on the next one that has. */
  dispatch(client: PoolClient): void {
    const pooled = this.#takeShared() ?? this.#takeIdle();
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
    this.#drainShared(() => true);
  }

  /** No connection that is there takes another request: what vouched for its peer does so no longer. */
  retireConnections(): void {
    for (const pooled of this.#all.values()) pooled.retireAtMs = 0;
    for (const { connection } of this.#idle.splice(0)) connection.destroy();
    this.#drainShared(() => true);
    this.#serveSoon();
  }

  // ---- owner of connections

  onFree(connection: Http1ClientConnection): void {
    const pooled = this.#all.get(connection);
    if (pooled === undefined) return;
    if (Date.now() < pooled.retireAtMs && !this.#isSpent(connection)) this.#use(pooled);
    else connection.destroy(); // onClosed opens another where requests wait
  }

  onChange(connection: Http2ClientConnection): void {
    const pooled = this.#all.get(connection);
    if (pooled === undefined) return;
    if (connection.active === 0) pooled.idleSinceMs = performance.now();
    if (this.#waiting.length > 0) this.#serveSoon();
  }

  onEnded(connection: Http2ClientConnection): void {
    if (!this.#isHttp2) this.#usage.connections--;
    this.onChange(connection);
  }

  onClosed(connection: Http1ClientConnection | Http2ClientConnection): void {
    const pooled = this.#all.get(connection);
    const isCounted = this.#isHttp2 || connection instanceof Http1ClientConnection;
    if (this.#all.delete(connection) && isCounted) this.#usage.connections--;
    const at = pooled === undefined ? -1 : this.#idle.indexOf(pooled);
    if (at >= 0) this.#idle.splice(at, 1);
    if (pooled !== undefined) this.#shared = this.#shared.filter((one) => one !== pooled);
    if (connection instanceof Http2ClientConnection && connection.requests === 0) {
      this.#endedUnused = true;
      this.#serveSoon();
    } else this.#openForWaiting();
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

  /** What no server has worked on goes out again, whatever its method (RFC 9113 section 8.7). */
  onUnprocessed(events: UpstreamEvents): boolean {
    const client = events as PoolClient;
    if (client.resends >= mostResends || !client.isWaiting) return false;
    client.resends++;
    this.#wait(client);
    this.#serveSoon();
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

  #isSpent({ requests }: { readonly requests: number }): boolean {
    return requests >= this.#settings().maxRequestsPerConnection;
  }

  /** Opens connections where requests wait that none is on its way for. An endpoint may always have one. */
  #openForWaiting(): void {
    while (this.#connecting * (this.#expectsSharing ? sharedBy : 1) + this.#reserved < this.#waiting.length) {
      if (!this.#mayHaveMore && this.#all.size + this.#connecting > 0) return;
      this.#open();
    }
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

  /** Gives shared connections to requests that wait, in a turn of its own, and opens another where that is not enough. */
  #serveSoon(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    setImmediate(() => {
      this.#isServing = false;
      this.#serveShared(false);
      this.#giveUpUnused();
      this.#openForWaiting();
      if (this.#draining) this.#drainShared(() => true);
    });
  }

  /** @param evenSlow whether connections are used that do not take what is queued */
  #serveShared(evenSlow: boolean): void {
    while (this.#waiting.length > this.#reserved) {
      const pooled = this.#takeShared(evenSlow);
      if (pooled === undefined) return;
      this.#begin(pooled, this.#takeWaiting()!);
    }
  }

  /** A server that ends connections, or takes no request on them, as soon as they are there, would do so with the next one too. */
  #giveUpUnused(): void {
    const isOfNoUse = ({ connection }: Pooled) =>
      connection.requests === 0 && !(connection as Http2ClientConnection).hasRoomForRequest;
    const failed = this.#endedUnused || this.#shared.some(isOfNoUse);
    this.#endedUnused = false;
    if (!failed) return;
    this.#drainShared(isOfNoUse);
    if (this.#connecting === 0)
      this.#failWaiting({ kind: 'connect', reason: 'the server took no request on a new connection' });
  }

  #park(pooled: Pooled): void {
    if (this.#draining) {
      pooled.connection.destroy();
      return;
    }
    pooled.idleSinceMs = performance.now();
    this.#idle.push(pooled);
    this.#startSweeping();
  }

  #takeIdle(): Pooled | undefined {
    for (let pooled = this.#idle.pop(); pooled !== undefined; pooled = this.#idle.pop()) {
      if (isUsable(pooled)) return pooled;
      pooled.connection.destroy();
    }
    return undefined;
  }

  /** The shared connection that has the least under way and takes one more; undefined where another is to be opened first. */
  #takeShared(evenSlow = false): Pooled | undefined {
    if (!this.#isHttp2 && !this.#usage.hasRoomForConnection && this.#hasWork) return undefined;
    let best: Pooled | undefined;
    let bestLoad = Infinity;
    for (let i = 0; i < this.#shared.length; i++) {
      const pooled = this.#shared[i]!;
      const connection = pooled.connection as Http2ClientConnection;
      if (!connection.hasRoomForRequest) continue;
      const load = connection.queuedBytes;
      if (load >= bestLoad || (load > mostQueuedBytes && !evenSlow && this.#mayOpen)) continue;
      best = pooled;
      bestLoad = load;
    }
    // One that has carried nothing yet is used even where it retires soon: a new one would retire as soon.
    if (best === undefined || best.connection.requests === 0 || Date.now() < best.retireAtMs) return best;
    this.#drainShared((pooled) => pooled === best);
    return this.#takeShared(evenSlow);
  }

  /** Whether a shared connection carries a request. */
  get #hasWork(): boolean {
    return this.#shared.some(({ connection }) => (connection as Http2ClientConnection).active > 0);
  }

  /** Whether one more connection may be opened. */
  get #mayOpen(): boolean {
    return this.#connecting === 0 && this.#mayHaveMore;
  }

  /** Whether the cluster, and the process, may have more connections than there are. */
  get #mayHaveMore(): boolean {
    return this.#usage.hasRoomForConnection && connectionLimit.hasRoomOnward;
  }

  #drainShared(which: (pooled: Pooled) => boolean): void {
    const leaving = this.#shared.filter(which);
    this.#shared = this.#shared.filter((pooled) => !which(pooled));
    for (const { connection } of leaving) (connection as Http2ClientConnection).drain();
  }

  #begin(pooled: Pooled, client: PoolClient): void {
    const { connection } = pooled;
    const isShared = connection instanceof Http2ClientConnection;
    if (!client.isWaiting) {
      if (!isShared) this.onFree(connection);
      return;
    }
    if (!isShared && !connection.isIdle) {
      // It ended between being freed and being used. A server that ends a new one would end the next one too.
      if (connection.wasUsed) this.dispatch(client);
      else client.onUpstreamFailure({ kind: 'connect', reason: 'the connection was closed as soon as it was open' });
      return;
    }
    try {
      client.onConnected(pooled.peer);
      if (isShared && !this.#isHttp2) this.#usage.connections++;
      connection.begin(client);
      if (isShared && this.#isSpent(connection)) this.#drainShared((one) => one === pooled);
    } catch (error) {
      // On a shared connection nothing else is at fault: its stream goes with the failed request.
      if (!isShared) connection.destroy();
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
      this.#serveShared(true);
      this.#failWaiting(outcome.timedOut ? { kind: 'connect-timeout' } : { kind: 'connect', reason: outcome.reason });
      this.#openForWaiting();
    });
  }

  /** A connection could not be opened: all fail that it would have served. */
  #failWaiting(failure: Parameters<PoolClient['onUpstreamFailure']>[0]): void {
    const count = this.#expectsSharing ? Math.min(sharedBy, this.#waiting.length) : 1;
    const failed = Array.from({ length: count }, () => this.#takeWaiting());
    for (const client of failed) client?.onUpstreamFailure(failure);
  }

  #adopt(connected: Connected): void {
    const { peer, expiresAtMs, protocol } = connected;
    // A server that carries bytes chooses a name for those, or none: what the cluster says is spoken then.
    this.#expectsSharing = this.#isHttp2 || (this.#isNegotiated && isHttp2Protocol(protocol));
    const { maxConnectionDurationMs, http2: limits } = this.#settings();
    const oldestMs = Date.now() + (maxConnectionDurationMs ?? Infinity);
    const retireAtMs = Math.min(expiresAtMs - expiryMarginMs, oldestMs);
    const { socket, reset, first } = connected;
    if (!this.#expectsSharing) {
      const connection = new Http1ClientConnection(socket, this, reset, first);
      const pooled = { connection, peer, retireAtMs, idleSinceMs: 0 };
      this.#all.set(connection, pooled);
      this.#use(pooled); // even where it retires soon: a new one would retire as soon
      this.#openForWaiting(); // of those that were to share it
      return;
    }
    const carries = protocol === multiplexProtocol;
    const connection = new Http2ClientConnection(socket, this, { limits, carries }, first);
    const pooled = { connection, peer, retireAtMs, idleSinceMs: performance.now() };
    if (!this.#isHttp2) this.#usage.connections--; // the requests on it count instead
    this.#all.set(connection, pooled);
    this.#shared.push(pooled);
    this.#startSweeping();
    this.#serveSoon();
  }

  #startSweeping(): void {
    this.#stopSweeping ??= sweep({ onTick: (nowMs) => this.#closeAged(nowMs) });
  }

  #closeAged(nowMs: number): void {
    const { idleTimeoutMs } = this.#settings();
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const pooled = this.#idle[i]!;
      if (isUsable(pooled) && nowMs - pooled.idleSinceMs < idleTimeoutMs) continue;
      this.#idle.splice(i, 1);
      pooled.connection.destroy();
    }
    const nowWallMs = Date.now();
    this.#drainShared(({ connection, idleSinceMs, retireAtMs }) => {
      const shared = connection as Http2ClientConnection;
      const isAged = shared.active === 0 && (nowMs - idleSinceMs >= idleTimeoutMs || !shared.hasRoomForRequest);
      return isAged || shared.isClosing || nowWallMs >= retireAtMs;
    });
  }
}

function isUsable({ connection, retireAtMs }: Pooled): boolean {
  return (
    connection instanceof Http1ClientConnection &&
    connection.isIdle &&
    performance.now() < connection.usableUntilMs &&
    Date.now() < retireAtMs
  );
}
