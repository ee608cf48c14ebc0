// Connections of HTTP/2 whose other end is bytes in the hands of the test.
import { MemorySocket } from './memory-socket.js';
import type { RequestHead, ResponseHead } from '../../src/proxy/http/message.js';
import type { UpstreamEvents, UpstreamStream } from '../../src/proxy/http/streams.js';
import { Http2ClientConnection } from '../../src/proxy/http/http2/client-connection.js';
import { flag, frameType, preface, setting } from '../../src/proxy/http/http2/frames.js';
import { defaultHttp2Limits } from '../../src/proxy/http/http2/limits.js';

/** A frame's bytes as latin1. */
export function frame(type: keyof typeof frameType, flags: number, stream: number, payload = ''): string {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = frameType[type];
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return head.toString('latin1') + payload;
}

export const windowUpdate = (stream: number, bytes: number): string =>
  frame('windowUpdate', 0, stream, number32(bytes));

export function settings(values: readonly (readonly [keyof typeof setting, number])[]): string {
  return frame(
    'settings',
    0,
    0,
    values.map(([name, value]) => `${String.fromCharCode(0, setting[name])}${number32(value)}`).join(''),
  );
}

/** What a server says first. */
export const serverSettings = settings([]) + frame('settings', flag.ack, 0);

export function number32(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes.toString('latin1');
}

export interface Frame {
  readonly type: string;
  readonly flags: number;
  readonly stream: number;
  readonly length: number;
  readonly payload: string;
  readonly endStream: boolean;
}

/** What one side has sent, cut into frames; a client's preface is left out. */
export function framesOf(sent: string): Frame[] {
  const names = Object.entries(frameType);
  const bytes = Buffer.from(sent, 'latin1');
  const start = bytes.subarray(0, preface.length).equals(preface) ? preface.length : 0;
  const frames: Frame[] = [];
  for (let at = start; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    const type = names.find(([, code]) => code === bytes[at + 3])?.[0] ?? String(bytes[at + 3]);
    const flags = bytes[at + 4]!;
    const carries = type === 'data' || type === 'headers';
    frames.push({
      type,
      flags,
      stream: bytes.readUInt32BE(at + 5),
      length,
      payload: bytes.subarray(at + 9, at + 9 + length).toString('latin1'),
      endStream: carries && (flags & flag.endStream) !== 0,
    });
    at += 9 + length;
  }
  return frames;
}

export const postHead: RequestHead = {
  method: 'POST',
  path: '/',
  authority: 'shop',
  scheme: 'http',
  version: 'HTTP/1.1',
  headers: [],
  framing: 'chunked',
  contentLength: -1,
  headBytes: 0,
};

/** What became of a request, event by event. */
export interface Begun {
  readonly stream: UpstreamStream;
  readonly events: string[];
  readonly heads: ResponseHead[];
}

/** A client's connection; the test is its server. */
export function client(carries = false) {
  const socket = new MemorySocket();
  const connection = new Http2ClientConnection(
    socket.socket,
    { onChange: ignore, onEnded: ignore, onClosed: ignore, onUnprocessed: () => false },
    { limits: defaultHttp2Limits, carries },
  );
  const begin = (request: RequestHead): Begun => {
    const events: string[] = [];
    const heads: ResponseHead[] = [];
    let stream: UpstreamStream | undefined;
    const handler: UpstreamEvents = {
      request,
      onUpstreamReady: (ready) => (stream = ready),
      onInformational: ({ status }) => events.push(`informational ${status}`),
      onUpgraded: () => events.push('upgraded'),
      onResponseHead: (head, endsHere) => {
        heads.push(head);
        events.push(`head ${head.status}${endsHere ? ' end' : ''}`);
      },
      onResponseBody: (chunk) => events.push(`body ${chunk.length}`),
      onResponseEnd: () => events.push('end'),
      onUpstreamFailure: ({ kind }) => events.push(`failure ${kind}`),
      onUpstreamDrain: () => events.push('drain'),
    };
    connection.begin(handler);
    return { stream: stream!, events, heads };
  };
  return { socket, connection, begin };
}

function ignore(): void {
  // nobody keeps this connection
}
