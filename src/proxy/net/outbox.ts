// Collects the text of one HTTP/1 connection within one turn of the event loop, so that it leaves in one call.
import type { Socket } from 'node:net';
import { flushSoon, type Flushable } from './flush-queue.js';
import { bodyBuffers } from './write-buffers.js';

/** Bodies up to this size become part of the text behind the head. */
const smallChunk = 4096;
/** Above this many bytes on their way out, whoever produces them is asked to wait, at the least. */
const leastHighWater = 64 * 1024;

export class Outbox implements Flushable {
  readonly #socket: Socket;
  /**
   * Twice what the socket itself asks to wait for: then either it has asked already or the next flush makes it, and only
   * a socket that has asked tells by `drain` that there is room again.
   */
  readonly #highWater: number;
  /** Text (bytes as latin1) where all that is to leave is small. */
  #text = '';
  /** Else everything, in buffers that are lent: those that are full, and the one that is being filled. */
  #full: Buffer[] = [];
  #buffer: Buffer | undefined;
  #used = 0;
  #waitingBytes = 0;
  #scheduled = false;
  #endAfterFlush = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#highWater = Math.max(leastHighWater, 2 * socket.writableHighWaterMark);
  }

  /** Writes text whose characters are bytes. */
  text(text: string): void {
    if (this.#buffer === undefined) this.#text += text;
    else this.#textToBuffer(text);
    this.#waitingBytes += text.length;
    this.#schedule();
  }

  /** Writes bytes, which may change afterwards. */
  bytes(chunk: Buffer): void {
    this.#waitingBytes += chunk.length;
    if (this.#buffer === undefined && chunk.length <= smallChunk) this.#text += chunk.toString('latin1');
    else this.#bytesToBuffer(chunk);
    this.#schedule();
  }

  #bytesToBuffer(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const buffer = this.#bufferWithRoom();
      const copied = chunk.copy(buffer, this.#used, at);
      this.#used += copied;
      at += copied;
    }
  }

  #textToBuffer(text: string): void {
    for (let at = 0; at < text.length;) {
      const buffer = this.#bufferWithRoom();
      const written = buffer.write(at === 0 ? text : text.slice(at), this.#used, 'latin1');
      this.#used += written;
      at += written;
    }
  }

  /** From the first large piece of a turn on all goes into buffers, what was text before first. */
  #bufferWithRoom(): Buffer {
    if (this.#buffer !== undefined && this.#used < this.#buffer.length) return this.#buffer;
    if (this.#buffer !== undefined) this.#full.push(this.#buffer);
    const buffer = bodyBuffers.borrow();
    this.#buffer = buffer;
    this.#used = 0;
    if (this.#text === '') return buffer;
    const text = this.#text;
    this.#text = '';
    this.#textToBuffer(text);
    return this.#bufferWithRoom();
  }

  /** Whether more may be produced now; after false the socket's `drain` event says when. */
  get hasRoom(): boolean {
    return this.#waitingBytes + this.#socket.writableLength < this.#highWater;
  }

  /** Sends our FIN after everything written so far. */
  end(): void {
    this.#endAfterFlush = true;
    this.#schedule();
  }

  /** Hands everything to the socket now. */
  flush(): void {
    this.#scheduled = false;
    const socket = this.#socket;
    this.#waitingBytes = 0;
    if (this.#buffer !== undefined) this.#flushBuffers(this.#buffer);
    else if (this.#text !== '' && !socket.destroyed) this.#flushText(this.#text);
    this.#text = '';
    if (this.#endAfterFlush && !socket.destroyed) socket.end();
  }

  #flushText(text: string): void {
    const socket = this.#socket;
    // Node's sockets say `drain` after a large write only where it was corked, or did not go at once.
    const isLarge = text.length >= socket.writableHighWaterMark;
    if (isLarge) socket.cork();
    socket.write(text, 'latin1');
    if (isLarge) socket.uncork();
  }

  #flushBuffers(last: Buffer): void {
    const lent = [...this.#full, last];
    const bytes = last.subarray(0, this.#used);
    this.#full = [];
    this.#buffer = undefined;
    const giveBack = () => {
      for (const buffer of lent) bodyBuffers.giveBack(buffer);
    };
    if (this.#socket.destroyed) {
      giveBack();
      return;
    }
    this.#socket.cork();
    for (const full of lent.slice(0, -1)) this.#socket.write(full);
    this.#socket.write(bytes, giveBack);
    this.#socket.uncork();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    flushSoon(this);
  }
}
