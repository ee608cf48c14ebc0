// Long transfers in the hands of a test: a download that is read as far as the test allows, an upload that it feeds, and what
// test/apps/transfer.mjs should have sent and received.
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';

const block = Buffer.alloc(65_536);

/** Block `i` of every transfer. */
export function blockAt(i: number): Buffer {
  const part = Buffer.from(block);
  part.writeUInt32BE(i);
  return part;
}

/** Hash of a transfer of so many blocks. */
export function hashOf(blocks: number): string {
  const hash = createHash('sha256');
  for (let i = 0; i < blocks; i++) hash.update(blockAt(i));
  return hash.digest('hex');
}

export const blockSize = block.length;

/** An answer that is read no further than the test allows. */
export class Download {
  readonly #response: http.IncomingMessage;
  readonly #hash: Hash = createHash('sha256');
  read = 0;

  private constructor(response: http.IncomingMessage) {
    this.#response = response;
  }

  static async begin(port: number, blocks: number): Promise<Download> {
    const outgoing = http.get({ host: '127.0.0.1', port, path: `/download/${blocks * blockSize}`, agent: false });
    const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
    return new Download(response);
  }

  /** Reads until so many bytes have come in all, at most `step` at a time; `between` is waited for after each step. */
  async readTo(bytes: number, step = blockSize, between?: () => Promise<unknown>): Promise<void> {
    while (this.read < bytes) {
      const size = Math.min(step, bytes - this.read, this.#response.readableLength || step);
      const part = this.#response.read(size) as Buffer | null;
      if (part === null) {
        if (this.#response.readableEnded || this.#response.destroyed)
          throw new Error(`cut off after ${this.read} bytes`);
        await once(this.#response, 'readable');
        continue;
      }
      this.read += part.length;
      this.#hash.update(part);
      await between?.();
    }
  }

  get hash(): string {
    return this.#hash.copy().digest('hex');
  }

  cancel(): void {
    this.#response.destroy();
  }
}

/** A request whose body the test writes. */
export class Upload {
  readonly #request: http.ClientRequest;
  readonly #answer: Promise<string>;
  #sent = 0;

  constructor(port: number) {
    this.#request = http.request({ host: '127.0.0.1', port, path: '/upload', method: 'POST', agent: false });
    this.#answer = new Promise((resolve, reject) => {
      this.#request.on('error', reject);
      this.#request.on('response', (response) => {
        let text = `${response.statusCode} `;
        response.on('data', (data: Buffer) => (text += data.toString()));
        response.on('error', reject);
        response.on('end', () => resolve(text));
      });
    });
    this.#answer.catch(() => undefined); // told by `end`
  }

  /** Writes until so many blocks are on their way; `step` bytes at a time, each waited for, then `between`. */
  async writeTo(blocks: number, step = blockSize, between?: () => Promise<unknown>): Promise<void> {
    for (; this.#sent < blocks; this.#sent++) {
      const whole = blockAt(this.#sent);
      for (let at = 0; at < whole.length; at += step) {
        await new Promise<void>((resolve, reject) =>
          this.#request.write(whole.subarray(at, at + step), (error) => (error ? reject(error) : resolve())),
        );
        await between?.();
      }
    }
  }

  /** Ends the body: `<status> <length> <hash>`. */
  end(): Promise<string> {
    this.#request.end();
    return this.#answer;
  }
}
