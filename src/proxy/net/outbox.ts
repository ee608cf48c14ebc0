// Collects the text of one HTTP/1 connection within one turn of the event loop, so that it leaves in one call.
import type { Socket } from 'node:net';
import { flushSoon, type Flushable } from './flush-queue.js';

/** Bodies up to this size are copied behind the head instead of being written on their own. */
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
  /** Text (bytes as latin1) that follows `#parts`. */
  #text = '';
  #parts: (string | Buffer)[] = [];
  #waitingBytes = 0;
  #scheduled = false;
  #endAfterFlush = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#highWater = Math.max(leastHighWater, 2 * socket.writableHighWaterMark);
  }

  /** Writes text whose characters are bytes. */
  text(text: string): void {
    this.#text += text;
    this.#waitingBytes += text.length;
    this.#schedule();
  }

  bytes(chunk: Buffer): void {
    this.#waitingBytes += chunk.length;
    if (chunk.length <= smallChunk) this.#text += chunk.toString('latin1');
    else {
      if (this.#text !== '') this.#parts.push(this.#text);
      this.#parts.push(chunk);
      this.#text = '';
    }
    this.#schedule();
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
    if (socket.destroyed) return;
    if (this.#parts.length > 0) {
      socket.cork();
      for (const part of this.#parts) {
        if (typeof part === 'string') socket.write(part, 'latin1');
        else socket.write(part);
      }
      if (this.#text !== '') socket.write(this.#text, 'latin1');
      socket.uncork();
      this.#parts = [];
    } else if (this.#text !== '') socket.write(this.#text, 'latin1');
    this.#text = '';
    this.#waitingBytes = 0;
    if (this.#endAfterFlush) socket.end();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    flushSoon(this);
  }
}
