// What takes the requests of a connection, whatever version of HTTP it speaks, and the limits that hold for callers.
import type { HeadLimits } from './http1/head.js';
import type { HttpVersion, RequestHead } from './message.js';
import type { DownstreamEvents, DownstreamStream } from './streams.js';

export interface ServerLimits extends HeadLimits {
  /** For a head to arrive, from its first byte. */
  readonly headTimeoutMs: number;
  /** Without a request. */
  readonly idleTimeoutMs: number;
  /** Within a request, without a byte in either direction. */
  readonly streamIdleTimeoutMs: number;
}

/** Takes requests from connections. */
export interface RequestHandler {
  readonly limits: ServerLimits;
  /** A request begins; the result receives the rest of it once `begin` was called. */
  createExchange(
    stream: DownstreamStream,
    head: RequestHead,
  ): DownstreamEvents & { begin(): void; onStreamIdle(): void };
  /** Something came that is not a request; the connection answers with `status`, or ends what came. */
  onMalformed(status: number, reason: string, version: HttpVersion): void;
}
