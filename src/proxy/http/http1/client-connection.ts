// One HTTP/1 connection to a server, carrying one request at a time. It goes back to its pool only after a message that was
// complete on both sides; a byte that nobody asked for ends it, so that it can never be taken for somebody else's answer.
import type { Socket } from 'node:net';
import { readBorrowed } from '../../net/direct-reads.js';
import { Outbox } from '../../net/outbox.js';
import { wasReset } from '../../net/reset-socket.js';
import type { Headers, ResponseHead } from '../message.js';
import type { UpstreamEvents, UpstreamFailure, UpstreamStream } from '../streams.js';
import { BodyDecoder, type BodySink } from './body-decoder.js';
import {
  checkLineEnds,
  formatRequestHead,
  formatTrailers,
  formatUpgrade,
  HttpSyntaxError,
  parseResponseHead,
  type HeadLimits,
} from './head.js';

/** Bounds of a response's head: servers of the mesh may send more than callers. */
const responseLimits: HeadLimits = { bytes: 256 * 1024, fields: 1000 };
/** Interim responses that are passed on for one request. */
const mostInformational = 16;
/** How long before the server's own idle timeout a connection is no longer used: its FIN may be on the way. */
const idleMarginMs = 1000;
/** How long after the server's end its reset may come: it is the answer of its kernel to bytes that were under way. */
const resetWithinMs = 5;
const emptyLine = Buffer.from('\r\n\r\n');

/** What keeps the connection while it is idle. */
export interface ConnectionOwner {
  /** The connection is free for the next request. */
  onFree(connection: Http1ClientConnection): void;
  onClosed(connection: Http1ClientConnection): void;
  /** The connection was closed before the server saw a request that reused it; true where the owner sends it again. */
  onStale(events: UpstreamEvents): boolean;
}

/** A whole answer, before its last event is told: the head where that is all, else what followed the body. */
interface CompleteAnswer {
  readonly events: UpstreamEvents;
  readonly head?: ResponseHead;
  readonly trailers?: Headers | undefined;
}

export class Http1ClientConnection implements UpstreamStream, BodySink {
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly #socket: Socket;
  readonly #reset: () => void;
  readonly #stopReading: () => void;
  readonly #outbox: Outbox;
  readonly #owner: ConnectionOwner;
  readonly #decoder = new BodyDecoder(responseLimits);

  #events: UpstreamEvents | undefined;
  #held: Buffer | undefined;
  #requestDone = false;
  #requestChunked = false;
  #inBody = false;
  /** Bytes of a head that is not complete that have been looked at. */
  #headChecked = 0;
  #keepAlive = false;
  #informational = 0;
  #requests = 0;
  #answered = false;
  #ended = false;
  /** Set while the last bytes of an answer are looked at. */
  #complete: CompleteAnswer | undefined;
  /** Monotonic time after which an idle connection is not used any more. */
  usableUntilMs = Infinity;
  #resetTimer: NodeJS.Timeout | undefined;

