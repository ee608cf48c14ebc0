// The two ends of an exchange, so that what lies between knows nothing of the HTTP version on either side.
import type { RelayEnd } from '../tcp/relay.js';
import type { Headers, RequestHead, ResponseHead } from './message.js';

/** The caller's side: where the request comes from and the response goes. */
export interface DownstreamStream {
  /** Passes on an interim response (1xx). */
  sendInformational(head: ResponseHead): void;
  /**
   * Begins the response; it is complete where `endsHere`.
   * @returns bytes of the head on the wire
   */
  sendHead(head: ResponseHead, endsHere: boolean): number;
  /** Sends a part of the body, which is good only during the call; false asks to wait for `onDownstreamDrain`. */
  sendBody(chunk: Buffer): boolean;
  sendEnd(trailers: Headers | undefined): void;
  /** Breaks off a response that cannot be completed: the caller must not take it for whole. */
  abort(): void;
  /** Stops and restarts the delivery of the request's body. */
  pauseBody(): void;
  resumeBody(): void;
  /** Answers a CONNECT with 200 and gives up the connection: from here on it carries bytes. */
  openTunnel(): Tunnel;
  /** Answers with 101: from here on the connection carries bytes, and ends with them. */
  switchProtocols(head: ResponseHead): Tunnel;
}

/** What carried a request and is now open for anything: a connection, or a stream of one. */
export type Tunnel = RelayEnd;

/** The server's side: where the request goes and the response comes from. */
export interface UpstreamStream {
  /** Sends a part of the request's body, which is good only during the call; false asks to wait for `onUpstreamDrain`. */
  sendBody(chunk: Buffer): boolean;
  sendEnd(trailers: Headers | undefined): void;
  /** Gives up: no more events come. */
  cancel(): void;
  pauseBody(): void;
  resumeBody(): void;
  readonly remoteAddress: string;
  readonly localAddress: string;
}

/** Why an upstream could not answer. */
export type UpstreamFailure =
  | { readonly kind: 'connect'; readonly reason: string }
  | { readonly kind: 'connect-timeout' }
  /** No connection may be opened and none may be waited for. */
  | { readonly kind: 'overflow' }
  /** The server says that it has not worked on the request. */
  | { readonly kind: 'refused' }
  /** The server gave up the request and kept the connection. */
  | { readonly kind: 'reset' }
  /** Connection lost before the response was complete; `reset` where it was not closed in order. */
  | { readonly kind: 'lost'; readonly reset: boolean }
  /** What came was not HTTP. */
  | { readonly kind: 'protocol'; readonly reason: string }
  /** Our own code threw. */
  | { readonly kind: 'internal'; readonly error: unknown };

/** Events from the server's side. */
export interface UpstreamEvents {
  readonly request: RequestHead;
  onUpstreamReady(stream: UpstreamStream): void;
  onInformational(head: ResponseHead): void;
  /** The server switches protocols: its connection carries bytes from here on. */
  onUpgraded(head: ResponseHead, tunnel: RelayEnd): void;
  onResponseHead(head: ResponseHead, endsHere: boolean): void;
  /** @param chunk good only during the call */
  onResponseBody(chunk: Buffer): void;
  onResponseEnd(trailers: Headers | undefined): void;
  onUpstreamFailure(failure: UpstreamFailure): void;
  onUpstreamDrain(): void;
}

/** Events from the caller's side. */
export interface DownstreamEvents {
  /** @param chunk good only during the call */
  onRequestBody(chunk: Buffer): void;
  onRequestEnd(trailers: Headers | undefined): void;
  /**
   * The caller is gone; nothing can be sent to it any more.
   * @param refusedWith status that the connection answered on its own, where the rest of the request was malformed
   */
  onDownstreamGone(refusedWith?: number): void;
  onDownstreamDrain(): void;
  /** Our own code threw while it handled what the caller sent. */
  onInternalError(error: unknown): void;
}
