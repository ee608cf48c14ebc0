// Writes log lines to a file or to standard output, in batches, never in the way of traffic; what cannot be written in time
// is dropped and counted.
import { open, type FileHandle } from 'node:fs/promises';

/** Most bytes that wait to be written. */
const mostWaiting = 4 * 1024 * 1024;
/** How long lines wait for company. */
const flushAfterMs = 100;

export class FileSink {
  readonly #path: string;
  #waiting = '';
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  readonly #onDrop: (lines: number) => void;

  /** @param onDrop told how many lines were lost, because the file cannot be written or not fast enough */
  constructor(path: string, onDrop: (lines: number) => void) {
    this.#path = path;
    this.#onDrop = onDrop;
  }

  write(line: string): void {
    if (this.#waiting.length + line.length > mostWaiting) {
      this.#onDrop(1);
      return;
    }
    this.#waiting += line;
    this.#timer ??= setTimeout(() => void this.flush(), flushAfterMs);
  }

  /** Writes what waits; resolves when it is written, and what others began to write too. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing; // who waited too may have begun the next batch
    if (this.#waiting === '') return;
    const batch = this.#waiting;
    this.#waiting = '';
    this.#writing = this.#append(batch).finally(() => (this.#writing = undefined));
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file?.close();
    this.#file = undefined;
  }

  async #append(batch: string): Promise<void> {
    try {
      if (this.#path === '/dev/stdout') {
        await new Promise<void>((resolve) => process.stdout.write(batch, () => resolve()));
        return;
      }
      this.#file ??= await open(this.#path, 'a', 0o600);
      await this.#file.appendFile(batch);
    } catch {
      this.#onDrop(batch.split('\n').length - 1);
      await this.#file?.close().catch(() => undefined);
      this.#file = undefined; // opened again at the next batch: the trouble may pass
    }
  }
}
