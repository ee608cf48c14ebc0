// One HTTP/2 connection from a caller: every stream is a request that is answered on its own. Ends in two steps, so that no
// request is lost that was on its way (RFC 9113 section 6.8).
import type { Socket } from 'node:net';
import type { Handled } from '../../listener/filter-chain.js';
import { memoryPressure } from '../../net/memory-pressure.js';
import type { RequestHead, ResponseHead } from '../message.js';
import type { RequestHandler } from '../request-handler.js';
import { Http2Connection, type HeaderBlock } from './connection.js';
import { FrameBudget } from './frame-budget.js';
import { ConnectionError, errorCode, largestStreamId, setting, StreamError } from './frames.js';
import { readRequestHead, writeResponseHead } from './heads.js';
import { carriedHeadFactor, leastWindowOfMesh, type Http2Limits } from './limits.js';
import { Http2ServerStream } from './server-stream.js';
import type { TunnelAddresses } from './stream-tunnel.js';

/** Streams that a caller may have gone wrong or reset: 200 within half a minute. */
const mostFaults = { atOnce: 100, perSecond: 100 / 30 };
/** The same for a proxy of the mesh, which carries the requests of many callers that may all give up at once. */
const mostFaultsOfMesh = { atOnce: 1000, perSecond: 100 };
/** Above this many bytes that the caller does not take no further requests of it are read. */
const mostQueuedBytes = 1024 * 1024;
/** How long a caller may take to answer the announcement that the connection ends. */
const announcementMs = 1000;
const pingContent = Buffer.from('lateen\0\0', 'latin1');

export interface ServerOptions {
  readonly limits: Http2Limits;
  /** Whether the peer is a Lateen proxy, which carries requests of every version. */
  readonly carries: boolean;
  /** Called once when the connection has ended. */
  readonly onClose: () => void;
}

export class Http2ServerConnection extends Http2Connection<Http2ServerStream> implements Handled {
  readonly handler: RequestHandler;
  readonly addresses: TunnelAddresses;
  readonly #options: ServerOptions;
  /** The highest stream that we worked on, and the highest that the caller has opened. */
  #lastStream = 0;
  #highestStream = 0;
  #drainState: 'open' | 'announced' | 'final' = 'open';
  #announcedMs = 0;
  /** What is under way of a frame since when. */
  #frameUnderWay = 0;
  #frameSinceMs = 0;
  #idleSinceMs = performance.now();

  constructor(socket: Socket, handler: RequestHandler, options: ServerOptions) {
    const { atOnce, perSecond } = options.carries ? mostFaultsOfMesh : mostFaults;
    const factor = options.carries ? carriedHeadFactor : 1;
    super(socket, {
      ...options.limits,
      listBytes: factor * handler.limits.bytes,
      fields: factor * handler.limits.fields,
      streamIdleTimeoutMs: handler.limits.streamIdleTimeoutMs,
      faults: new FrameBudget(atOnce, perSecond),
      expectsPreface: true,
      leastWindowBytes: options.carries ? leastWindowOfMesh : 0,
    });
    this.handler = handler;
    this.addresses = socket;
    this.#options = options;
  }

  /** Begins with bytes that were read while the connection was looked at. */
  start(first: Buffer | undefined): void {
    this.sendSettings([
      [setting.maxConcurrentStreams, this.limits.maxConcurrentStreams],
      [setting.enableConnectProtocol, 1],
    ]);
    this.read(first);
  }

  /** @returns bytes of the head */
  writeHead(streamId: number, head: ResponseHead, endStream: boolean): number {
    return writeResponseHead(this.writer, streamId, head, endStream);
  }

