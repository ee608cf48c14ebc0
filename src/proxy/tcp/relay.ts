// Carries bytes between two connections, both ways, each end closing for itself.
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { flushSoon, type Flushable } from '../net/flush-queue.js';
import { wasReset } from '../net/reset-socket.js';

/** Pieces of this size leave at once. */
const largePiece = 32 * 1024;
/** Bytes that may wait for an end within a turn, and after it where the end has not taken them. */
const mostWithinTurn = 256 * 1024;
const mostAfterTurn = 64 * 1024;
/** The same where TLS takes them: it says so only a turn later. */
const mostForTls = 128 * 1024;

/** One of the two connections. */
export interface RelayEnd {
  readonly socket: Socket;
  /** Bytes that were read already. */
  readonly first: Buffer | undefined;
  /** Ends it so that the other side cannot take it for an orderly end. */
  readonly reset: () => void;
}

export interface RelayEvents {
  /** Bytes from `a` to `b`. */
  onForward(bytes: number): void;
  /** Bytes from `b` to `a`. */
  onBackward(bytes: number): void;
  /** Both connections are over; called once. */
  onClose(): void;
}

/** Joins `a` and `b` until both are over. An end that breaks breaks the other: cut-off data must not look whole. */
export function relay(a: RelayEnd, b: RelayEnd, events: RelayEvents): void {
  let open = 2;
  const watch = (end: RelayEnd, other: RelayEnd) =>
    end.socket.once('close', (hadError) => {
      if (hadError) other.reset();
      else other.socket.destroySoon();
      if (--open === 0) events.onClose();
    });
  watch(a, b);
  watch(b, a);
  new Pipe(a, b, (bytes) => events.onForward(bytes)).start();
  new Pipe(b, a, (bytes) => events.onBackward(bytes)).start();
}

/**
 * Passes bytes from one end to the other. Pieces wait for the end of the turn of the event loop and leave in one call, because
 * TLS hands out 16 KiB at a time.
 */
class Pipe implements Flushable {
  readonly #from: RelayEnd;
  readonly #to: RelayEnd;
  readonly #count: (bytes: number) => void;
  readonly #isTls: boolean;
  #isCorked = false;

  constructor(from: RelayEnd, to: RelayEnd, count: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#count = count;
    this.#isTls = to.socket instanceof tls.TLSSocket;
  }

  start(): void {
    const { socket, first } = this.#from;
    socket.on('data', this.#send);
    socket.on('end', this.#end);
    this.#to.socket.on('drain', () => socket.resume());
    if (first !== undefined) this.#send(first);
    // Its FIN may have come before anybody listened: a paused socket tells that only once.
    if (socket.readableEnded) this.#to.socket.end();
    if (!this.#isAbove(mostAfterTurn)) socket.resume();
  }

  /** Whether so many bytes wait that the sender has to; the socket tells by `drain` when there is room again. */
  #isAbove(most: number): boolean {
    const { socket } = this.#to;
    return socket.writableNeedDrain && socket.writableLength >= most;
  }

  readonly #send = (chunk: Buffer): void => {
    const { socket } = this.#to;
    this.#count(chunk.length);
    if (!this.#isCorked && chunk.length < largePiece) {
      this.#isCorked = true;
      socket.cork();
      flushSoon(this);
    }
    socket.write(chunk);
    if (this.#isAbove(this.#isTls ? mostForTls : mostWithinTurn)) this.#from.socket.pause();
  };

  flush(): void {
    this.#isCorked = false;
    this.#to.socket.uncork();
    if (!this.#isTls && this.#isAbove(mostAfterTurn)) this.#from.socket.pause();
  }

  readonly #end = (): void => {
    if (!wasReset(this.#from.socket)) this.#to.socket.end();
    else {
      this.#to.reset();
      this.#from.socket.destroy();
    }
  };
}
