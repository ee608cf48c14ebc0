// Counts the messages of gRPC that pass in one direction, wherever the chunks of the body are cut.

/** A flag and four bytes of length stand before every message. */
const prefixBytes = 5;

export class GrpcMessageCounter {
  /** Bytes of the present prefix that have passed. */
  #prefix = 0;
  #length = 0;
  /** Bytes of the present message that are still to come: up to 4 GiB, which are skipped, not kept. */
  #left = 0;

  get isBetweenMessages(): boolean {
    return this.#prefix === 0 && this.#left === 0;
  }

  /** @returns how many messages have begun with this chunk: those whose prefix is complete now */
  count(chunk: Uint8Array): number {
    let begun = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, chunk.length - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      const byte = chunk[at++]!;
      this.#length = this.#prefix === 0 ? 0 : this.#length * 256 + byte;
      if (++this.#prefix < prefixBytes) continue;
      this.#prefix = 0;
      this.#left = this.#length;
      begun++;
    }
    return begun;
  }
}
