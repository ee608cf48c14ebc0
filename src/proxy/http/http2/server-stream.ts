// A request on an HTTP/2 connection, as the caller's side of an exchange.
import type { Socket } from 'node:net';
import type { Headers, RequestHead, ResponseHead } from '../message.js';
import type { RequestHandler } from '../request-handler.js';
import type { DownstreamStream, Tunnel } from '../streams.js';
import type { HeaderBlock } from './connection.js';
import { errorCode, StreamError } from './frames.js';
import { readTrailers } from './heads.js';
import type { Http2ServerConnection } from './server-connection.js';
import { Http2Stream } from './stream.js';
import { StreamTunnel } from './stream-tunnel.js';

export class Http2ServerStream extends Http2Stream implements DownstreamStream {
  declare protected readonly connection: Http2ServerConnection;
  #exchange: ReturnType<RequestHandler['createExchange']> | undefined;
  /** Whether the request asks for a tunnel: what follows its head are bytes for the other end, whatever becomes of it. */
  #asksForTunnel = false;
  #asksForSwitch = false;
  #responseBegun = false;
  #tunnel: StreamTunnel | undefined;
  /** Bytes for a tunnel that is not open yet. */
  #early: Buffer[] = [];

  begin(request: RequestHead, endStream: boolean): void {
    this.#asksForSwitch = request.upgrade !== undefined;
    this.#asksForTunnel = this.#asksForSwitch || request.method === 'CONNECT';
    this.expectBytes(request.contentLength);
    if (endStream) this.markRemoteEnd();
    const exchange = this.connection.handler.createExchange(this, request);
    this.#exchange = exchange;
    exchange.begin();
    if ((endStream || this.#asksForTunnel) && this.#exchange === exchange) exchange.onRequestEnd(undefined);
  }

  /** Answers what is not a request. */
  refuse(status: number, endStream: boolean): void {
    if (endStream) this.markRemoteEnd();
    this.writeHead({ status, headers: [], framing: 'none', contentLength: 0, headBytes: 0 }, true);
  }

  // ---- from the caller

  override onBlock({ fields, isTooLarge, endStream }: HeaderBlock): void {
    if (this.remoteEnded) throw new StreamError(errorCode.streamClosed, 'HEADERS after the end of the stream');
    if (!endStream) throw new StreamError(errorCode.protocolError, 'trailers do not end the stream');
    if (isTooLarge) throw new StreamError(errorCode.enhanceYourCalm, 'the trailers are too long');
    this.receiveEnd(readTrailers(fields));
  }

  protected override onBody(chunk: Buffer): void {
    if (this.#tunnel !== undefined) this.#tunnel.receive(chunk);
    else if (this.#exchange === undefined) return;
    else if (this.#asksForTunnel) {
      this.#early.push(Buffer.from(chunk));
      this.pauseBody();
    } else this.#exchange.onRequestBody(chunk);
  }

  protected override onEnd(trailers: Headers | undefined): void {
    if (this.#tunnel !== undefined) this.#tunnel.receiveEnd();
    else if (!this.#asksForTunnel) this.#exchange?.onRequestEnd(trailers);
  }

  protected override onGone(_code: number, reason: string): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#tunnel?.gone(reason);
    exchange?.onDownstreamGone();
  }

  protected override onDrain(): void {
    if (this.#tunnel !== undefined) this.#tunnel.room();
    else this.#exchange?.onDownstreamDrain();
  }

  protected override onDone(): void {
    this.#tunnel?.done();
  }

  override onIdle(): void {
    if (this.isEnding) this.abort(); // the exchange is complete, and its caller does not take what is left
    else this.#exchange?.onStreamIdle(); // whoever joins a tunnel bounds its idleness
  }

  override onCrash(error: unknown): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      this.reset(errorCode.internalError);
      throw error;
    }
    exchange.onInternalError(error);
    if (this.#exchange === exchange) this.abort();
  }

  // ---- to the caller

  sendInformational(head: ResponseHead): void {
    if (this.isClosed || this.#responseBegun) return;
    this.connection.writeHead(this.id, head, false);
  }

  sendHead(head: ResponseHead, endsHere: boolean): number {
    this.#responseBegun = true;
    return this.writeHead(head, endsHere);
  }

  protected writeHead(head: ResponseHead, endsHere: boolean): number {
    if (this.isClosed) return 0;
    this.lastActivityMs = this.connection.nowMs;
    const isUnswitched = this.#asksForSwitch && head.status < 300;
    const bytes = isUnswitched
      ? this.connection.writeUnswitchedHead(this.id, head, endsHere)
      : this.connection.writeHead(this.id, head, endsHere);
    if (endsHere) this.markLocalEnd();
    return bytes;
  }

  protected override markLocalEnd(): void {
    this.#exchange = undefined;
    super.markLocalEnd();
    // An answer before the end of the request: the rest is not worth sending (section 8.1).
    if (!this.remoteEnded && this.#tunnel === undefined) this.reset(errorCode.noError);
  }

  abort(): void {
    this.#exchange = undefined;
    this.reset(errorCode.internalError);
  }

  openTunnel(): Tunnel {
    return this.#tunnelWith({ status: 200, headers: [], framing: 'chunked', contentLength: -1, headBytes: 0 });
  }

  switchProtocols(head: ResponseHead): Tunnel {
    return this.#tunnelWith({ ...head, status: 200, framing: 'chunked', contentLength: -1 });
  }

  #tunnelWith(head: ResponseHead): Tunnel {
    this.#responseBegun = true;
    this.#exchange = undefined;
    this.connection.writeHead(this.id, head, false);
    const first = this.#early.length === 0 ? undefined : Buffer.concat(this.#early);
    this.#early = [];
    const tunnel = new StreamTunnel(
      {
        sendBody: (chunk) => this.sendBody(chunk),
        sendEnd: () => this.sendEnd(undefined),
        pauseBody: () => this.pauseBody(),
        resumeBody: () => this.resumeBody(),
        cancel: () => this.reset(errorCode.cancel),
      },
      this.connection.addresses,
    );
    this.#tunnel = tunnel;
    if (this.remoteEnded) tunnel.receiveEnd();
    this.resumeBody();
    return { socket: tunnel as unknown as Socket, first, reset: () => tunnel.resetAndDestroy() };
  }
}
