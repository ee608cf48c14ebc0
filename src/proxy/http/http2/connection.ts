// One HTTP/2 connection (RFC 9113), as both sides have it: settings, windows, streams, and the limits on what the peer can make
// us do. What a request is, the two sides know.
import type { Socket } from 'node:net';
import type { Headers } from '../message.js';
import { readBorrowed } from '../../net/direct-reads.js';
import { sweep, type Swept } from '../../net/sweeper.js';
import { FrameBudget } from './frame-budget.js';
import { FrameReader, checkDependency, type FrameHandler } from './frame-reader.js';
import { FrameWriter } from './frame-writer.js';
import {
  ConnectionError,
  errorCode,
  flag,
  frameType,
  initialWindow,
  largestStreamId,
  largestWindow,
  setting,
  StreamError,
  type ErrorCode,
} from './frames.js';
import { HpackError, HpackDecoder } from './hpack/decoder.js';
import type { Http2Limits } from './limits.js';
import type { Http2Stream } from './stream.js';

/** What is announced to the peer and held against it. */
export interface ConnectionLimits extends Http2Limits {
  /** Bytes of a header list (RFC 9113 section 10.5.1: 32 more a field than its text). */
  readonly listBytes: number;
  readonly fields: number;
  /** Within a stream, without a byte in either direction, in milliseconds. */
  readonly streamIdleTimeoutMs: number;
  /** Streams that may go wrong by the peer's doing: resets, refusals, faults. */
  readonly faults: FrameBudget;
  /** Whether the peer is the client, which begins with the preface. */
  readonly expectsPreface: boolean;
  /**
   * Window of the peer's below which no more body is asked for, so that what comes in one read fits and need not be kept; 0
   * where nobody knows when the peer opens its windows again.
   */
  readonly leastWindowBytes: number;
}

/** A header block, decoded. */
export interface HeaderBlock {
  readonly fields: Headers;
  /** Size of the list as it is held to the limit. */
  readonly listBytes: number;
  /** Whether it is over a limit; `fields` is not complete then. */
  readonly isTooLarge: boolean;
  readonly endStream: boolean;
  /** Names of fields that may never be put into a table, by nobody on the way (RFC 7541 section 7.1.3). */
  readonly secrets: readonly string[];
}

/** By how much a header block may be longer than the list may be: the stream answers for what is within, the connection beyond. */
const blocksPerList = 2;
/** Frames that only cost us, at once and for ever; useful ones allow for two more each. */
const mostNuisances = 1000;
const nuisancesPerSecond = 20;
const nuisancesPerFrame = 2;
/** Window updates beyond the frames that they can be about. */
const mostIdleUpdates = 1000;
/** How long input is still read and dropped after our last word, so that it is not lost to a reset. */
const lingerMs = 1000;
/** How long a peer may take nothing of our last words. */
const lastWordsMs = 30_000;
/** Streams that are remembered after their end, to tell what comes late from what must not come. */
const remembered = 64;
/** The same of those that we reset: for as many as may be under way the peer may have sent something before it heard of that. */
const rememberedResets = 1024;

export abstract class Http2Connection<S extends Http2Stream = Http2Stream> implements FrameHandler, Swept {
  protected readonly socket: Socket;
  protected readonly writer: FrameWriter;
  protected readonly streams = new Map<number, S>();
  protected readonly limits: ConnectionLimits;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder();
  readonly #stopSweeping: () => void;

  /** Monotonic time of the last input or tick: exact enough for time-outs, and read once a turn. */
  nowMs = performance.now();
  /** Monotonic time of the last input. */
  protected lastInputMs = this.nowMs;
  #sendWindow = initialWindow;
  #largestSendWindow = initialWindow;
  #streamSendWindow = initialWindow;
  #owedBytes = 0;
  /** Streams with body that only the connection's window keeps back. */
  readonly #blocked = new Set<Http2Stream>();
  readonly #awaitingDrain = new Set<Http2Stream>();
  readonly #nuisances = new FrameBudget(mostNuisances, nuisancesPerSecond);
  readonly #updates = new FrameBudget(mostIdleUpdates, nuisancesPerSecond);
  #hasSettings = false;
  #isOver = false;
  readonly #resetByUs = new Set<number>();
  /** What the peer has not taken since when, after our last word. */
  #leftBytes = -1;
  #leftSinceMs = 0;
  readonly #ended = new Uint32Array(remembered);
  #endings = 0;