  /**
   * The answer of a server that was asked to switch protocols and did not: success would mean here that it has.
   * @returns bytes of the head
   */
  writeUnswitchedHead(streamId: number, head: ResponseHead, endStream: boolean): number {
    if (this.#options.carries) return writeResponseHead(this.writer, streamId, head, endStream, true);
    return this.writeHead(streamId, { ...head, status: 501 }, endStream);
  }

  get isIdle(): boolean {
    return this.streams.size === 0;
  }

  /** Takes no new requests, and ends when those under way are answered. */
  drain(): void {
    if (this.#drainState !== 'open' || this.isOver) return;
    this.#drainState = 'announced';
    this.#announcedMs = performance.now();
    this.writer.goaway(largestStreamId, errorCode.noError);
    this.writer.ping(pingContent, false); // its answer comes behind every request that was sent before the announcement arrived
  }

  #endDrain(): void {
    if (this.#drainState !== 'announced' || this.isOver) return;
    this.#drainState = 'final';
    this.writer.goaway(this.#lastStream, errorCode.noError);
    if (this.isIdle) this.close();
  }

  // ---- from the connection

  protected override get lastPeerStream(): number {
    return this.#lastStream;
  }

  protected override isIdleStream(id: number): boolean {
    return id % 2 === 0 || id > this.#highestStream;
  }

  protected override onNewBlock(id: number, block: HeaderBlock): void {
    const { isTooLarge, endStream } = block;
    if (id % 2 === 0) throw new ConnectionError(errorCode.protocolError, 'callers open streams of odd numbers');
    if (id <= this.#highestStream) {
      this.refuseOldStream(id);
      return;
    }
    this.#highestStream = id;
    if (this.#drainState === 'final' || this.streams.size >= this.limits.maxConcurrentStreams) {
      if (this.#drainState !== 'final') this.#lastStream = id;
      this.countFault();
      this.writeReset(id, errorCode.refusedStream);
      return;
    }
    this.#lastStream = id;
    this.countMessage();
    const stream = new Http2ServerStream(id, this, this.streamSendWindow);
    this.streams.set(id, stream);
    if (isTooLarge) {
      this.countFault();
      this.handler.onMalformed(431, 'the header list is too long', 'HTTP/2');
      stream.refuse(431, endStream);
      return;
    }
    stream.begin(this.#readHead(block), endStream);
    if (this.queuedBytes > mostQueuedBytes) this.socket.pause();
  }

  #readHead({ fields, listBytes, endStream, secrets }: HeaderBlock): RequestHead {
    try {
      const head = readRequestHead(fields, listBytes, this.#options.carries, endStream);
      return secrets.length === 0 ? head : { ...head, secrets };
    } catch (error) {
      if (error instanceof StreamError) this.handler.onMalformed(400, error.message, 'HTTP/2');
      throw error;
    }
  }

  protected override onRoom(): void {
    if (!this.isOver) this.socket.resume();
  }

  /** Whatever its reason: a stream whose answer is complete has ended already. */
  protected override onPeerReset(): void {
    this.countFault();
  }

  protected override onSetting(): void {
    // how many streams we may open is nothing that a server does
  }

  protected override onSettings(): void {
    // see above
  }

  protected override onGoaway(): void {
    // the caller opens no more streams
  }

  protected override onPingAck(): void {
    this.#endDrain();
  }

  protected override onStreamGone({ localEnded, remoteEnded }: Http2ServerStream): void {
    // Among requests of many callers some always give up, the more the slower a service is.
    if (this.#options.carries && localEnded && remoteEnded) this.limits.faults.give(1);
    if (this.streams.size > 0) return;
    this.#idleSinceMs = this.nowMs;
    if (this.#drainState === 'final') this.close();
  }

  protected override onClosed(): void {
    this.#options.onClose();
  }

  protected override onSecond(nowMs: number): void {
    if (memoryPressure.closesConnections) this.drain();
    if (nowMs - this.#announcedMs >= announcementMs) this.#endDrain();
    const { headTimeoutMs, idleTimeoutMs } = this.handler.limits;
    const underWay = this.hasSettings ? this.frameUnderWay : -1;
    if (underWay !== this.#frameUnderWay) this.#frameSinceMs = nowMs;
    this.#frameUnderWay = underWay;
    if (underWay !== 0 && nowMs - this.#frameSinceMs > headTimeoutMs)
      this.end(errorCode.enhanceYourCalm, 'a frame took too long');
    else if (this.isIdle && nowMs - this.#idleSinceMs > idleTimeoutMs) this.drain();
  }
}
