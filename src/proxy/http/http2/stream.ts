// One request and its answer on an HTTP/2 connection, as both sides see it: what has ended, what may still be sent, and what the
// peer may still send before somebody takes it (RFC 9113 sections 5.1 and 5.2).
import type { Headers } from '../message.js';
import type { HeaderBlock, Http2Connection } from './connection.js';
import { errorCode, type ErrorCode } from './frames.js';

export abstract class Http2Stream {
  readonly id: number;
  protected readonly connection: Http2Connection;
  /** Bytes that the peer lets us send; below 0 where it changed its mind. */
  sendWindow: number;
  /** Bytes received for which no credit was returned. */
  #owedBytes = 0;
  #isPaused = false;
  /** Body that waits for the windows, and the end behind it. */
  #pending: Buffer[] = [];
  #pendingEnd: { readonly trailers: Headers | undefined } | undefined;
  #wantsDrain = false;
  #localEnded = false;
  #remoteEnded = false;
  #isClosed = false;
  /** Content-Length that the peer announced; -1: none. */
  #expectedBytes = -1;
  #bodyBytes = 0;
  /** Monotonic time of the last byte in either direction. */
  lastActivityMs: number;

  constructor(id: number, connection: Http2Connection, sendWindow: number) {
    this.id = id;
    this.connection = connection;
    this.sendWindow = sendWindow;
    this.lastActivityMs = connection.nowMs;
  }

  // ---- what the sides do with events; after `onGone` none comes

  protected abstract onBody(chunk: Buffer): void;
  /** The peer's side is complete. */
  protected abstract onEnd(trailers: Headers | undefined): void;
  /** The peer, or the whole connection, ended the stream before its time. */
  protected abstract onGone(code: ErrorCode, reason: string): void;
  /** There is room for more body. */
  protected abstract onDrain(): void;
  /** Nothing moved for too long. */
  abstract onIdle(): void;
  /** Our own code threw. */
  abstract onCrash(error: unknown): void;
  /** Both sides have ended in order. */
  protected abstract onDone(): void;
  /** A header block came: trailers, or on our own streams a response. */
  abstract onBlock(block: HeaderBlock): void;

  get localEnded(): boolean {
    return this.#localEnded;
  }

