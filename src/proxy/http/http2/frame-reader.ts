// Cuts what a peer sends into frames (RFC 9113 section 4): header blocks are put together, bodies passed on as they come, and
// every byte is copied at most once, however small the pieces are in which it arrives.
import { ConnectionError, errorCode, flag, frameBytes, frameHeadBytes, frameType, preface } from './frames.js';

/** Takes what was read; may throw ConnectionError. */
export interface FrameHandler {
  /** A part of a body. @param flowBytes bytes that count against the windows, padding included */
  onData(streamId: number, data: Buffer, flowBytes: number, endStream: boolean): void;
  /** A whole header block. */
  onHeaders(streamId: number, block: Buffer, start: number, end: number, endStream: boolean): void;
  /** Any other frame, whole. */
  onControl(type: number, flags: number, streamId: number, bytes: Buffer, start: number, length: number): void;
}

/** Frames in which one header block may come. */
const mostFragments = 64;
const nothing = Buffer.alloc(0);

export class FrameReader {
  readonly #handler: FrameHandler;
  readonly #longestBlock: number;
  #stopped = false;
  /** Bytes of the preface that are still to come. */
  #prefaceLeft: number;
  #isFirstFrame = true;

  // The frame at hand.
  readonly #head = Buffer.allocUnsafe(frameHeadBytes);
  #headHave = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  #payload: Buffer | undefined;
  #payloadHave = 0;
  /** Bytes of a DATA frame that are still to come, padding apart; -1 outside of one. */
  #dataLeft = -1;
  #paddingLeft = 0;
  #isPadLengthNext = false;

  // The header block at hand, where it comes in several frames.
  #fragments: Buffer[] = [];
  #fragmentBytes = 0;
  #blockStream = 0;
  #blockEndsStream = false;

  /** @param longestBlock bytes of a header block beyond which the peer is cut off */
  constructor(handler: FrameHandler, longestBlock: number, expectsPreface: boolean) {
    this.#handler = handler;
    this.#longestBlock = longestBlock;
    this.#prefaceLeft = expectsPreface ? preface.length : 0;
  }

  /** Whether a frame or header block has begun and is not complete. */
  get isWithin(): boolean {
    return this.#headHave > 0 || this.#payload !== undefined || this.#blockStream !== 0;
  }

  /** Nothing more is read. */
  stop(): void {
    this.#stopped = true;
    this.#fragments = [];
    this.#payload = undefined;
  }

