// The other end of an HTTP/2 connection, in the hands of a test: it sends frames, also wrong ones, and reads as lines of text what
// was sent to it.
import { errorCode, flag, frameType, preface, setting } from '../../src/proxy/http/http2/frames.js';
import { HpackDecoder } from '../../src/proxy/http/http2/hpack/decoder.js';
import { HpackEncoder } from '../../src/proxy/http/http2/hpack/encoder.js';
import { encodeBlock } from './header-blocks.js';
import { settle, type MemorySocket } from './memory-socket.js';

/** One frame as it is on the wire. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const content = Buffer.from(payload as string, 'latin1');
  const head = Buffer.alloc(9);
  head.writeUIntBE(content.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, content]);
}

export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeUInt32BE(value, 4 * i));
  return bytes;
}

/** Cuts whole frames off; `rest` is what is not whole. */
export function parseFrames(bytes: Buffer): { readonly frames: Frame[]; readonly rest: Buffer } {
  const frames: Frame[] = [];
  let at = 0;
  while (bytes.length - at >= 9) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    frames.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      stream: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end),
    });
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}

function nameOf(names: Readonly<Record<string, number>>, number: number): string {
  return Object.entries(names).find(([, value]) => value === number)?.[0] ?? String(number);
}

/** What peers send first, and how they name what is not a request. */
export const settings = (values: Readonly<Partial<Record<keyof typeof setting, number>>> = {}): Buffer =>
  frame(
    frameType.settings,
    0,
    0,
    Buffer.concat(
      Object.entries(values).map(([name, value]) => {
        const entry = Buffer.alloc(6);
        entry.writeUInt16BE(setting[name as keyof typeof setting]);
        entry.writeUInt32BE(value, 2);
        return entry;
      }),
    ),
  );
export const settingsAck = frame(frameType.settings, flag.ack, 0);
export const ping = (text: string, isAck = false): Buffer => frame(frameType.ping, isAck ? flag.ack : 0, 0, text);
export const windowUpdate = (stream: number, bytes: number): Buffer =>
  frame(frameType.windowUpdate, 0, stream, uint32(bytes));
export const reset = (stream: number, code: keyof typeof errorCode): Buffer =>
  frame(frameType.rstStream, 0, stream, uint32(errorCode[code]));
export const goaway = (lastStream: number, code: keyof typeof errorCode = 'noError'): Buffer =>
  frame(frameType.goaway, 0, 0, uint32(lastStream, errorCode[code]));
export const data = (stream: number, body: string | Buffer, endStream = false): Buffer =>
  frame(frameType.data, endStream ? flag.endStream : 0, stream, body);

export const get = (path = '/'): readonly string[] => [
  ':method',
  'GET',
  ':scheme',
  'http',
  ':path',
  path,
  ':authority',
  'shop',
];
export const post = (path = '/'): readonly string[] => [':method', 'POST', ...get(path).slice(2)];

export class Http2Peer {
  readonly socket: MemorySocket;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder();
  #read = 0;
  #prefaceLeft: number;
  #block: Buffer[] = [];
  /** Header lists that came, by stream, in their order. */
  readonly lists = new Map<number, string[][]>();

  /** @param isServer whether it is the server: a client's preface precedes what it is sent */
  constructor(socket: MemorySocket, isServer = false) {
    this.socket = socket;
    this.#prefaceLeft = isServer ? preface.length : 0;
  }

  send(...frames: readonly Buffer[]): void {
    this.socket.receive(Buffer.concat(frames).toString('latin1'));
  }

  /** Sends, and returns what that makes the other side send. */
  async ask(...frames: readonly Buffer[]): Promise<string[]> {
    this.send(...frames);
    await settle();
    return this.lines();
  }

  /** HEADERS with a block of these fields; blocks must be sent in the order in which they are made. */
  headers(stream: number, fields: readonly string[], endStream = false): Buffer {
    return frame(
      frameType.headers,
      flag.endHeaders | (endStream ? flag.endStream : 0),
      stream,
      encodeBlock(this.#encoder, fields),
    );
  }

  /** Frames that came since the last time. */
  frames(): Frame[] {
    const all = Buffer.from(this.socket.sent, 'latin1').subarray(this.#prefaceLeft);
    const { frames, rest } = parseFrames(all.subarray(this.#read));
    this.#read = all.length - rest.length;
    return frames;
  }

  /** The same as lines, such as `DATA 1 "abc" end`. */
  lines(): string[] {
    return this.frames().map((each) => this.#describe(each));
  }

  #describe({ type, flags, stream, payload }: Frame): string {
    const isAck = (flags & flag.ack) !== 0;
    const end = (flags & flag.endStream) !== 0 ? ' end' : '';
    switch (type) {
      case frameType.data:
        return `DATA ${stream} ${payload.length > 40 ? payload.length : `"${payload.toString('latin1')}"`}${end}`;
      case frameType.headers:
      case frameType.continuation:
        this.#block.push(payload);
        if ((flags & flag.endHeaders) === 0) return `${nameOf(frameType, type).toUpperCase()} ${stream}${end} ...`;
        return `${nameOf(frameType, type).toUpperCase()} ${stream} ${this.#list(stream)}${type === frameType.headers ? end : ''}`;
      case frameType.rstStream:
        return `RST ${stream} ${nameOf(errorCode, payload.readUInt32BE())}`;
      case frameType.settings:
        if (isAck) return 'SETTINGS ack';
        return `SETTINGS ${Array.from({ length: payload.length / 6 }, (_, i) => `${nameOf(setting, payload.readUInt16BE(6 * i))}=${payload.readUInt32BE(6 * i + 2)}`).join(' ')}`;
      case frameType.ping:
        return `PING ${JSON.stringify(payload.toString('latin1'))}${isAck ? ' ack' : ''}`;
      case frameType.goaway:
        return `GOAWAY ${payload.readUInt32BE()} ${nameOf(errorCode, payload.readUInt32BE(4))}${payload.length > 8 ? ` ${payload.toString('latin1', 8)}` : ''}`;
      case frameType.windowUpdate:
        return `WINDOW_UPDATE ${stream} ${payload.readUInt32BE()}`;
      default:
        return `FRAME ${type} ${stream}`;
    }
  }

  #list(stream: number): string {
    const block = Buffer.concat(this.#block);
    this.#block = [];
    const fields: string[] = [];
    this.#decoder.decode(block, 0, block.length, fields, Infinity, Infinity);
    this.lists.set(stream, [...(this.lists.get(stream) ?? []), fields]);
    return fields.reduce((text, field, i) => `${text}${i === 0 ? '' : i % 2 === 0 ? ', ' : '='}${field}`, '');
  }
}
