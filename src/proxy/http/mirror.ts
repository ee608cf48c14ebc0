// A copy of a request that is sent to another cluster and whose answer nobody waits for. It never slows the request it copies:
// where its endpoint does not keep up, the copy is given up.
import type { Cluster } from '../cluster/cluster.js';
import type { Endpoint } from '../cluster/endpoint.js';
import type { RelayEnd } from '../tcp/relay.js';
import type { Headers, RequestHead } from './message.js';
import type { HttpPool, PoolClient } from './pool.js';
import type { UpstreamStream } from './streams.js';

/** Bytes of a body that a copy may be behind. */
const mostBehindBytes = 1024 * 1024;
/** How long a copy may take where the route has no timeout. */
const longestMs = 300_000;

export class Mirror implements PoolClient {
  readonly request: RequestHead;
  readonly #cluster: Cluster;
  readonly #endpoint: Endpoint;
  readonly #pool: HttpPool;
  readonly #timer: NodeJS.Timeout;
  #upstream: UpstreamStream | undefined;
  #held: Buffer[] = [];
  #behindBytes = 0;
  #requestEnded = false;
  #trailers: Headers | undefined;
  #over = false;
  resends = 0;

  /** Sends a copy of `request`, whose body and end follow by calls. */
  constructor(request: RequestHead, cluster: Cluster, endpoint: Endpoint, pool: HttpPool, timeoutMs: number) {
    this.request = request;
    this.#cluster = cluster;
    this.#endpoint = endpoint;
    endpoint.active++;
    cluster.usage.requests++;
    this.#timer = setTimeout(() => this.cancel(), timeoutMs > 0 ? timeoutMs : longestMs);
    this.#timer.unref();
    this.#pool = pool;
    this.#pool.dispatch(this);
  }

  get isWaiting(): boolean {
    return !this.#over;
  }

  // ---- from the request that is copied

  sendBody(chunk: Buffer): void {
    if (this.#over) return;
    if (this.#upstream === undefined) this.#held.push(Buffer.from(chunk));
    else if (this.#upstream.sendBody(chunk)) return;
    this.#behindBytes += chunk.length;
    if (this.#behindBytes > mostBehindBytes) this.cancel();
  }

  sendEnd(trailers: Headers | undefined): void {
    this.#requestEnded = true;
    this.#trailers = trailers;
    this.#upstream?.sendEnd(trailers);
  }

  /** Gives the copy up, as when the request it copies is not completed. */
  cancel(): void {
    if (this.#over) return;
    this.#upstream?.cancel();
    this.#pool.cancel(this);
    this.#end();
  }

  get isComplete(): boolean {
    return this.#requestEnded;
  }

  // ---- from its endpoint

  onConnected(): void {
    // who answers is counted by nobody
  }

  onUpstreamReady(stream: UpstreamStream): void {
    this.#upstream = stream;
    this.#behindBytes = 0;
    for (const chunk of this.#held) if (!stream.sendBody(chunk)) this.#behindBytes += chunk.length;
    this.#held = [];
    if (this.#requestEnded) stream.sendEnd(this.#trailers);
  }

  onInformational(): void {
    // dropped as the answer is
  }

  onUpgraded(_head: unknown, { socket }: RelayEnd): void {
    socket.destroy(); // never asked for: copies do not switch
    this.#end();
  }

  onResponseHead(_head: unknown, endsHere: boolean): void {
    if (endsHere) this.#end();
  }

  onResponseBody(): void {
    // dropped
  }

  onResponseEnd(): void {
    this.#end();
  }

  onUpstreamFailure(): void {
    this.#end();
  }

  onUpstreamDrain(): void {
    this.#behindBytes = 0;
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#upstream = undefined;
    this.#held = [];
    this.#endpoint.active--;
    this.#cluster.usage.requests--;
  }
}