  constructor(socket: Socket, limits: ConnectionLimits) {
    this.socket = socket;
    this.limits = limits;
    this.writer = new FrameWriter(socket, () => this.#onTaken());
    this.#reader = new FrameReader(this, blocksPerList * limits.listBytes, limits.expectsPreface);
    this.#stopSweeping = sweep(this);
    socket.on('end', this.#onInputEnd);
    socket.on('close', this.#onSocketClose);
    socket.on('error', ignore); // 'close' follows
  }

  // ---- for the two sides

  /** Streams that the peer may have begun are up to here; what is beyond was never begun. */
  protected abstract isIdleStream(id: number): boolean;
  protected abstract onNewBlock(id: number, block: HeaderBlock): void;
  protected abstract onSetting(id: number, value: number): void;
  /** The peer has told settings, all of which are in force. */
  protected abstract onSettings(): void;
  protected abstract onGoaway(lastStreamId: number, code: number): void;
  protected abstract onPingAck(): void;
  /** The highest stream of the peer's that we worked on. */
  protected abstract get lastPeerStream(): number;
  /** A stream has ended, or the connection's state changed. */
  protected abstract onStreamGone(stream: S): void;
  protected abstract onClosed(): void;
  /** Called once a second. */
  protected abstract onSecond(nowMs: number): void;

  get isOver(): boolean {
    return this.#isOver;
  }

  get hasRoom(): boolean {
    return this.writer.hasRoom;
  }

  /** Whether the windows have room for a read of the other side. */
  hasWindow({ sendWindow }: Http2Stream): boolean {
    // Never more than a quarter of what the peer gives: half of it is given back by then.
    const least = Math.min(this.limits.leastWindowBytes, this.#streamSendWindow / 4, this.#largestSendWindow / 4);
    return sendWindow >= least && this.#sendWindow >= least;
  }

  get queuedBytes(): number {
    return this.writer.queuedBytes;
  }

  /** Body that the peer may send on one stream before somebody takes it. */
  get streamWindow(): number {
    return this.limits.streamWindowBytes;
  }

  /** What the peer lets a new stream send. */
  protected get streamSendWindow(): number {
    return this.#streamSendWindow;
  }

  /** Number of the frame or header block that has begun and is not complete; 0: none. */
  protected get frameUnderWay(): number {
    return this.#reader.underWay;
  }

  /** Sends our settings, and opens the window for all bodies together. */
  protected sendSettings(more: readonly (readonly [number, number])[]): void {
    this.writer.settings([
      [setting.initialWindowSize, this.limits.streamWindowBytes],
      [setting.maxHeaderListSize, this.limits.listBytes],
      ...more,
    ]);
    if (this.limits.connectionWindowBytes > initialWindow)
      this.writer.windowUpdate(0, this.limits.connectionWindowBytes - initialWindow);
  }

  /** Begins to read, with bytes that were read while the connection was looked at. */
  protected read(first: Buffer | undefined): void {
    if (first !== undefined && first.length > 0) this.#onInput(first);
    readBorrowed(this.socket, (bytes) => {
      this.#onInput(bytes);
      return true;
    });
    this.socket.resume(); // whoever opened or accepted it had paused it
    if (this.socket.readableEnded) this.destroy(); // told before anybody listened
  }

  // ---- for streams

  /** Writes as much of a body as the windows allow. @returns bytes written */
  writeData(stream: Http2Stream, chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length) {
      const length = Math.min(chunk.length - at, this.writer.longestData, stream.sendWindow, this.#sendWindow);
      if (length <= 0) {
        if (stream.sendWindow > 0) this.#blocked.add(stream);
        break;
      }
      this.writer.data(stream.id, chunk, at, at + length);
      stream.sendWindow -= length;
      this.#sendWindow -= length;
      this.#updates.give(nuisancesPerFrame);
      at += length;
    }
    return at;
  }

  writeEnd(streamId: number, trailers: Headers | undefined): void {
    if (trailers === undefined || trailers.length === 0) this.writer.endStream(streamId);
    else {
      this.writer.beginBlock(trailers);
      this.writer.fields(trailers);
      this.writer.endBlock(streamId, true);
    }
  }

  writeReset(streamId: number, code: ErrorCode): void {
    if (this.#isOver) return;
    this.writer.rst(streamId, code);
    this.#resetByUs.add(streamId);
    if (this.#resetByUs.size <= rememberedResets) return;
    for (const oldest of this.#resetByUs) {
      this.#resetByUs.delete(oldest);
      return;
    }
  }

  returnCredit(streamId: number, bytes: number): void {
    if (!this.#isOver) this.writer.windowUpdate(streamId, bytes);
  }

  awaitDrain(stream: Http2Stream): void {
    this.#awaitingDrain.add(stream);
  }

  forget(stream: Http2Stream): void {
    this.#ended[this.#endings++ % remembered] = stream.id;
    this.streams.delete(stream.id);
    this.#blocked.delete(stream);
    this.#awaitingDrain.delete(stream);
    this.onStreamGone(stream as S);
  }

  /** Something of a stream went wrong by the peer's doing; too often, and the connection ends. */
  countFault(): void {
    if (!this.limits.faults.take()) throw new ConnectionError(errorCode.enhanceYourCalm, 'too many streams were reset');
  }

  // ---- input

  readonly #onInput = (bytes: Buffer): void => {
    if (this.#isOver) return;
    this.nowMs = performance.now();
    this.lastInputMs = this.nowMs;
    try {
      this.#reader.feed(bytes);
    } catch (error) {
      if (error instanceof ConnectionError) this.end(error.code, error.message);
      else throw error;
    }
  };

  onData(streamId: number, data: Buffer, flowBytes: number, endStream: boolean): void {
    this.#takeFlow(flowBytes);
    if (data.length > 0) this.#nuisances.give(nuisancesPerFrame);
    else if (!endStream) this.#countNuisance();
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.#onClosedStream(streamId, 'DATA');
      return;
    }
    try {
      stream.receive(data, flowBytes, endStream);
    } catch (error) {
      this.#onThrown(stream, error);
    }
  }

  /** Credit for the connection is returned on receipt: a stream that nobody reads keeps no other waiting. */
  #takeFlow(bytes: number): void {
    this.#owedBytes += bytes;
    const window = Math.max(this.limits.connectionWindowBytes, initialWindow);
    if (this.#owedBytes > window)
      throw new ConnectionError(errorCode.flowControlError, 'more bodies than the window of the connection allows');
    if (this.#owedBytes * 2 < window) return;
    this.writer.windowUpdate(0, this.#owedBytes);
    this.#owedBytes = 0;
  }

  onHeaders(streamId: number, block: Buffer, start: number, end: number, endStream: boolean): void {
    const message = this.#decode(block, start, end, endStream);
    if (end === start) this.#countNuisance();
    const stream = this.streams.get(streamId);
    try {
      if (stream === undefined) this.onNewBlock(streamId, message);
      else stream.onBlock(message);
    } catch (error) {
      const begun = this.streams.get(streamId);
      if (begun === undefined) throw error;
      this.#onThrown(begun, error);
    }
  }

  #decode(block: Buffer, start: number, end: number, endStream: boolean): HeaderBlock {
    const fields: Headers = [];
    const { listBytes: most, fields: mostFields } = this.limits;
    try {
      const listBytes = this.#decoder.decode(block, start, end, fields, most, mostFields + 1);
      const isTooLarge = listBytes > most || fields.length > 2 * mostFields;
      return { fields, listBytes, isTooLarge, endStream, secrets: this.#decoder.neverIndexed };
    } catch (error) {
      if (error instanceof HpackError) throw new ConnectionError(errorCode.compressionError, error.message);
      throw error;
    }
  }

  #onThrown(stream: Http2Stream, error: unknown): void {
    if (error instanceof StreamError) stream.fail(error.code, error.message);
    else if (error instanceof ConnectionError) throw error;
    else stream.onCrash(error);
  }

  /** A frame for a stream that is over, or never was. */
  #onClosedStream(streamId: number, what: string): void {
    if (this.isIdleStream(streamId))
      throw new ConnectionError(errorCode.protocolError, `${what} on a stream that was never opened`);
    if (this.#resetByUs.has(streamId)) return; // it was on its way
    throw new ConnectionError(errorCode.streamClosed, `${what} on a stream that is closed`);
  }

  /** HEADERS for a stream that is not there and cannot be new. */
  protected refuseOldStream(streamId: number): void {
    if (this.#resetByUs.has(streamId)) return;
    if (this.#ended.includes(streamId))
      throw new ConnectionError(errorCode.streamClosed, 'HEADERS on a stream that is closed');
    throw new ConnectionError(errorCode.protocolError, 'streams must be opened in ascending order');
  }

  onControl(type: number, flags: number, streamId: number, bytes: Buffer, start: number, length: number): void {
    switch (type) {
      case frameType.settings:
        this.#onSettings(flags, streamId, bytes, start, length);
        break;
      case frameType.windowUpdate:
        this.#onWindowUpdate(streamId, bytes, start, length);
        break;
      case frameType.rstStream:
        this.#onReset(streamId, bytes, start, length);
        break;
      case frameType.ping:
        this.#onPing(flags, streamId, bytes, start, length);
        break;
      case frameType.goaway:
        if (streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'GOAWAY on a stream');
        if (length < 8) throw new ConnectionError(errorCode.frameSizeError, 'GOAWAY is too short');
        this.onGoaway(bytes.readUInt32BE(start) & largestStreamId, bytes.readUInt32BE(start + 4));
        break;
      case frameType.priority:
        if (streamId === 0) throw new ConnectionError(errorCode.protocolError, 'PRIORITY without a stream');
        if (length !== 5) this.#failOrEnd(streamId, errorCode.frameSizeError, 'PRIORITY has a wrong length');
        else checkDependency(streamId, bytes, start);
        this.#countNuisance();
        break;
      case frameType.pushPromise:
        throw new ConnectionError(errorCode.protocolError, 'nobody may push here');
      default:
        this.#countNuisance(); // unknown frames are ignored (section 5.5)
    }
  }

  #failOrEnd(streamId: number, code: ErrorCode, reason: string): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) throw new ConnectionError(code, reason);
    stream.fail(code, reason);
  }

  #onSettings(flags: number, streamId: number, bytes: Buffer, start: number, length: number): void {
    if (streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'SETTINGS on a stream');
    if ((flags & flag.ack) !== 0) {
      if (length !== 0) throw new ConnectionError(errorCode.frameSizeError, 'an acknowledgement has content');
      return;
    }
    if (length % 6 !== 0) throw new ConnectionError(errorCode.frameSizeError, 'SETTINGS has a wrong length');
    this.#hasSettings = true;
    this.#countNuisance();
    for (let at = start; at < start + length; at += 6)
      this.#applySetting(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
    this.writer.settingsAck();
    this.onSettings();
  }

  #applySetting(id: number, value: number): void {
    switch (id) {
      case setting.headerTableSize:
        this.writer.encoder.setMaxTableBytes(value);
        break;
      case setting.enablePush:
        if (value > 1) throw new ConnectionError(errorCode.protocolError, 'ENABLE_PUSH is neither 0 nor 1');
        break;
      case setting.initialWindowSize: {
        if (value > largestWindow) throw new ConnectionError(errorCode.flowControlError, 'a window is too large');
        const change = value - this.#streamSendWindow;
        this.#streamSendWindow = value;
        for (const stream of this.streams.values()) {
          stream.sendWindow += change;
          if (stream.sendWindow > largestWindow)
            throw new ConnectionError(errorCode.flowControlError, 'a window is too large');
        }
        if (change > 0) this.#sendAll(this.streams.values());
        break;
      }
      case setting.maxFrameSize:
        if (value < 16_384 || value > 16_777_215)
          throw new ConnectionError(errorCode.protocolError, 'MAX_FRAME_SIZE is out of bounds');
        this.writer.longestFrame = value;
        break;
    }
    this.onSetting(id, value);
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, length: number): void {
    if (length !== 4) throw new ConnectionError(errorCode.frameSizeError, 'WINDOW_UPDATE has a wrong length');
    const amount = bytes.readUInt32BE(start) & largestWindow;
    if (!this.#updates.take()) throw new ConnectionError(errorCode.enhanceYourCalm, 'too many window updates');
    if (streamId === 0) {
      if (amount === 0) throw new ConnectionError(errorCode.protocolError, 'a window grows by nothing');
      this.#sendWindow += amount;
      this.#largestSendWindow = Math.max(this.#largestSendWindow, this.#sendWindow);
      if (this.#sendWindow > largestWindow)
        throw new ConnectionError(errorCode.flowControlError, 'the window of the connection is too large');
      const waiting = [...this.#blocked];
      this.#blocked.clear();
      this.#sendAll(waiting);
      this.#onTaken();
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdleStream(streamId))
        throw new ConnectionError(errorCode.protocolError, 'WINDOW_UPDATE on a stream that was never opened');
      return;
    }
    if (amount === 0) stream.fail(errorCode.protocolError, 'a window grows by nothing');
    else if (stream.sendWindow + amount > largestWindow)
      stream.fail(errorCode.flowControlError, 'the window of a stream is too large');
    else {
      stream.sendWindow += amount;
      this.#sendAll([stream]);
    }
  }

  #sendAll(streams: Iterable<Http2Stream>): void {
    for (const stream of streams) {
      try {
        stream.sendPending();
      } catch (error) {
        this.#onThrown(stream, error);
      }
    }
  }

  #onReset(streamId: number, bytes: Buffer, start: number, length: number): void {
    if (length !== 4) throw new ConnectionError(errorCode.frameSizeError, 'RST_STREAM has a wrong length');
    if (streamId === 0) throw new ConnectionError(errorCode.protocolError, 'RST_STREAM without a stream');
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdleStream(streamId))
        throw new ConnectionError(errorCode.protocolError, 'RST_STREAM on a stream that was never opened');
      this.#countNuisance();
      return;
    }
    const code = bytes.readUInt32BE(start) as ErrorCode;
    try {
      stream.gone(code, `the stream was reset with code ${code}`);
    } catch (error) {
      this.#onThrown(stream, error);
    }
    this.onPeerReset();
  }

  /** The peer has reset a stream that was under way. */
  protected onPeerReset(): void {
    // only callers are held to a budget
  }

  #onPing(flags: number, streamId: number, bytes: Buffer, start: number, length: number): void {
    if (streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'PING on a stream');
    if (length !== 8) throw new ConnectionError(errorCode.frameSizeError, 'PING has a wrong length');
    if ((flags & flag.ack) !== 0) this.onPingAck();
    else {
      this.#countNuisance();
      this.writer.ping(bytes.subarray(start, start + 8), true);
    }
  }

  #countNuisance(): void {
    if (!this.#nuisances.take())
      throw new ConnectionError(errorCode.enhanceYourCalm, 'too many frames that carry nothing');
  }

  /** A message has begun: frames that carry nothing may accompany it. */
  protected countMessage(): void {
    this.#nuisances.give(nuisancesPerFrame);
    this.#updates.give(nuisancesPerFrame);
  }

  /** Whether the peer's settings have come. */
  protected get hasSettings(): boolean {
    return this.#hasSettings;
  }

  // ---- the end

  /** Says why, ends all streams, and closes once that has been said. */
  end(code: ErrorCode, reason: string): void {
    if (this.#isOver) return;
    this.writer.goaway(this.lastPeerStream, code, reason);
    this.#finish(code, reason);
    this.writer.end();
    this.socket.resume();
    this.socket.once('finish', () => setTimeout(() => this.socket.destroy(), lingerMs).unref());
  }

  /** Closes a connection on which nothing is under way. */
  protected close(): void {
    this.end(errorCode.noError, '');
  }

  destroy(): void {
    this.socket.destroy();
  }

  readonly #onInputEnd = (): void => {
    if (this.#isOver) return;
    this.#finish(errorCode.connectError, 'the peer closed the connection');
    this.writer.end();
    this.socket.once('finish', () => this.socket.destroy());
  };

  readonly #onSocketClose = (): void => {
    this.#stopSweeping();
    this.#finish(errorCode.connectError, 'the connection was lost');
    this.onClosed();
  };

  #finish(code: ErrorCode, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#reader.stop();
    for (const stream of this.streams.values()) {
      try {
        stream.gone(code, reason);
      } catch (error) {
        stream.onCrash(error);
      }
    }
  }

  /** The socket has taken what was written, whether or not it says `drain`: it does not where all went at once. */
  #onTaken(): void {
    if (!this.writer.hasRoom) return;
    const waiting = [...this.#awaitingDrain];
    this.#awaitingDrain.clear();
    for (const stream of waiting) stream.tellDrain();
    this.onRoom();
  }

  /** The socket has taken what was queued. */
  protected onRoom(): void {
    // for those that stopped reading meanwhile
  }

  onTick(nowMs: number): void {
    this.nowMs = nowMs;
    if (this.#isOver) {
      this.#awaitLastWords(nowMs);
      return;
    }
    for (const stream of this.streams.values())
      if (nowMs - stream.lastActivityMs > this.limits.streamIdleTimeoutMs) stream.onIdle();
    this.onSecond(nowMs);
  }

  /** A peer that takes nothing of what is still to be sent does not keep the connection for ever. */
  #awaitLastWords(nowMs: number): void {
    const { writableLength } = this.socket;
    if (writableLength !== this.#leftBytes) this.#leftSinceMs = nowMs;
    else if (nowMs - this.#leftSinceMs > lastWordsMs) this.socket.destroy();
    this.#leftBytes = writableLength;
  }
}

function ignore(): void {
  // errors of sockets are followed by 'close'
}
