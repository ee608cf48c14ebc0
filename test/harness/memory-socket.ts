// One end of a connection that exists only in memory: tests decide what arrives, see what was sent, and wait for nothing.
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export class MemorySocket extends Duplex {
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 80;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 40_000;
  /** Everything that was written, bytes as latin1. */
  sent = '';
  /** Called after every write. */
  onSent: () => void = () => undefined;
  #held: (() => void)[] | undefined;
  #isReset = false;
  /** The one thing that the proxy asks of the handle: whether there still is a peer. */
  readonly _handle = { getpeername: (): number => (this.#isReset ? -107 : 0) };

  constructor(highWaterMark = 16 * 1024) {
    super({ allowHalfOpen: true, writableHighWaterMark: highWaterMark });
  }

  /** For whoever wants a socket of `net`; what is missing here is not used in the proxy's HTTP. */
  get socket(): Socket {
    return this as unknown as Socket;
  }

  /** Bytes arrive from the other side. */
  receive(text: string): void {
    if (!this.destroyed) this.push(Buffer.from(text, 'latin1'));
  }

  /** The other side had closed already when our last bytes came: its end and its reset arrive together. */
  receiveReset(): void {
    this.#isReset = true;
    this.receiveEnd();
  }

  /** The other side ends in order. */
  receiveEnd(): void {
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {
    // bytes arrive by receive()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.sent += chunk.toString('latin1');
    if (this.#held === undefined) done();
    else this.#held.push(done);
    this.onSent();
  }

  /** As net.Socket's: destroyed when everything has been written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** The other side takes nothing more until the returned function is called. */
  holdWrites(): () => void {
    const held: (() => void)[] = [];
    this.#held = held;
    return () => {
      this.#held = undefined;
      for (const done of held) done();
    };
  }

  override _final(done: () => void): void {
    done();
  }

  /** As with a handle of the system, `close` comes in a later phase of the event loop than what ended the connection. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    setImmediate(() => setImmediate(() => done(error)));
  }
}

/** Lets everything happen that is due: a few rounds of the event loop, no time. */
export async function settle(rounds = 4): Promise<void> {
  for (let i = 0; i < rounds; i++) await new Promise((resolve) => setImmediate(resolve));
}
