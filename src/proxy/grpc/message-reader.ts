// Puts the messages of a gRPC body together, wherever its chunks are cut (gRPC over HTTP/2, Length-Prefixed-Message).

const prefixBytes = 5;
/** Resources of one response are few, but a large mesh's may be long. */
const longestMessage = 64 * 1024 * 1024;

export class MessageReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes that must be there before anything can be done. */
  #wanted = prefixBytes;

  /** Whether the body may end here. */
  get isBetweenMessages(): boolean {
    return this.#bytes === 0;
  }

  /**
   * Takes a chunk; the result are the messages that are complete with it.
   * @throws Error where a message is compressed or too long
   */
  read(chunk: Buffer): readonly Buffer[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#wanted) return [];
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#wanted = prefixBytes;
    const messages: Buffer[] = [];
    while (bytes.length >= prefixBytes) {
      const end = endOf(bytes);
      if (end > bytes.length) {
        this.#wanted = end;
        break;
      }
      messages.push(bytes.subarray(prefixBytes, end));
      bytes = bytes.subarray(end);
    }
    this.#chunks = bytes.length === 0 ? [] : [bytes];
    this.#bytes = bytes.length;
    return messages;
  }
}

/** Where the message that begins here ends. */
function endOf(bytes: Buffer): number {
  if (bytes[0] !== 0) throw new Error('a message is compressed, which nobody asked for');
  const length = bytes.readUInt32BE(1);
  if (length > longestMessage) throw new Error(`a message of ${length} bytes is too long`);
  return prefixBytes + length;
}

/** A message as it travels, not compressed. */
export function frameMessage(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(prefixBytes + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, prefixBytes);
  return framed;
}
