// Takes the framing off HTTP/1 bodies (RFC 9112 sections 6 and 7) and tells where the message ends.
import type { BodyFraming, Headers } from '../message.js';
import { HttpSyntaxError, parseTrailers, type HeadLimits } from './head.js';

/** Receives what is inside the framing. */
export interface BodySink {
  onBody(chunk: Buffer): void;
  /** The message is complete. */
  onBodyEnd(trailers: Headers | undefined): void;
}

/** Most bytes of chunk extensions in one body; they are read and dropped. */
const mostExtensionBytes = 4096;
/** Longest line with the size of a chunk, extensions included. */
const longestSizeLine = mostExtensionBytes + 32;

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

const enum Step {
  Size,
  Data,
  DataEnd,
  Trailers,
  Done,
}

/** Decodes one body after another; `begin` prepares it for the next. */
export class BodyDecoder {
  readonly #limits: HeadLimits;
  #framing: BodyFraming = 'none';
  #remaining = 0;
  #step: Step = Step.Done;
  #line = '';
  #extensionBytes = 0;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  begin(framing: BodyFraming, contentLength: number): void {
    this.#framing = framing;
    this.#remaining = framing === 'length' ? contentLength : 0;
    this.#step = framing === 'none' ? Step.Done : framing === 'chunked' ? Step.Size : Step.Data;
    this.#line = '';
    this.#extensionBytes = 0;
  }

  /** Whether the body is complete; one that ends with the connection never is before that. */
  get isDone(): boolean {
    return this.#step === Step.Done;
  }

  /**
   * Decodes `bytes` from `at`.
   * @returns where the message ends, or `bytes.length`
   * @throws HttpSyntaxError where the framing is wrong
   */
  feed(bytes: Buffer, at: number, sink: BodySink): number {
    if (this.#framing === 'close') {
      if (at < bytes.length) sink.onBody(at === 0 ? bytes : bytes.subarray(at));
      return bytes.length;
    }
    if (this.#framing === 'length') return this.#feedLength(bytes, at, sink);
    return this.#feedChunked(bytes, at, sink);
  }

  /** The connection ended: true where that completes the body. */
  end(sink: BodySink): boolean {
    if (this.#framing !== 'close' || this.#step === Step.Done) return false;
    this.#step = Step.Done;
    sink.onBodyEnd(undefined);
    return true;
  }

  #feedLength(bytes: Buffer, at: number, sink: BodySink): number {
    const end = Math.min(bytes.length, at + this.#remaining);
    this.#remaining -= end - at;
    if (end > at) sink.onBody(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    if (this.#remaining === 0) {
      this.#step = Step.Done;
      sink.onBodyEnd(undefined);
    }
    return end;
  }

  #feedChunked(bytes: Buffer, from: number, sink: BodySink): number {
    let at = from;
    while (at < bytes.length && this.#step !== Step.Done) {
      switch (this.#step) {
        case Step.Size:
          at = this.#readLine(bytes, at, longestSizeLine, 413);
          if (this.#line.endsWith('\n')) this.#beginChunk(this.#line.slice(0, -2));
          break;
        case Step.Data: {
          const end = Math.min(bytes.length, at + this.#remaining);
          this.#remaining -= end - at;
          sink.onBody(bytes.subarray(at, end));
          at = end;
          if (this.#remaining === 0) this.#step = Step.DataEnd;
          break;
        }
        case Step.DataEnd:
          at = this.#readLine(bytes, at, 2, 400);
          if (this.#line.endsWith('\n')) {
            if (this.#line !== '\r\n') throw new HttpSyntaxError(400, 'chunk is longer than it says');
            this.#line = '';
            this.#step = Step.Size;
          }
          break;
        case Step.Trailers:
          at = this.#readTrailers(bytes, at, sink);
          break;
      }
    }
    return at;
  }

  /** Appends to `#line` up to and with the next line feed; a line feed without carriage return is refused. */
  #readLine(bytes: Buffer, at: number, longest: number, status: number): number {
    const feed = bytes.indexOf(lineFeed, at);
    const end = feed < 0 ? bytes.length : feed + 1;
    if (this.#line.length + end - at > longest) throw new HttpSyntaxError(status, 'line in a chunked body is too long');
    this.#line += bytes.toString('latin1', at, end);
    const length = this.#line.length;
    if (feed >= 0 && (length < 2 || this.#line.charCodeAt(length - 2) !== carriageReturn))
      throw new HttpSyntaxError(400, 'line in a chunked body ends without carriage return');
    return end;
  }

  #beginChunk(line: string): void {
    this.#line = '';
    const match = /^([0-9A-Fa-f]{1,13})([ \t]*;[^\r\n]*)?$/.exec(line);
    // oxlint-disable-next-line no-control-regex -- control characters are what is refused
    if (match === null || /[\x00-\x08\x0a-\x1f\x7f]/.test(line))
      throw new HttpSyntaxError(400, 'chunk size is malformed');
    // A peer that pads every chunk makes us read far more than it sends of content: that has a bound for the whole body.
    this.#extensionBytes += match[2]?.length ?? 0;
    if (this.#extensionBytes > mostExtensionBytes) throw new HttpSyntaxError(413, 'chunk extensions are too long');
    this.#remaining = Number.parseInt(match[1]!, 16);
    this.#step = this.#remaining === 0 ? Step.Trailers : Step.Data;
  }

  #readTrailers(bytes: Buffer, at: number, sink: BodySink): number {
    // The section ends with an empty line; `#line` collects it whole.
    const before = this.#line.length;
    let end = at;
    while (end < bytes.length) {
      const feed = bytes.indexOf(lineFeed, end);
      end = feed < 0 ? bytes.length : feed + 1;
      this.#line += bytes.toString('latin1', at + (this.#line.length - before), end);
      if (this.#line.length > this.#limits.bytes) throw new HttpSyntaxError(431, 'trailers are too long');
      if (feed < 0) return end;
      if (this.#line.charCodeAt(this.#line.length - 2) !== carriageReturn)
        throw new HttpSyntaxError(400, 'trailer line ends without carriage return');
      if (this.#line === '\r\n' || this.#line.endsWith('\r\n\r\n')) {
        const text = this.#line === '\r\n' ? '' : this.#line.slice(0, -4);
        this.#step = Step.Done;
        const trailers = parseTrailers(text, this.#limits);
        sink.onBodyEnd(trailers.length === 0 ? undefined : trailers);
        return end;
      }
    }
    return end;
  }
}
