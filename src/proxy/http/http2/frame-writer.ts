// Builds the frames of one HTTP/2 connection in buffers that are lent for a turn of the event loop, so that everything due for
// the connection leaves in one call. Header blocks are compressed here, in the order in which they leave.
import type { Duplex } from 'node:stream';
import type { Headers } from '../message.js';
import { flushSoon, type Flushable } from '../../net/flush-queue.js';
import { bulkBuffers, WriteBuffers } from '../../net/write-buffers.js';
import { flag, frameBytes, frameHeadBytes, frameType, type ErrorCode } from './frames.js';
import { HpackEncoder } from './hpack/encoder.js';

/** Above this many bytes on their way out, whoever produces them is asked to wait, at the least. */
const leastHighWater = 128 * 1024;
/** Room for what stands in a block beside the headers of a message: pseudo-headers and lengths. */
const extraFieldsBytes = 128;

/** Of all connections. */
export const frameBuffers = new WriteBuffers(32 * 1024, 16);

export class FrameWriter implements Flushable {
  readonly encoder = new HpackEncoder();
  readonly #socket: Duplex;
  readonly #onTaken: () => void;
  readonly #highWater: number;
  /** Longest frame that the peer takes. */
  #longestFrame = frameBytes;

  #buffer: Buffer | undefined;
  /** Where the next bytes go. */
  #at = 0;
  /** Buffers that are full. */
  #full: { readonly buffer: Buffer; readonly length: number }[] = [];
  #waitingBytes = 0;
  #isScheduled = false;
  #endsAfterFlush = false;
  #isWriting = false;

  // The block that is being written.
  #blockAt = 0;
  #blockSum = 0;

  /** Flags of the last frame that can still end its stream, and its stream; 0: none. */
  #endableStream = 0;
  #endableFlagsAt = 0;

  /** @param onTaken called when the socket has taken a write; there may be room again then */
  constructor(socket: Duplex, onTaken: () => void = () => undefined) {
    this.#socket = socket;
    this.#onTaken = onTaken;
    this.#highWater = Math.max(leastHighWater, 2 * socket.writableHighWaterMark);
  }

  /** Follows the peer's SETTINGS_MAX_FRAME_SIZE. */
  set longestFrame(bytes: number) {
    this.#longestFrame = Math.min(bytes, frameBytes);
  }

  /** Whether more may be produced now; after false `onTaken` says when to ask again. */
  get hasRoom(): boolean {
    return this.queuedBytes < this.#highWater;
  }

  /** Bytes that the peer has not taken. */
  get queuedBytes(): number {
    return this.#waitingBytes + this.#socket.writableLength;
  }

  // ---- header blocks: begin, fields, end

