// Writes log lines to a file or to standard output, in batches, never in the way of traffic; what cannot be written in time
// is dropped and counted.
import { open, type FileHandle } from 'node:fs/promises';
import { messageOf } from '../../util/errors.js';

/** Most bytes that wait to be written. */
const mostWaiting = 4 * 1024 * 1024;
/** How long lines wait for company. */
const flushAfterMs = 100;
/** Lines wait as bytes, in pieces of this size. As text they would outlive the collection of young objects, a few at a time. */
const pieceBytes = 64 * 1024;
/** Pieces that are kept to be filled again. */
const mostSpare = 4;
const lineFeed = 0x0a;

export class FileSink {
  readonly #path: string;
  /** Pieces that are full, and the one that is being filled. */
  #full: Buffer[] = [];
  #piece: Buffer = Buffer.alloc(0);
  #used = 0;
  #waitingBytes = 0;
  readonly #spare: Buffer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  readonly #onDrop: (lines: number) => void;
  readonly #onFailure: (reason: string) => void;
  #isFailing = false;
  /** Whether the file ends in the middle of a line. */
  #isTorn = false;

  /**
   * @param onDrop told how many lines were lost, because the file cannot be written or not fast enough
   * @param onFailure told once why the file cannot be written, and again when it could be meanwhile
   */
  constructor(path: string, onDrop: (lines: number) => void, onFailure: (reason: string) => void = () => undefined) {
    this.#path = path;
    this.#onDrop = onDrop;
    this.#onFailure = onFailure;
  }

  write(line: string): void {
    if (this.#waitingBytes + line.length > mostWaiting) {
      this.#onDrop(1);
      return;
    }
    const mostBytes = line.length * 3; // of UTF-8
    if (this.#piece.length - this.#used < mostBytes) this.#begin(mostBytes);
    const bytes = this.#piece.write(line, this.#used);
    this.#used += bytes;
    this.#waitingBytes += bytes;
    this.#timer ??= setTimeout(() => void this.flush(), flushAfterMs);
  }

  /** Writes what waits; resolves when it is written, and what others began to write too. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing; // who waited too may have begun the next batch
    if (this.#waitingBytes === 0) return;
    this.#begin(0);
    const batch = this.#full;
    this.#full = [];
    this.#waitingBytes = 0;
    this.#writing = this.#append(batch).finally(() => (this.#writing = undefined));
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Puts the present piece to the full ones and takes one with room for `bytes`; none for 0. */
  #begin(bytes: number): void {
    if (this.#used > 0) this.#full.push(this.#piece.subarray(0, this.#used));
    this.#used = 0;
    if (bytes === 0) this.#piece = Buffer.alloc(0);
    else if (bytes > pieceBytes) this.#piece = Buffer.allocUnsafeSlow(bytes);
    else this.#piece = this.#spare.pop() ?? Buffer.allocUnsafeSlow(pieceBytes);
  }

  async #append(batch: readonly Buffer[]): Promise<void> {
    let tried = 0;
    try {
      for (const piece of batch) {
        tried++;
        await this.#appendPiece(piece);
      }
      this.#isFailing = false;
    } catch (error) {
      this.#onDrop(batch.slice(tried).reduce((lines, piece) => lines + countLines(piece), 0));
      await this.#file?.close().catch(() => undefined);
      this.#file = undefined; // opened again at the next batch: the trouble may pass
      if (!this.#isFailing) this.#onFailure(messageOf(error));
      this.#isFailing = true;
    }
    for (const { buffer } of batch)
      if (buffer.byteLength === pieceBytes && this.#spare.length < mostSpare) this.#spare.push(Buffer.from(buffer));
  }

  async #appendPiece(piece: Buffer): Promise<void> {
    if (this.#path === '/dev/stdout') {
      await new Promise<void>((resolve) => process.stdout.write(piece, () => resolve()));
      return;
    }
    let at = 0;
    try {
      this.#file ??= await open(this.#path, 'a', 0o600);
      if (this.#isTorn) await this.#file.write('\n'); // what follows is not the rest of that line
      this.#isTorn = false;
      while (at < piece.length) at += (await this.#file.write(piece, at)).bytesWritten;
    } catch (error) {
      if (at > 0) this.#isTorn = piece[at - 1] !== lineFeed;
      this.#onDrop(countLines(piece.subarray(at)));
      throw error;
    }
  }
}

function countLines(piece: Buffer): number {
  let lines = 0;
  for (let at = piece.indexOf(lineFeed); at >= 0; at = piece.indexOf(lineFeed, at + 1)) lines++;
  return lines;
}