  /** @param reset ends the connection so that the server cannot take it for an orderly end */
  constructor(socket: Socket, owner: ConnectionOwner, reset: () => void, first?: Buffer) {
    this.#socket = socket;
    this.#reset = reset;
    this.#outbox = new Outbox(socket);
    this.#owner = owner;
    this.remoteAddress = `${socket.remoteAddress}:${socket.remotePort}`;
    this.localAddress = `${socket.localAddress}:${socket.localPort}`;
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    socket.on('drain', () => this.#events?.onUpstreamDrain());
    if (first !== undefined && first.length > 0) this.#onData(first, false);
    this.#stopReading = readBorrowed(socket, (bytes, isBorrowed) => {
      this.#onData(bytes, isBorrowed);
      return true;
    });
    socket.resume(); // whoever opened it had paused it
    if (socket.readableEnded) socket.destroy(); // it ended before anybody listened
  }

  /** Whether a request may begin. False as soon as the end is known: `close` comes later in the turn, after other requests. */
  get isIdle(): boolean {
    return this.#events === undefined && !this.#socket.destroyed;
  }

  /** Whether it ever carried a request. */
  get wasUsed(): boolean {
    return this.#requests > 0;
  }

  /** Requests that it has carried. */
  get requests(): number {
    return this.#requests;
  }

  /** Sends the head of a request; body and answer follow by events. */
  begin(events: UpstreamEvents): void {
    const { request } = events;
    this.#events = events;
    this.#requestDone = false;
    this.#requestChunked = request.framing === 'chunked';
    this.#inBody = false;
    this.#answered = false;
    this.#informational = 0;
    this.#requests++;
    const framing = this.#requestChunked
      ? 'transfer-encoding: chunked\r\n'
      : request.contentLength >= 0
        ? `content-length: ${request.contentLength}\r\n`
        : request.upgrade !== undefined
          ? formatUpgrade(request.upgrade)
          : '';
    this.#outbox.text(formatRequestHead(request, framing));
    events.onUpstreamReady(this);
  }

  sendBody(chunk: Buffer): boolean {
    if (chunk.length > 0) {
      if (this.#requestChunked) this.#outbox.text(`${chunk.length.toString(16)}\r\n`);
      this.#outbox.bytes(chunk);
      if (this.#requestChunked) this.#outbox.text('\r\n');
    }
    return this.#outbox.hasRoom;
  }

  sendEnd(trailers: Headers | undefined): void {
    this.#requestDone = true;
    if (this.#requestChunked) this.#outbox.text(`0\r\n${formatTrailers(trailers)}\r\n`);
  }

  cancel(): void {
    this.#events = undefined;
    this.#socket.destroy();
  }

  pauseBody(): void {
    this.#socket.pause();
  }

  resumeBody(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onData(chunk: Buffer, isBorrowed: boolean): void {
    if (this.#events === undefined) {
      this.#socket.destroy();
      return;
    }
    this.#answered = true;
    let bytes: Buffer | undefined = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = undefined;
    try {
      while (bytes !== undefined && this.#events !== undefined) {
        const used: number = this.#inBody ? this.#decoder.feed(bytes, 0, this) : this.#readHead(bytes);
        if (used === 0) break;
        bytes = used >= bytes.length ? undefined : bytes.subarray(used);
      }
    } catch (error) {
      const isTheirs = error instanceof HttpSyntaxError;
      this.#fail(isTheirs ? { kind: 'protocol', reason: error.message } : { kind: 'internal', error });
      return;
    }
    if (this.#complete !== undefined) this.#finish(bytes === undefined);
    else this.#held = bytes === undefined || !isBorrowed ? bytes : Buffer.from(bytes);
  }

  #readHead(bytes: Buffer): number {
    const end = bytes.indexOf(emptyLine);
    if (end < 0 || end > responseLimits.bytes) {
      if (bytes.length > responseLimits.bytes) throw new HttpSyntaxError(502, 'the head of the response is too long');
      checkLineEnds(bytes, 0, this.#headChecked);
      this.#headChecked = bytes.length;
      return 0;
    }
    this.#headChecked = 0;
    const events = this.#events!;
    const head = parseResponseHead(bytes.toString('latin1', 0, end), events.request.method, responseLimits);
    const used = end + emptyLine.length;
    if (head.status < 200) {
      if (head.status === 101) {
        this.#upgrade(head, bytes.subarray(used));
        return bytes.length;
      }
      if (++this.#informational > mostInformational)
        throw new HttpSyntaxError(502, 'the server sent too many interim responses');
      events.onInformational(head);
      return used;
    }
    this.#keepAlive = head.keepAlive;
    if (head.keepAliveTimeoutMs !== undefined)
      this.usableUntilMs = performance.now() + head.keepAliveTimeoutMs - idleMarginMs;
    this.#inBody = true;
    this.#decoder.begin(head.framing, head.contentLength);
    if (this.#decoder.isDone) this.#completed({ events, head });
    else events.onResponseHead(head, false);
    return used;
  }

  /** Gives the connection away; it still counts as one of its owner's until it is closed. */
  #upgrade(head: ResponseHead, rest: Buffer): void {
    const events = this.#events!;
    if (head.upgrade === undefined || head.upgrade !== events.request.upgrade)
      throw new HttpSyntaxError(502, 'the server switched protocols without being asked');
    this.#events = undefined;
    this.#socket.pause();
    this.#outbox.flush();
    this.#stopReading();
    this.#socket.off('end', this.#onEnd);
    const first = rest.length === 0 ? undefined : Buffer.from(rest);
    try {
      events.onUpgraded(head, { socket: this.#socket, first, reset: this.#reset });
    } catch (error) {
      events.onUpstreamFailure({ kind: 'internal', error });
    }
  }

  onBody(chunk: Buffer): void {
    this.#events?.onResponseBody(chunk);
  }

  onBodyEnd(trailers: Headers | undefined): void {
    if (this.#events !== undefined) this.#completed({ events: this.#events, trailers });
  }

  #completed(complete: CompleteAnswer): void {
    this.#events = undefined;
    this.#inBody = false;
    this.#complete = complete;
  }

  /**
   * The answer is complete: the connection is free for the next request, then the last event is told.
   * @param clean false where bytes follow that nobody asked for: whatever they are, they belong to nobody
   */
  #finish(clean: boolean): void {
    const { events, head, trailers } = this.#complete!;
    this.#complete = undefined;
    if (clean && this.#keepAlive && this.#requestDone && !this.#ended) {
      if (this.#socket.isPaused()) this.#socket.resume();
      this.#owner.onFree(this);
    } else this.#socket.destroy();
    try {
      if (head === undefined) events.onResponseEnd(trailers);
      else events.onResponseHead(head, true);
    } catch (error) {
      events.onUpstreamFailure({ kind: 'internal', error }); // to this request, and to nobody who comes after it
    }
  }

  readonly #onEnd = (): void => {
    this.#ended = true;
    const reset = wasReset(this.#socket);
    // Only an orderly end completes a body that is delimited by it.
    if (this.#inBody && !reset) this.#decoder.end(this);
    if (this.#complete !== undefined) this.#finish(true);
    else if (this.#mayBeStale && !reset) {
      this.#resetTimer = setTimeout(this.#afterEnd, resetWithinMs);
      return;
    } else if (this.#events !== undefined) this.#fail({ kind: 'lost', reset });
    this.#socket.destroy();
  };

  /** Whether the server may have ended the connection before it saw the present request. */
  get #mayBeStale(): boolean {
    return this.#events !== undefined && this.#requests > 1 && !this.#answered;
  }

  /** A server that had closed before our request came answers it with a reset; one that has read it does not. */
  readonly #afterEnd = (): void => {
    if (this.#events !== undefined) this.#fail({ kind: 'lost', reset: wasReset(this.#socket) });
    this.#socket.destroy();
  };

  readonly #onError = (): void => {
    if (this.#events !== undefined) this.#fail({ kind: 'lost', reset: true });
  };

  readonly #onClose = (): void => {
    clearTimeout(this.#resetTimer);
    if (this.#events !== undefined) this.#fail({ kind: 'lost', reset: false });
    this.#owner.onClosed(this);
  };

  #fail(failure: UpstreamFailure): void {
    const events = this.#events;
    const isStale = this.#mayBeStale && failure.kind === 'lost' && failure.reset;
    this.#events = undefined;
    this.#socket.destroy();
    if (events === undefined) return;
    // The server closed an idle connection at the moment when we began to use it, and has not seen the request.
    if (isStale && this.#owner.onStale(events)) return;
    events.onUpstreamFailure(failure);
  }
}