  /** @throws ConnectionError */
  feed(bytes: Buffer): void {
    let at = this.#prefaceLeft === 0 ? 0 : this.#readPreface(bytes);
    while (at < bytes.length && !this.#stopped) {
      if (this.#dataLeft >= 0) at = this.#readData(bytes, at);
      else if (this.#payload !== undefined) at = this.#fillPayload(this.#payload, bytes, at);
      else if (this.#headHave === 0 && bytes.length - at >= frameHeadBytes) {
        at = this.#begin(bytes, at, bytes, at + frameHeadBytes);
      } else {
        const used = bytes.copy(this.#head, this.#headHave, at, at + frameHeadBytes - this.#headHave);
        this.#headHave += used;
        at += used;
        if (this.#headHave < frameHeadBytes) return;
        this.#headHave = 0;
        at = this.#begin(this.#head, 0, bytes, at);
      }
    }
  }

  #readPreface(bytes: Buffer): number {
    const length = Math.min(this.#prefaceLeft, bytes.length);
    const from = preface.length - this.#prefaceLeft;
    if (preface.compare(bytes, 0, length, from, from + length) !== 0)
      throw new ConnectionError(errorCode.protocolError, 'the connection does not begin as HTTP/2 does');
    this.#prefaceLeft -= length;
    return length;
  }

  /** Reads a frame's head from `head`; its payload begins in `bytes`. @returns where reading goes on */
  #begin(head: Buffer, from: number, bytes: Buffer, at: number): number {
    const length = (head[from]! << 16) | (head[from + 1]! << 8) | head[from + 2]!;
    if (length > frameBytes) throw new ConnectionError(errorCode.frameSizeError, 'a frame is too long');
    const type = head[from + 3]!;
    if (this.#isFirstFrame && type !== frameType.settings)
      throw new ConnectionError(errorCode.protocolError, 'the first frame is not SETTINGS');
    this.#isFirstFrame = false;
    const flags = head[from + 4]!;
    const streamId =
      ((head[from + 5]! & 0x7f) << 24) | (head[from + 6]! << 16) | (head[from + 7]! << 8) | head[from + 8]!;
    if (this.#blockStream !== 0 && (type !== frameType.continuation || streamId !== this.#blockStream))
      throw new ConnectionError(errorCode.protocolError, 'a header block was interrupted');
    if (type === frameType.data) {
      this.#beginData(flags, streamId, length);
      return at;
    }
    if (bytes.length - at >= length) {
      this.#frame(type, flags, streamId, bytes, at, length);
      return at + length;
    }
    this.#type = type;
    this.#flags = flags;
    this.#streamId = streamId;
    this.#payload = Buffer.allocUnsafe(length);
    this.#payloadHave = 0;
    return at;
  }

  #fillPayload(payload: Buffer, bytes: Buffer, at: number): number {
    const used = bytes.copy(payload, this.#payloadHave, at);
    this.#payloadHave += used;
    if (this.#payloadHave === payload.length) {
      this.#payload = undefined;
      this.#frame(this.#type, this.#flags, this.#streamId, payload, 0, payload.length);
    }
    return at + used;
  }

  // ---- bodies

  #beginData(flags: number, streamId: number, length: number): void {
    if (streamId === 0) throw new ConnectionError(errorCode.protocolError, 'DATA without a stream');
    this.#flags = flags;
    this.#streamId = streamId;
    this.#paddingLeft = 0;
    this.#isPadLengthNext = (flags & flag.padded) !== 0;
    if (this.#isPadLengthNext && length === 0)
      throw new ConnectionError(errorCode.frameSizeError, 'a padded frame has no room for its padding');
    this.#dataLeft = length;
    if (length === 0) this.#endData(nothing, 0);
  }

  #readData(bytes: Buffer, from: number): number {
    let at = from;
    let flowBytes = 0;
    if (this.#isPadLengthNext) {
      const padding = bytes[at++]!;
      this.#isPadLengthNext = false;
      if (padding > --this.#dataLeft)
        throw new ConnectionError(errorCode.protocolError, 'padding is longer than its frame');
      this.#dataLeft -= padding;
      this.#paddingLeft = padding;
      flowBytes = 1 + padding; // counted at once, before it has come
    }
    const end = Math.min(bytes.length, at + this.#dataLeft);
    const data = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
    this.#dataLeft -= data.length;
    const skipped = this.#dataLeft === 0 ? Math.min(this.#paddingLeft, bytes.length - end) : 0;
    this.#paddingLeft -= skipped;
    if (this.#dataLeft === 0 && this.#paddingLeft === 0) this.#endData(data, flowBytes + data.length);
    else if (data.length + flowBytes > 0) this.#handler.onData(this.#streamId, data, flowBytes + data.length, false);
    return end + skipped;
  }

  #endData(data: Buffer, flowBytes: number): void {
    this.#dataLeft = -1;
    this.#handler.onData(this.#streamId, data, flowBytes, (this.#flags & flag.endStream) !== 0);
  }

  // ---- everything else

  #frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, length: number): void {
    if (type === frameType.headers) this.#headers(flags, streamId, bytes, start, length);
    else if (type === frameType.continuation) this.#continuation(flags, streamId, bytes, start, length);
    else this.#handler.onControl(type, flags, streamId, bytes, start, length);
  }

  #headers(flags: number, streamId: number, bytes: Buffer, from: number, length: number): void {
    if (streamId === 0) throw new ConnectionError(errorCode.protocolError, 'HEADERS without a stream');
    let start = from;
    let end = from + length;
    if ((flags & flag.padded) !== 0) {
      if (length < 1) throw new ConnectionError(errorCode.frameSizeError, 'a padded frame has no room for its padding');
      end -= bytes[start++]!;
    }
    if ((flags & flag.priority) !== 0) {
      if (end - start < 5) throw new ConnectionError(errorCode.frameSizeError, 'HEADERS has no room for its priority');
      checkDependency(streamId, bytes, start);
      start += 5;
    }
    if (end < start) throw new ConnectionError(errorCode.protocolError, 'padding is longer than its frame');
    const endStream = (flags & flag.endStream) !== 0;
    if ((flags & flag.endHeaders) !== 0) this.#handler.onHeaders(streamId, bytes, start, end, endStream);
    else {
      this.#blockStream = streamId;
      this.#blockEndsStream = endStream;
      this.#keep(bytes, start, end);
    }
  }

  #continuation(flags: number, streamId: number, bytes: Buffer, start: number, length: number): void {
    if (this.#blockStream === 0)
      throw new ConnectionError(errorCode.protocolError, 'CONTINUATION continues no header block');
    this.#keep(bytes, start, start + length);
    if ((flags & flag.endHeaders) === 0) return;
    const block = Buffer.concat(this.#fragments);
    this.#fragments = [];
    this.#fragmentBytes = 0;
    this.#blockStream = 0;
    this.#handler.onHeaders(streamId, block, 0, block.length, this.#blockEndsStream);
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    this.#fragmentBytes += end - start;
    if (this.#fragmentBytes > this.#longestBlock || this.#fragments.length >= mostFragments)
      throw new ConnectionError(errorCode.enhanceYourCalm, 'a header block is too long');
    this.#fragments.push(Buffer.from(bytes.subarray(start, end)));
  }
}

/** A stream that depends on itself (RFC 7540 section 5.3.1; ignored otherwise, as RFC 9113 says). */
export function checkDependency(streamId: number, bytes: Buffer, start: number): void {
  if ((bytes.readUInt32BE(start) & 0x7fffffff) === streamId)
    throw new ConnectionError(errorCode.protocolError, 'a stream depends on itself');
}
