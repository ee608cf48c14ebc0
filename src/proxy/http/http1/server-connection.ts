// One HTTP/1 connection from a caller: reads requests one after another, answers them in order, and bounds what the caller
// can make us hold. Requests that are pipelined wait, unread beyond a bound, until their turn comes.
import type { Socket } from 'node:net';
import { readBorrowed } from '../../net/direct-reads.js';
import { memoryPressure } from '../../net/memory-pressure.js';
import { Outbox } from '../../net/outbox.js';
import { sweep, type Swept } from '../../net/sweeper.js';
import type { Headers, RequestHead, ResponseHead } from '../message.js';
import type { RequestHandler } from '../request-handler.js';
import type { DownstreamStream, Tunnel } from '../streams.js';
import { preface } from '../http2/frames.js';
import { BodyDecoder, type BodySink } from './body-decoder.js';
import {
  checkRequestBeginning,
  formatResponseHead,
  formatTrailers,
  formatUpgrade,
  HttpSyntaxError,
  parseRequestHead,
  type ConnectionOptions,
  type HeadLimits,
} from './head.js';

/** Pipelined bytes that are held before the socket is no longer read. */
const mostHeldBytes = 64 * 1024;
/** Empty lines that are ignored before a request (RFC 9112 section 2.2). */
const mostEmptyLines = 2;
/** A FIN that follows what was sent this closely means "no more requests"; a later one means that the caller has gone. */
const halfCloseWithinMs = 100;
/** How long input is still read and dropped after the last answer has been sent, so that it is not lost to a reset. */
const lingerMs = 2000;
const emptyLine = Buffer.from('\r\n\r\n');

export class Http1ServerConnection implements DownstreamStream, BodySink, Swept {
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #handler: RequestHandler;
  readonly #decoder: BodyDecoder;
  readonly #stopSweeping: () => void;
  #onClose: () => void;

  /** Bytes that were read and not yet used. */
  #held: Buffer | undefined;
  #exchange: ReturnType<RequestHandler['createExchange']> | undefined;
  #head: (RequestHead & ConnectionOptions) | undefined;
  #requestDone = true;
  #responseBegun = false;
  #responseChunked = false;
  #bodyPaused = false;
  #closeAfterResponse = false;
  #draining = false;
  #emptyLines = 0;
  /** Where the head of the present request ends in `#held` while the request is being begun. */
  #headEnd = 0;
  /** Set when nothing more is expected: input is dropped until the connection ends. */
  #lingering = false;
  /** Bytes that the caller had not taken at the last tick, once nothing but the rest of an answer is to be sent. */
  #leftToSend = 0;
  /** Whether it has switched protocols and carries bytes that are not ours to read. */
  #isTunnel = false;
  #callerEnded = false;
  #isReadScheduled = false;
  #closed = false;
  #stopReading: () => void = () => undefined;
  #lastActivityMs = performance.now();
  #headStartedMs = 0;
  /** Bytes of a head that is not complete that have been looked at. */
  #headChecked = 0;
  #lastInputMs = 0;

  readonly #reset: () => void;

  /** Takes the connection where it begins as HTTP/2 does; undefined once it cannot any more. */
  #onHttp2: ((bytes: Buffer) => void) | undefined;

  /**
   * @param reset ends the connection so that the caller cannot take it for an orderly end
   * @param onClose called once when the connection has ended, or was given up for a tunnel
   * @param onHttp2 takes the connection and what was read of it, where it begins with the preface of HTTP/2; `onClose` is not
   * called then
   */
  constructor(
    socket: Socket,
    handler: RequestHandler,
    reset: () => void,
    onClose: () => void,
    onHttp2?: (bytes: Buffer) => void,
  ) {
    this.#onHttp2 = onHttp2;
    this.#socket = socket;
    this.#reset = reset;
    this.#outbox = new Outbox(socket);
    this.#handler = handler;
    this.#decoder = new BodyDecoder(handler.limits);
    this.#onClose = onClose;
    this.#stopSweeping = sweep(this);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onSocketClose);
    socket.on('error', ignore); // 'close' follows and says all that matters
    socket.on('drain', this.#onDrain);
  }

  /** Begins with bytes that were read while the connection was looked at. */
  start(first: Buffer | undefined): void {
    this.#socket.resume(); // whoever accepted it had paused it
    if (first !== undefined) this.#onData(first, false);
    if (!this.#closed && !this.#isTunnel) this.#listen();
    if (this.#socket.readableEnded) this.#onEnd(); // told before anybody listened
  }

  #listen(): void {
    this.#stopReading = readBorrowed(this.#socket, (bytes, isBorrowed) => {
      this.#onData(bytes, isBorrowed);
      return true;
    });
  }

