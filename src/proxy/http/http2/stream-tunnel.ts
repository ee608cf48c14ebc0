// A stream that carries bytes in place of a body, as a connection of its own: what CONNECT and WebSocket become on HTTP/2
// (RFC 9113 section 8.5, RFC 8441). Closing it ends the stream, breaking it resets the stream, the others go on.
import { Duplex } from 'node:stream';

/** Bytes that wait for whoever reads it before the peer is given no more window; Node's own bound differs by version. */
const mostWaitingBytes = 16 * 1024;

/** The stream below. */
export interface TunnelStream {
  sendBody(chunk: Buffer): boolean;
  sendEnd(trailers: undefined): void;
  pauseBody(): void;
  resumeBody(): void;
  /** Ends the stream so that the peer cannot take it for complete. */
  cancel(): void;
}

/** Addresses of the connection that carries it. */
export interface TunnelAddresses {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

export class StreamTunnel extends Duplex {
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly #stream: TunnelStream;
  #isOver = false;
  #onRoom: (() => void) | undefined;

  constructor(stream: TunnelStream, { localAddress, localPort, remoteAddress, remotePort }: TunnelAddresses) {
    super({ allowHalfOpen: true, highWaterMark: mostWaitingBytes, emitClose: false });
    this.on('error', ignore); // `close` tells that there was one
    this.#stream = stream;
    this.localAddress = localAddress;
    this.localPort = localPort;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  // ---- from the stream

  receive(chunk: Buffer): void {
    if (!this.push(Buffer.from(chunk))) this.#stream.pauseBody();
  }

  receiveEnd(): void {
    this.push(null);
  }

  /** The stream was reset, or its connection is lost. */
  gone(reason: string): void {
    this.#isOver = true;
    this.destroy(new Error(reason));
  }

  /** Both sides have ended in order. */
  done(): void {
    this.#isOver = true;
  }

  room(): void {
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
  }

  // ---- to the stream

  override _read(): void {
    this.#stream.resumeBody();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#stream.sendBody(chunk)) done();
    else this.#onRoom = done;
  }

  override _final(done: () => void): void {
    this.#stream.sendEnd(undefined);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#isOver) this.#stream.cancel();
    this.#isOver = true;
    done(error);
    process.nextTick(() => this.emit('close', error !== null)); // as a socket tells it
  }

  /** As a socket has it: ends our side, and goes once that is sent. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Breaks it off: the other side must not take what it has for everything. */
  resetAndDestroy(): this {
    return this.destroy();
  }
}

function ignore(): void {
  // see above
}