  /** @param headers most of what will be in the block */
  beginBlock(headers: Headers | undefined, extraBytes = 0): void {
    this.#reserve(
      frameHeadBytes + extraFieldsBytes + extraBytes + (headers === undefined ? 0 : HpackEncoder.bound(headers)),
    );
    this.#blockAt = this.#at;
    this.#blockSum = 0;
    this.#at = this.encoder.beginBlock(this.#buffer!, this.#at + frameHeadBytes);
  }

  field(name: string, value: string): void {
    this.#blockSum += name.length + value.length;
    this.#at = this.encoder.field(name, value, this.#buffer!, this.#at);
  }

  /** @param secrets names that may not be put into the table */
  fields(headers: Headers, secrets: readonly string[] = []): void {
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!;
      const value = headers[i + 1]!;
      this.#blockSum += name.length + value.length;
      const isSecret = secrets.length > 0 && secrets.includes(name);
      this.#at = this.encoder.field(name, value, this.#buffer!, this.#at, isSecret);
    }
  }

  /**
   * @param mayEnd whether the end of the stream may be told by this frame if it follows at once
   * @returns bytes of names and values, as they are counted in metrics whatever the compression
   */
  endBlock(streamId: number, endStream: boolean, mayEnd = true): number {
    const start = this.#blockAt;
    const length = this.#at - start - frameHeadBytes;
    const flags = flag.endHeaders | (endStream ? flag.endStream : 0);
    if (length <= this.#longestFrame) {
      writeFrameHead(this.#buffer!, start, length, frameType.headers, flags, streamId);
      this.#endableStream = endStream || !mayEnd ? 0 : streamId;
      this.#endableFlagsAt = start + 4;
      this.#written(length + frameHeadBytes);
    } else this.#splitBlock(streamId, endStream);
    return this.#blockSum;
  }

  /** A block that is longer than a frame may be. */
  #splitBlock(streamId: number, endStream: boolean): void {
    const block = Buffer.from(this.#buffer!.subarray(this.#blockAt + frameHeadBytes, this.#at));
    this.#at = this.#blockAt;
    this.#endableStream = 0;
    for (let from = 0; from < block.length; from += this.#longestFrame) {
      const length = Math.min(this.#longestFrame, block.length - from);
      const isLast = from + length === block.length;
      this.#frame(
        from === 0 ? frameType.headers : frameType.continuation,
        (isLast ? flag.endHeaders : 0) | (from === 0 && endStream ? flag.endStream : 0),
        streamId,
        length,
      );
      this.#at += block.copy(this.#buffer!, this.#at, from, from + length);
    }
  }

  // ---- bodies

  /** Writes one DATA frame; `from` to `to` fits the windows and the longest frame, and may change afterwards. */
  data(streamId: number, chunk: Buffer, from: number, to: number): void {
    const flagsAt = this.#frame(frameType.data, 0, streamId, to - from) + 4;
    this.#at += chunk.copy(this.#buffer!, this.#at, from, to);
    this.#endableStream = streamId;
    this.#endableFlagsAt = flagsAt;
  }

  get longestData(): number {
    return this.#longestFrame;
  }

  /** Ends our side of a stream: by its last frame where that has not left yet. */
  endStream(streamId: number): void {
    if (this.#endableStream === streamId) this.#buffer![this.#endableFlagsAt]! |= flag.endStream;
    else this.#frame(frameType.data, flag.endStream, streamId, 0);
    this.#endableStream = 0;
  }

  // ---- control

  settings(values: readonly (readonly [number, number])[]): void {
    this.#frame(frameType.settings, 0, 0, values.length * 6);
    for (const [id, value] of values) {
      this.#buffer!.writeUInt16BE(id, this.#at);
      this.#buffer!.writeUInt32BE(value, this.#at + 2);
      this.#at += 6;
    }
  }

  settingsAck(): void {
    this.#frame(frameType.settings, flag.ack, 0, 0);
  }

  /** @param opaque eight bytes */
  ping(opaque: Buffer, isAck: boolean): void {
    this.#frame(frameType.ping, isAck ? flag.ack : 0, 0, 8);
    this.#at += opaque.copy(this.#buffer!, this.#at, 0, 8);
  }

  rst(streamId: number, code: ErrorCode): void {
    this.#frame(frameType.rstStream, 0, streamId, 4);
    this.#uint32(code);
  }

  windowUpdate(streamId: number, bytes: number): void {
    this.#frame(frameType.windowUpdate, 0, streamId, 4);
    this.#uint32(bytes);
  }

  goaway(lastStreamId: number, code: ErrorCode, text = ''): void {
    this.#frame(frameType.goaway, 0, 0, 8 + text.length);
    this.#uint32(lastStreamId);
    this.#uint32(code);
    this.#at += this.#buffer!.write(text, this.#at, 'latin1');
  }

  /** Bytes as they are: the preface. */
  raw(bytes: Buffer): void {
    this.#reserve(bytes.length);
    this.#at += bytes.copy(this.#buffer!, this.#at);
    this.#written(bytes.length);
  }

  /** Sends our FIN after everything written so far. */
  end(): void {
    this.#endsAfterFlush = true;
    this.#schedule();
  }

  /** Hands everything to the socket now. */
  flush(): void {
    this.#isScheduled = false;
    if (this.#socket.destroyed) this.#drop();
    else if (this.#endsAfterFlush) {
      while (this.#hasMore) this.#writeNext();
      this.#socket.end();
    } else if (!this.#isWriting && this.#hasMore) this.#writeNext();
  }

  get #hasMore(): boolean {
    return this.#buffer !== undefined;
  }

  /**
   * Writes the oldest buffer. The next one follows when the socket has taken it: what waits behind a write is copied together
   * once more by TLS.
   */
  #writeNext(): void {
    const full = this.#full.shift();
    const buffer = full?.buffer ?? this.#buffer!;
    const length = full?.length ?? this.#at;
    if (full === undefined) {
      this.#buffer = undefined;
      this.#at = 0;
      this.#endableStream = 0;
    }
    this.#waitingBytes -= length;
    this.#isWriting = true;
    this.#socket.write(buffer.subarray(0, length), () => {
      giveBack(buffer);
      this.#isWriting = false;
      if (this.#hasMore && !this.#isScheduled) this.flush();
      this.#onTaken();
    });
  }

  /** Nobody takes anything any more. */
  #drop(): void {
    for (const { buffer } of this.#full) giveBack(buffer);
    if (this.#buffer !== undefined) giveBack(this.#buffer);
    this.#full = [];
    this.#buffer = undefined;
    this.#at = 0;
    this.#waitingBytes = 0;
  }

  // ---- inside

  #uint32(value: number): void {
    this.#at = this.#buffer!.writeUInt32BE(value, this.#at);
  }

  /** Begins a frame; its payload follows at `#at`. @returns where its head is */
  #frame(type: number, flags: number, streamId: number, length: number): number {
    this.#reserve(frameHeadBytes + length);
    const start = this.#at;
    writeFrameHead(this.#buffer!, start, length, type, flags, streamId);
    this.#at = start + frameHeadBytes;
    this.#written(frameHeadBytes + length);
    return start;
  }

  #written(bytes: number): void {
    this.#waitingBytes += bytes;
    this.#schedule();
  }

  /** Makes room for `bytes` in one piece: in a larger buffer, or behind one that is full. */
  #reserve(bytes: number): void {
    const buffer = this.#buffer;
    if (buffer !== undefined && buffer.length - this.#at >= bytes) return;
    if (buffer === undefined) {
      this.#buffer = bytes <= frameBuffers.bytes ? frameBuffers.borrow() : borrowAtLeast(bytes);
      return;
    }
    if (buffer.length === frameBuffers.bytes && this.#at + bytes <= bulkBuffers.bytes) {
      this.#buffer = bulkBuffers.borrow();
      buffer.copy(this.#buffer, 0, 0, this.#at);
      frameBuffers.giveBack(buffer);
      return;
    }
    this.#full.push({ buffer, length: this.#at });
    this.#buffer = borrowAtLeast(bytes);
    this.#at = 0;
    this.#endableStream = 0; // what was written before is in another buffer
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    flushSoon(this);
  }
}

function borrowAtLeast(bytes: number): Buffer {
  return bytes <= bulkBuffers.bytes ? bulkBuffers.borrow() : Buffer.allocUnsafeSlow(bytes);
}

function giveBack(buffer: Buffer): void {
  if (buffer.length === frameBuffers.bytes) frameBuffers.giveBack(buffer);
  else if (buffer.length === bulkBuffers.bytes) bulkBuffers.giveBack(buffer); // a longer one was made for one block
}

function writeFrameHead(
  target: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  target[at] = length >> 16;
  target[at + 1] = length >> 8;
  target[at + 2] = length;
  target[at + 3] = type;
  target[at + 4] = flags;
  target[at + 5] = streamId >>> 24;
  target[at + 6] = streamId >> 16;
  target[at + 7] = streamId >> 8;
  target[at + 8] = streamId;
}