  get remoteEnded(): boolean {
    return this.#remoteEnded;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether everything has been said that we send, and the windows keep a part of it back. */
  protected get isEnding(): boolean {
    return this.#pendingEnd !== undefined;
  }

  // ---- sending

  /** Sends a part of the body; false asks to wait until there is room. */
  sendBody(chunk: Buffer): boolean {
    if (this.#isClosed || this.#localEnded) return true;
    this.lastActivityMs = this.connection.nowMs;
    const sent = this.#pending.length === 0 ? this.connection.writeData(this, chunk) : 0;
    if (sent < chunk.length) this.#pending.push(Buffer.from(chunk.subarray(sent)));
    if (this.#pending.length === 0 && this.#hasRoom) return true;
    this.#wantsDrain = true;
    if (this.#pending.length === 0) this.connection.awaitDrain(this);
    return false;
  }

  get #hasRoom(): boolean {
    return this.connection.hasRoom && this.connection.hasWindow(this);
  }

  sendEnd(trailers: Headers | undefined): void {
    if (this.#isClosed || this.#localEnded) return;
    if (this.#pending.length > 0) this.#pendingEnd = { trailers };
    else this.#endNow(trailers);
  }

  /** The head that was sent was everything. */
  protected markLocalEnd(): void {
    this.#localEnded = true;
    this.#finishIfDone();
  }

  #endNow(trailers: Headers | undefined): void {
    this.connection.writeEnd(this.id, trailers);
    this.markLocalEnd();
  }

  /** The windows have opened: sends what waits. They open after the end too: the peer returns credit for what it has. */
  sendPending(): void {
    if (this.#isClosed || this.#localEnded) return;
    while (this.#pending.length > 0) {
      const [chunk] = this.#pending;
      const sent = this.connection.writeData(this, chunk!);
      if (sent > 0) this.lastActivityMs = this.connection.nowMs;
      if (sent < chunk!.length) {
        this.#pending[0] = chunk!.subarray(sent);
        return;
      }
      this.#pending.shift();
    }
    if (this.#pendingEnd !== undefined) this.#endNow(this.#pendingEnd.trailers);
    else if (this.#wantsDrain) this.tellDrain();
  }

  /** Tells whoever produces the body that there is room, if there is. */
  tellDrain(): void {
    if (!this.#wantsDrain || this.#pending.length > 0 || this.#isClosed) return;
    if (!this.#hasRoom) {
      this.connection.awaitDrain(this);
      return;
    }
    this.#wantsDrain = false;
    this.onDrain();
  }

  // ---- receiving

  /** Stops and restarts the return of credit: what is on its way still comes, bounded by the window. */
  pauseBody(): void {
    this.#isPaused = true;
  }

  resumeBody(): void {
    this.#isPaused = false;
    this.#returnCredit();
  }

  protected expectBytes(contentLength: number): void {
    this.#expectedBytes = contentLength;
  }

  /** A part of the body has come. */
  receive(chunk: Buffer, flowBytes: number, endStream: boolean): void {
    if (this.#remoteEnded) {
      this.fail(errorCode.streamClosed, 'DATA after the end of the stream');
      return;
    }
    this.#owedBytes += flowBytes;
    this.#bodyBytes += chunk.length;
    if (this.#owedBytes > this.connection.streamWindow) {
      this.fail(errorCode.flowControlError, 'more body than the window allows');
      return;
    }
    if (this.#expectedBytes >= 0 && this.#bodyBytes > this.#expectedBytes) {
      this.fail(errorCode.protocolError, 'more body than Content-Length says');
      return;
    }
    this.lastActivityMs = this.connection.nowMs;
    if (chunk.length > 0) this.onBody(chunk);
    if (endStream) this.receiveEnd(undefined);
    else if (!this.#isPaused) this.#returnCredit();
  }

  receiveEnd(trailers: Headers | undefined): void {
    if (this.#isClosed) return;
    if (this.#expectedBytes > 0 && this.#bodyBytes !== this.#expectedBytes) {
      this.fail(errorCode.protocolError, 'less body than Content-Length says');
      return;
    }
    this.#remoteEnded = true;
    this.onEnd(trailers);
    this.#finishIfDone();
  }

  /** The peer's head was everything; whoever begins the stream tells that itself. */
  protected markRemoteEnd(): void {
    this.#remoteEnded = true;
    this.#finishIfDone();
  }

  #returnCredit(): void {
    if (this.#remoteEnded || this.#isClosed || this.#owedBytes * 2 < this.connection.streamWindow) return;
    this.connection.returnCredit(this.id, this.#owedBytes);
    this.#owedBytes = 0;
  }

  // ---- the end

  /** The peer broke the rules of this stream. */
  fail(code: ErrorCode, reason: string): void {
    if (this.#isClosed) return;
    this.connection.countFault();
    this.reset(code);
    this.onGone(code, reason);
  }

  /** Ends the stream from our side; no event follows. */
  reset(code: ErrorCode): void {
    if (this.#isClosed) return;
    this.connection.writeReset(this.id, code);
    this.#close();
  }

  /** The peer reset the stream, or the connection is over. */
  gone(code: ErrorCode, reason: string): void {
    if (this.#isClosed) return;
    this.#close();
    this.onGone(code, reason);
  }

  #finishIfDone(): void {
    if (this.#isClosed || !this.#localEnded || !this.#remoteEnded) return;
    this.#close();
    this.onDone();
  }

  #close(): void {
    this.#isClosed = true;
    this.#pending = [];
    this.#pendingEnd = undefined;
    this.connection.forget(this);
  }
}