  /** Ends the connection without losing a request: the next answer closes it; an idle one is left to its caller for a while. */
  drain(): void {
    this.#draining = true;
  }

  /** Whether no request is under way. */
  get isIdle(): boolean {
    return this.#exchange === undefined && this.#held === undefined && !this.#isTunnel;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  // ---- input

  #onData(chunk: Buffer, isBorrowed: boolean): void {
    if (this.#lingering) return;
    this.#lastActivityMs = performance.now();
    this.#lastInputMs = this.#lastActivityMs;
    const before = this.#held;
    this.#held = before === undefined ? chunk : Buffer.concat([before, chunk]);
    this.#read();
    if (isBorrowed && before === undefined && this.#held !== undefined) this.#held = Buffer.from(this.#held);
  }

  readonly #readNext = (): void => {
    this.#isReadScheduled = false;
    this.#read();
    if (this.#callerEnded && !this.#closed && !this.#lingering) this.#giveUpIncomplete();
  };

  /** Uses held bytes as far as possible. */
  #read(): void {
    try {
      while (this.#held !== undefined && !this.#closed && !this.#lingering && !this.#isTunnel) {
        const before = this.#held;
        const used = this.#requestDone ? this.#readHead(before) : this.#decoder.feed(before, 0, this);
        if (this.#held !== before) return; // a tunnel took the rest, or the connection was reset
        this.#held = used >= before.length ? undefined : used === 0 ? before : before.subarray(used);
        if (used === 0) break;
      }
    } catch (error) {
      if (error instanceof HttpSyntaxError) this.#refuse(error);
      else this.#crash(error);
      return;
    }
    if (this.#exchange !== undefined && this.#requestDone && (this.#held?.length ?? 0) > mostHeldBytes)
      this.#socket.pause();
  }

  /** Leaves the connection, with what was read of it, to somebody else. */
  #giveAway(take: (bytes: Buffer) => void): void {
    const bytes = this.#held!;
    this.#held = undefined;
    this.#onClose = () => undefined;
    this.#detach();
    take(bytes);
  }

  /** @returns bytes used; 0 where the head is not complete or its turn has not come */
  #readHead(bytes: Buffer): number {
    if (this.#exchange !== undefined) return 0;
    let start = 0;
    while (bytes[start] === 0x0d && bytes[start + 1] === 0x0a) {
      if (++this.#emptyLines > mostEmptyLines) throw new HttpSyntaxError(400, 'too many empty lines before a request');
      start += 2;
    }
    if (start === bytes.length) return start;
    if (this.#onHttp2 !== undefined) {
      const length = Math.min(bytes.length, preface.length);
      if (preface.compare(bytes, 0, length, 0, length) !== 0) this.#onHttp2 = undefined;
      else if (length === preface.length) {
        this.#giveAway(this.#onHttp2);
        return bytes.length;
      } else {
        if (this.#headStartedMs === 0) this.#headStartedMs = this.#lastActivityMs;
        return 0;
      }
    }
    const { limits } = this.#handler;
    const end = bytes.indexOf(emptyLine, start);
    if (end < 0 || end - start > limits.bytes) {
      if (bytes.length - start > limits.bytes) throw tooLarge(bytes, start, limits);
      if (this.#headStartedMs === 0) this.#headStartedMs = this.#lastActivityMs;
      checkRequestBeginning(bytes, start, start + this.#headChecked);
      this.#headChecked = bytes.length - start;
      return start;
    }
    this.#headStartedMs = 0;
    this.#headChecked = 0;
    this.#emptyLines = 0;
    this.#headEnd = end + emptyLine.length;
    this.#begin(parseRequestHead(bytes.toString('latin1', start, end), limits));
    return end + emptyLine.length;
  }

  #begin(head: RequestHead & ConnectionOptions): void {
    this.#head = head;
    this.#responseBegun = false;
    this.#bodyPaused = false;
    this.#closeAfterResponse = !head.keepAlive;
    this.#requestDone = head.framing === 'none'; // known before it may be answered: the connection is kept then
    this.#decoder.begin(head.framing, head.contentLength);
    const exchange = this.#handler.createExchange(this, head);
    this.#exchange = exchange;
    exchange.begin();
    if (head.framing === 'none' && this.#exchange === exchange) this.onBodyEnd(undefined);
  }

  onBody(chunk: Buffer): void {
    this.#exchange?.onRequestBody(chunk);
  }

  onBodyEnd(trailers: Headers | undefined): void {
    this.#requestDone = true;
    this.#exchange?.onRequestEnd(trailers);
  }

  readonly #onEnd = (): void => {
    this.#callerEnded = true;
    if (this.#exchange === undefined) {
      if (!this.#isReadScheduled) this.#linger();
      return;
    }
    if (this.#held === undefined) this.#closeAfterResponse = true;
    const halfClose = this.#requestDone && performance.now() - this.#lastInputMs < halfCloseWithinMs;
    if (!halfClose) this.#socket.destroy();
  };

  /** The caller sends nothing more: what it has not completed by now it never will. */
  #giveUpIncomplete(): void {
    if (this.#exchange === undefined) this.#linger();
    else if (!this.#requestDone) this.#socket.destroy();
  }

  readonly #onSocketClose = (): void => {
    this.#detach();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.onDownstreamGone();
  };

  readonly #onDrain = (): void => {
    this.#lastActivityMs = performance.now();
    this.#exchange?.onDownstreamDrain();
  };

  /** Our own code threw: the request answers for it, and the connection, of which nobody knows where it stands, goes with it. */
  #crash(error: unknown): void {
    const exchange = this.#exchange;
    if (exchange === undefined) throw error;
    this.#closeAfterResponse = true;
    exchange.onInternalError(error);
    if (this.#exchange === exchange) this.abort();
  }

  /** Answers what is not a request, and closes: after it nobody knows where the next request begins. */
  #refuse({ status, message }: HttpSyntaxError): void {
    const exchange = this.#exchange;
    if (exchange === undefined || !this.#responseBegun) {
      const body = status === 431 || status === 408 ? '' : 'Bad Request';
      this.#outbox.text(
        `HTTP/1.1 ${formatStatus(status)}\r\ncontent-length: ${body.length}\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n${body}`,
      );
      if (exchange === undefined) this.#handler.onMalformed(status, message, 'HTTP/1.1');
      this.#linger();
    } else this.abort();
    if (exchange !== undefined) {
      this.#exchange = undefined;
      exchange.onDownstreamGone(status);
    }
  }

  // ---- output

  sendInformational(head: ResponseHead): void {
    if (this.#head?.version === 'HTTP/1.1' && !this.#responseBegun) this.#outbox.text(formatResponseHead(head, ''));
  }

  sendHead(head: ResponseHead, endsHere: boolean): number {
    const request = this.#head!;
    this.#lastActivityMs = performance.now();
    this.#responseBegun = true;
    this.#responseChunked = false;
    let framing = '';
    const bodiless = endsHere || head.framing === 'none';
    if (head.contentLength >= 0 && head.status !== 204) framing = `content-length: ${head.contentLength}\r\n`;
    else if (bodiless)
      framing = request.method === 'HEAD' || head.status === 204 || head.status === 304 ? '' : 'content-length: 0\r\n';
    else if (request.version === 'HTTP/1.1') {
      this.#responseChunked = true;
      framing = 'transfer-encoding: chunked\r\n';
    } else this.#closeAfterResponse = true;
    // An answer before the end of the request: the rest is not worth reading, so the connection cannot be used again. As in
    // Envoy that is announced here, where nobody knows yet whether the answer will take longer than the request.
    if (!this.#requestDone) this.#closeAfterResponse = true;
    if (this.#closeAfterResponse || this.#draining || memoryPressure.closesConnections) {
      this.#closeAfterResponse = true;
      framing += 'connection: close\r\n';
    } else if (request.version === 'HTTP/1.0') framing += 'connection: keep-alive\r\n';
    const text = formatResponseHead(head, framing);
    this.#outbox.text(text);
    if (endsHere) this.#finishResponse();
    return text.length;
  }

  sendBody(chunk: Buffer): boolean {
    this.#lastActivityMs = performance.now();
    if (chunk.length > 0) {
      if (this.#responseChunked) this.#outbox.text(`${chunk.length.toString(16)}\r\n`);
      this.#outbox.bytes(chunk);
      if (this.#responseChunked) this.#outbox.text('\r\n');
    }
    return this.#outbox.hasRoom;
  }

  sendEnd(trailers: Headers | undefined): void {
    if (this.#responseChunked) this.#outbox.text(`0\r\n${formatTrailers(trailers)}\r\n`);
    this.#finishResponse();
  }

  abort(): void {
    this.#exchange = undefined;
    this.#lingering = true; // no request begins whose answer could not be sent
    this.#held = undefined;
    // Without the reset a body that ends with the connection would look complete.
    this.#outbox.flush();
    this.#reset();
  }

  pauseBody(): void {
    this.#bodyPaused = true;
    this.#socket.pause();
  }

  resumeBody(): void {
    this.#bodyPaused = false;
    this.#socket.resume();
  }

  openTunnel(): Tunnel {
    this.#outbox.text('HTTP/1.1 200 OK\r\n\r\n');
    this.#outbox.flush();
    const first = this.#held?.subarray(this.#headEnd);
    this.#held = undefined;
    this.#exchange = undefined;
    this.#detach();
    return {
      socket: this.#socket,
      first: first === undefined || first.length === 0 ? undefined : Buffer.from(first),
      reset: this.#reset,
    };
  }

  switchProtocols(head: ResponseHead): Tunnel {
    this.#outbox.text(formatResponseHead(head, formatUpgrade(head.upgrade!)));
    this.#outbox.flush();
    const first = this.#held && Buffer.from(this.#held);
    this.#held = undefined;
    this.#exchange = undefined;
    this.#isTunnel = true;
    this.#socket.pause();
    this.#stopReading();
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('drain', this.#onDrain);
    this.#stopSweeping(); // who joins it to another connection bounds its idleness
    return { socket: this.#socket, first, reset: this.#reset };
  }

  #finishResponse(): void {
    this.#exchange = undefined;
    this.#head = undefined;
    if (this.#closeAfterResponse || !this.#requestDone || (this.#callerEnded && this.#held === undefined)) {
      this.#linger();
      return;
    }
    if (this.#bodyPaused || this.#socket.isPaused()) this.#socket.resume();
    this.#bodyPaused = false;
    // A pipelined request may wait; it begins in a turn of its own, so that deep pipelines do not become deep stacks.
    if (this.#held === undefined || this.#isReadScheduled) return;
    this.#isReadScheduled = true;
    setImmediate(this.#readNext);
  }

  /** Sends what is left and our FIN, however slowly the caller takes it, and reads on for a while only to drop it. */
  #linger(): void {
    this.#lingering = true;
    this.#held = undefined;
    this.#outbox.end();
    this.#socket.resume();
    this.#socket.once('finish', () => setTimeout(() => this.#socket.destroy(), lingerMs).unref());
  }

  #detach(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopSweeping();
    this.#stopReading();
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('close', this.#onSocketClose);
    this.#socket.off('drain', this.#onDrain);
    this.#onClose();
  }

  onTick(nowMs: number): void {
    const { limits } = this.#handler;
    if (this.#lingering) {
      const { writableLength } = this.#socket;
      if (writableLength !== this.#leftToSend) this.#lastActivityMs = nowMs;
      else if (nowMs - this.#lastActivityMs > limits.streamIdleTimeoutMs) this.#socket.destroy();
      this.#leftToSend = writableLength;
      return;
    }
    if (this.#headStartedMs !== 0 && nowMs - this.#headStartedMs > limits.headTimeoutMs) {
      this.#refuse(new HttpSyntaxError(408, 'the head of a request took too long'));
      return;
    }
    const idleMs = nowMs - this.#lastActivityMs;
    if (this.#exchange !== undefined) {
      if (idleMs > limits.streamIdleTimeoutMs) this.#exchange.onStreamIdle();
    } else if (idleMs > limits.idleTimeoutMs) this.#linger();
  }
}

function tooLarge(bytes: Buffer, start: number, limits: HeadLimits): HttpSyntaxError {
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd < 0 || lineEnd - start > limits.bytes) return new HttpSyntaxError(414, 'request line is too long');
  return new HttpSyntaxError(431, 'head is too long');
}

const statusTexts: Readonly<Record<number, string>> = {
  400: '400 Bad Request',
  408: '408 Request Timeout',
  413: '413 Payload Too Large',
  414: '414 URI Too Long',
  431: '431 Request Header Fields Too Large',
  501: '501 Not Implemented',
  505: '505 HTTP Version Not Supported',
};

function formatStatus(status: number): string {
  return statusTexts[status] ?? `${status} Error`;
}

function ignore(): void {
  // errors of sockets are followed by 'close'
}
