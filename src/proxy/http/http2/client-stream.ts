// A request on an HTTP/2 connection to a server, as the server's side of an exchange.
import type { Socket } from 'node:net';
import type { Headers, RequestHead, ResponseHead } from '../message.js';
import type { UpstreamEvents, UpstreamFailure, UpstreamStream } from '../streams.js';
import type { Http2ClientConnection } from './client-connection.js';
import type { HeaderBlock } from './connection.js';
import { errorCode, StreamError, type ErrorCode } from './frames.js';
import { readResponseHead, readTrailers, takeUnswitched } from './heads.js';
import { Http2Stream } from './stream.js';
import { StreamTunnel } from './stream-tunnel.js';

/** Interim responses that are passed on for one request. */
const mostInformational = 16;

export class Http2ClientStream extends Http2Stream implements UpstreamStream {
  declare protected readonly connection: Http2ClientConnection;
  #events: UpstreamEvents | undefined;
  readonly #method: string;
  readonly #upgrade: string | undefined;
  readonly #begunMs: number;
  #hasResponse = false;
  #informational = 0;
  #tunnel: StreamTunnel | undefined;
  /** Whether the server may be sure not to have worked on it. */
  isUnprocessed = false;

  constructor(id: number, connection: Http2ClientConnection, sendWindow: number, events: UpstreamEvents) {
    super(id, connection, sendWindow);
    this.#events = events;
    this.#begunMs = connection.nowMs;
    this.#method = events.request.method;
    this.#upgrade = events.request.upgrade;
  }

  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }

  get localAddress(): string {
    return this.connection.localAddress;
  }

  // ---- to the server

  /** The head that was sent has ended the stream. */
  markHeadAll(): void {
    this.markLocalEnd();
  }

  override sendEnd(trailers: Headers | undefined): void {
    // What asks for a tunnel goes on after its head: nothing of it ends before the server has answered.
    if (this.#upgrade === undefined) super.sendEnd(trailers);
  }

  /** Gives up: no more events come. */
  cancel(): void {
    this.#events = undefined;
    if (!this.#hasResponse) this.connection.onGivenUp(this.#begunMs);
    this.reset(errorCode.cancel);
  }

  // ---- from the server

  override onBlock({ fields, listBytes, isTooLarge, endStream, secrets }: HeaderBlock): void {
    if (this.remoteEnded) throw new StreamError(errorCode.streamClosed, 'HEADERS after the end of the stream');
    if (isTooLarge) throw new StreamError(errorCode.enhanceYourCalm, 'the head of the response is too long');
    if (this.#hasResponse) {
      if (!endStream) throw new StreamError(errorCode.protocolError, 'trailers do not end the stream');
      this.receiveEnd(readTrailers(fields));
      return;
    }
    const isUnswitched = this.#upgrade !== undefined && this.connection.carries && takeUnswitched(fields);
    const read = readResponseHead(fields, listBytes, this.#method, endStream);
    const head = secrets.length === 0 ? read : { ...read, secrets };
    this.lastActivityMs = this.connection.nowMs;
    if (head.status < 200) this.#onInformational(head, endStream);
    else if (this.#upgrade !== undefined && head.status < 300 && !endStream && !isUnswitched)
      this.#onSwitch(head, this.#upgrade);
    else this.#onResponse(head, endStream);
  }

  #onInformational(head: ResponseHead, endStream: boolean): void {
    if (endStream || ++this.#informational > mostInformational)
      throw new StreamError(errorCode.protocolError, 'an interim response is the last, or one too many');
    this.#events?.onInformational(head);
  }

  #onResponse(head: ResponseHead, endStream: boolean): void {
    this.#hasResponse = true;
    this.expectBytes(head.framing === 'none' ? 0 : head.contentLength);
    if (!endStream) {
      this.#events?.onResponseHead(head, false);
      return;
    }
    this.markRemoteEnd();
    this.#stopRequest();
    this.#tellLast((events) => events.onResponseHead(head, true));
  }

  /** The answer is complete: whatever of the request was not sent is not wanted any more. */
  #stopRequest(): void {
    if (!this.localEnded) this.reset(errorCode.noError);
  }

  /** Tells the last event that there is. What throws there is told as the failure of this request, and costs no other. */
  #tellLast(tell: (events: UpstreamEvents) => void): void {
    const events = this.#events;
    this.#events = undefined;
    if (events === undefined) return;
    try {
      tell(events);
    } catch (error) {
      this.reset(errorCode.internalError);
      events.onUpstreamFailure({ kind: 'internal', error });
    }
  }

  #onSwitch(head: ResponseHead, upgrade: string): void {
    this.#hasResponse = true;
    const tunnel = new StreamTunnel(
      {
        sendBody: (chunk) => this.sendBody(chunk),
        sendEnd: () => super.sendEnd(undefined),
        pauseBody: () => this.pauseBody(),
        resumeBody: () => this.resumeBody(),
        cancel: () => this.reset(errorCode.cancel),
      },
      this.connection.addresses,
    );
    this.#tunnel = tunnel;
    this.#tellLast((events) =>
      events.onUpgraded(
        { ...head, status: 101, framing: 'none', upgrade },
        { socket: tunnel as unknown as Socket, first: undefined, reset: () => tunnel.resetAndDestroy() },
      ),
    );
  }

  protected override onBody(chunk: Buffer): void {
    if (this.#tunnel !== undefined) this.#tunnel.receive(chunk);
    else if (!this.#hasResponse) throw new StreamError(errorCode.protocolError, 'DATA before the head of the response');
    else this.#events?.onResponseBody(chunk);
  }

  protected override onEnd(trailers: Headers | undefined): void {
    if (this.#tunnel !== undefined) {
      this.#tunnel.receiveEnd();
      return;
    }
    if (!this.#hasResponse) throw new StreamError(errorCode.protocolError, 'the response has no head');
    this.#stopRequest();
    this.#tellLast((events) => events.onResponseEnd(trailers));
  }

  protected override onGone(code: ErrorCode, reason: string): void {
    this.#tunnel?.gone(reason);
    const isRefused = this.isUnprocessed || code === errorCode.refusedStream;
    this.#tellLast((events) => {
      if (isRefused && !this.#hasResponse && this.connection.sendsElsewhere(events)) return;
      events.onUpstreamFailure(failureOf(code, reason, isRefused));
    });
  }

  protected override onDrain(): void {
    if (this.#tunnel !== undefined) this.#tunnel.room();
    else this.#events?.onUpstreamDrain();
  }

  protected override onDone(): void {
    this.#tunnel?.done();
  }

  override onIdle(): void {
    // the caller's side has the same clock and ends both
  }

  override onCrash(error: unknown): void {
    const events = this.#events;
    this.#events = undefined;
    this.reset(errorCode.internalError);
    if (events === undefined) throw error;
    events.onUpstreamFailure({ kind: 'internal', error });
  }
}

function failureOf(code: ErrorCode, reason: string, isRefused: boolean): UpstreamFailure {
  if (isRefused) return { kind: 'refused' };
  switch (code) {
    case errorCode.protocolError:
    case errorCode.streamClosed:
    case errorCode.flowControlError:
    case errorCode.frameSizeError:
    case errorCode.compressionError:
    case errorCode.enhanceYourCalm:
      return { kind: 'protocol', reason };
    case errorCode.connectError:
      return { kind: 'lost', reset: false };
    default:
      return { kind: 'reset' };
  }
}

/** Whether a request may be sent once more without asking anybody: nothing of it is lost with the stream. */
export function isWhole({ framing, upgrade }: RequestHead): boolean {
  return framing === 'none' && upgrade === undefined;
}
