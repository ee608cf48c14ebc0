// Buffers in which connections collect what they are about to write, lent for as long as a write takes.

/** Buffers of one size; a few are kept for the next borrower, more come and go with load. */
export class WriteBuffers {
  readonly bytes: number;
  readonly #mostKept: number;
  readonly #kept: Buffer[] = [];

  constructor(bytes: number, mostKept: number) {
    this.bytes = bytes;
    this.#mostKept = mostKept;
  }

  borrow(): Buffer {
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.bytes);
  }

  /** Takes a buffer back once nobody reads it any more. */
  giveBack(buffer: Buffer): void {
    if (this.#kept.length < this.#mostKept) this.#kept.push(buffer);
  }
}

/** For messages with bodies, on connections to and from applications, of which there may be many. */
export const bodyBuffers = new WriteBuffers(64 * 1024, 32);

/** For everything that shares one connection between proxies, and for bytes without end. */
export const bulkBuffers = new WriteBuffers(256 * 1024, 8);
