// Carries bytes between two connections, both ways, each end closing for itself.
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { flushSoon, type Flushable } from '../net/flush-queue.js';
import { longestRead, readBorrowed } from '../net/direct-reads.js';
import { wasReset } from '../net/reset-socket.js';
import { bulkBuffers } from '../net/write-buffers.js';

/** Pieces of this size leave at once where they may be kept. */
const largePiece = 32 * 1024;
/** What is collected at most before it leaves; behind it there is room for what TLS has decrypted already. */
const mostCollected = 128 * 1024;

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
 * Passes bytes from one end to the other, one write at a time. What TLS takes goes to it as it was read; everything else, above
 * all the 16 KiB pieces in which TLS hands out what it read, is collected and leaves at the end of the turn.
 */
class Pipe implements Flushable {
  readonly #from: RelayEnd;
  readonly #to: RelayEnd;
  readonly #count: (bytes: number) => void;
  readonly #isToTls: boolean;
  /** What is collected; undefined: nothing. */
  #batch: Buffer | undefined;
  #used = 0;
  /** Whether reading has stopped until the other end has taken more. */
  #isStopped = false;

  constructor(from: RelayEnd, to: RelayEnd, count: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#count = count;
    this.#isToTls = to.socket instanceof tls.TLSSocket;
  }

  start(): void {
    const { socket, first } = this.#from;
    socket.on('end', this.#end);
    if (first !== undefined) this.#take(first, false);
    readBorrowed(socket, this.#take, longestRead);
    // Its FIN may have come before anybody listened: a paused socket tells that only once.
    if (socket.readableEnded) this.#end();
    if (!this.#isStopped) socket.resume();
  }

  /** Bytes that the other end has not taken. */
  get #waitingBytes(): number {
    return this.#to.socket.writableLength;
  }

  get #isFull(): boolean {
    return this.#used >= mostCollected || this.#waitingBytes > longestRead;
  }

  /** @returns whether more may come */
  readonly #take = (bytes: Buffer, isBorrowed: boolean): boolean => {
    this.#count(bytes.length);
    // TLS encrypts, and so copies, before its write returns; but a write behind another one waits as it is.
    const mayGo = this.#isToTls || (!isBorrowed && bytes.length >= largePiece);
    if (mayGo && this.#batch === undefined && this.#waitingBytes === 0) this.#write(bytes, undefined);
    else this.#collect(bytes);
    if (this.#isFull) this.#isStopped = true; // and stays so until the write is over that resumes it
    return !this.#isStopped;
  };

  #collect(bytes: Buffer): void {
    if (this.#batch !== undefined && this.#batch.length - this.#used < bytes.length) this.#writeBatch();
    if (bytes.length > bulkBuffers.bytes) {
      this.#write(Buffer.from(bytes), undefined);
      return;
    }
    if (this.#batch === undefined) {
      this.#batch = bulkBuffers.borrow();
      flushSoon(this);
    }
    this.#used += bytes.copy(this.#batch, this.#used);
  }

  /** The turn is over: what is collected leaves, or follows what is on its way. */
  flush(): void {
    if (this.#waitingBytes === 0) this.#writeBatch();
  }

  #writeBatch(): void {
    const batch = this.#batch;
    if (batch === undefined) return; // it has left already
    const bytes = batch.subarray(0, this.#used);
    this.#batch = undefined;
    this.#used = 0;
    this.#write(bytes, batch);
  }

  #write(bytes: Buffer, batch: Buffer | undefined): void {
    this.#to.socket.write(bytes, () => {
      if (batch !== undefined) bulkBuffers.giveBack(batch);
      if (this.#waitingBytes === 0) this.#writeBatch();
      if (!this.#isStopped || this.#isFull) return;
      this.#isStopped = false;
      this.#from.socket.resume();
    });
  }

  readonly #end = (): void => {
    this.#writeBatch();
    if (!wasReset(this.#from.socket)) this.#to.socket.end();
    else {
      this.#to.reset();
      this.#from.socket.destroy();
    }
  };
}
