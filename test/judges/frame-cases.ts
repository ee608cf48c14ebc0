// Hostile HTTP/2 as data: what a client sends, how its connection and its streams must end, and what the server behind may see of
// it. Rows are those of the project's catalogue of bad input; what comes from one field or one frame is in request-faults.ts and
// floods.ts.
import type { Script } from '../hostile/recording-upstream.js';
import type { Attack } from './attack.js';
import {
  block,
  frame,
  frameType,
  integer,
  indexedLiteral,
  literal,
  type Field,
  type FrameStep,
} from './frame-steps.js';

/** What a case is aimed at. */
export interface Target {
  /** A host that leads to the recording server. */
  readonly host: string;
  /** A path that nothing else uses. */
  readonly path: string;
}

export interface FrameCase {
  readonly row: number;
  /** What is sent, in words. */
  readonly fact: string;
  readonly attack: (target: Target) => Attack;
  /** `stays`: the next request on it is answered; else the codes one of which its GOAWAY must have; `either`: both are right. */
  readonly connection: 'stays' | 'either' | readonly string[];
  /** Every stream that the attack opens ends in one of these: a code of RST_STREAM, or a status; absent: it does not matter. */
  readonly streams?: readonly string[];
  /** How many requests the server may get, whole or in part. */
  readonly forwards: 'nothing' | 'incomplete' | { readonly atLeast?: number; readonly atMost: number };
  /** How the server answers; without it 200 and the path. */
  readonly respond?: Script;
  /** Proxies of the mesh may send it to each other: they carry HTTP/1.0, and what they add to a head. */
  readonly isMeshes?: boolean;
  /** Every connection to the server that carried one of these requests must be free again, or have ended. */
  readonly cancels?: boolean;
}

export const get = ({ host, path }: Target, ...more: readonly Field[]): Field[] => [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', host],
  [':path', path],
  ...more,
];
export const post = (target: Target, ...more: readonly Field[]): Field[] => [
  [':method', 'POST'],
  ...get(target, ...more).slice(1),
];
/** A request without body. */
export const ask = (fields: readonly Field[]): FrameStep => ({ do: 'headers', fields, end: true });
/** A server that takes requests and never answers. */
export const silent: Script = { steps: [] };

const hex = (value: string) => Buffer.from(value, 'latin1').toString('hex');
const whole = { endStream: 1, endHeaders: 4 };
const getBlock = (target: Target, ...more: readonly Field[]) => block(get(target, ...more));

/** One frame after a good start of the connection, and the code of the connection error that it is. */
const broken = (row: number, fact: string, code: readonly string[], bytes: (target: Target) => string): FrameCase => ({
  row,
  fact,
  attack: (target) => ({ steps: [{ do: 'raw', hex: bytes(target) }], until: 'end' }),
  connection: code,
  forwards: 'nothing',
});
const badBlock = (row: number, fact: string, bytes: (target: Target) => string): FrameCase =>
  broken(row, fact, ['COMPRESSION_ERROR'], (target) =>
    frame(frameType.headers, whole.endHeaders + whole.endStream, 1, Buffer.from(bytes(target), 'hex')),
  );

/** Row 30: frames that are wrong in themselves. */
const malformedFrames: readonly FrameCase[] = [
  broken(30, 'HEADERS of random bytes', ['COMPRESSION_ERROR', 'PROTOCOL_ERROR'], () =>
    frame(frameType.headers, 5, 1, Buffer.from('ff'.repeat(40) + '8f'.repeat(400), 'hex')),
  ),
  broken(30, 'HEADERS on stream 0', ['PROTOCOL_ERROR'], (target) =>
    frame(frameType.headers, 5, 0, Buffer.from(getBlock(target), 'hex')),
  ),
  broken(30, 'HEADERS on a stream of the server', ['PROTOCOL_ERROR'], (target) =>
    frame(frameType.headers, 5, 2, Buffer.from(getBlock(target), 'hex')),
  ),
  broken(30, 'HEADERS with more padding than frame', ['PROTOCOL_ERROR'], (target) =>
    frame(frameType.headers, 5 + 8, 1, Buffer.from(`ff${getBlock(target)}`.slice(0, 200), 'hex')),
  ),
  broken(30, 'HEADERS that say PADDED and are empty', ['PROTOCOL_ERROR', 'FRAME_SIZE_ERROR'], () =>
    frame(frameType.headers, 5 + 8, 1),
  ),
  broken(30, 'HEADERS that say PRIORITY and hold three bytes', ['PROTOCOL_ERROR', 'FRAME_SIZE_ERROR'], () =>
    frame(frameType.headers, 5 + 32, 1, 'abc'),
  ),
  broken(30, 'HEADERS longer than a frame may be', ['FRAME_SIZE_ERROR'], () =>
    frame(frameType.headers, 5, 1, 'x'.repeat(20_000)),
  ),
  broken(30, 'CONTINUATION of nothing', ['PROTOCOL_ERROR'], () => frame(frameType.continuation, 4, 1, 'abc')),
  broken(
    30,
    'DATA between HEADERS and CONTINUATION',
    ['PROTOCOL_ERROR'],
    (target) =>
      frame(frameType.headers, 1, 1, Buffer.from(getBlock(target), 'hex')) + frame(frameType.data, 0, 1, 'abc'),
  ),
  broken(
    30,
    'CONTINUATION of another stream',
    ['PROTOCOL_ERROR'],
    (target) =>
      frame(frameType.headers, 1, 1, Buffer.from(getBlock(target), 'hex')) + frame(frameType.continuation, 4, 3, ''),
  ),
  broken(30, 'DATA on a stream that nobody opened', ['PROTOCOL_ERROR'], () => frame(frameType.data, 1, 1, 'abc')),
  broken(30, 'RST_STREAM on a stream that nobody opened', ['PROTOCOL_ERROR'], () =>
    frame(frameType.reset, 0, 1, '\0\0\0\x08'),
  ),
  broken(30, 'WINDOW_UPDATE on a stream that nobody opened', ['PROTOCOL_ERROR'], () =>
    frame(frameType.window, 0, 1, '\0\0\0\x08'),
  ),
  broken(
    30,
    'RST_STREAM of five bytes',
    ['FRAME_SIZE_ERROR'],
    (target) =>
      frame(frameType.headers, 4, 1, Buffer.from(getBlock({ ...target, path: '/other' }), 'hex')) +
      frame(frameType.reset, 0, 1, '12345'),
  ),
  broken(30, 'PUSH_PROMISE from a client', ['PROTOCOL_ERROR'], () => frame(frameType.push, 4, 1, '\0\0\0\x02')),
  broken(30, 'PING of seven bytes', ['FRAME_SIZE_ERROR'], () => frame(frameType.ping, 0, 0, '1234567')),
  broken(30, 'PING on a stream', ['PROTOCOL_ERROR'], () => frame(frameType.ping, 0, 1, '12345678')),
  broken(30, 'SETTINGS of five bytes', ['FRAME_SIZE_ERROR'], () => frame(frameType.settings, 0, 0, '12345')),
  broken(30, 'SETTINGS on a stream', ['PROTOCOL_ERROR'], () => frame(frameType.settings, 0, 1)),
  broken(30, 'an acknowledgement of SETTINGS with content', ['FRAME_SIZE_ERROR'], () =>
    frame(frameType.settings, 1, 0, '123456'),
  ),
  broken(30, 'an initial window of 2^31', ['FLOW_CONTROL_ERROR'], () =>
    frame(frameType.settings, 0, 0, '\0\x04\x80\0\0\0'),
  ),
  broken(30, 'a maximum frame size of one byte', ['PROTOCOL_ERROR'], () =>
    frame(frameType.settings, 0, 0, '\0\x05\0\0\0\x01'),
  ),
  broken(30, 'ENABLE_PUSH of two', ['PROTOCOL_ERROR'], () => frame(frameType.settings, 0, 0, '\0\x02\0\0\0\x02')),
  broken(30, 'GOAWAY of three bytes', ['FRAME_SIZE_ERROR'], () => frame(frameType.goaway, 0, 0, 'abc')),
  {
    row: 30,
    fact: 'a preface that goes wrong in the middle',
    attack: () => ({ steps: [], preface: hex('PRI * HTTP/2.0\r\n\r\nSM\r\n\rX') + frame(4, 0, 0), until: 'end' }),
    // Nobody has begun to speak HTTP/2: nobody is owed a GOAWAY.
    connection: ['PROTOCOL_ERROR', 'fin', 'reset', 'not HTTP/2'],
    forwards: 'nothing',
  },
  {
    row: 30,
    fact: 'no SETTINGS after the preface',
    attack: (target) => ({
      steps: [],
      preface: hex('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') + frame(1, 5, 1, Buffer.from(getBlock(target), 'hex')),
      until: 'end',
    }),
    connection: ['PROTOCOL_ERROR'],
    forwards: 'nothing',
  },
  {
    row: 30,
    fact: 'garbage and a reset at once, 100 times',
    attack: () => ({
      steps: [{ do: 'raw', hex: frame(1, 5, 1, Buffer.from('ff'.repeat(5000), 'hex')) }, { do: 'break' }],
      connections: 100,
    }),
    connection: 'either',
    forwards: 'nothing',
  },
  {
    row: 30,
    fact: 'a frame of a type that nobody knows, which is ignored',
    attack: (target) => ({
      steps: [{ do: 'frame', type: 0xee, flags: 0xff, stream: 0, payload: hex('abc') }, ask(get(target))],
    }),
    connection: 'stays',
    streams: ['200'],
    forwards: { atLeast: 1, atMost: 1 },
  },
];

/** Row 31: header blocks. */
const headerBlocks: readonly FrameCase[] = [
  badBlock(31, 'index 0', () => '80'),
  badBlock(31, 'an index beyond both tables', () => integer(1000, 7).replace(/^7f/, 'ff')),
  badBlock(31, 'an index without end', () => `ff${'80'.repeat(30)}00`),
  badBlock(31, 'an index of 2^40', () => 'ffffffffffff7f'),
  badBlock(31, 'a name with an index beyond both tables', () => '0fff7f0161'),
  badBlock(31, 'a value that ends before its length', () => '00016114616263'),
  badBlock(31, 'a name that ends before its length', () => '007f0061'),
  badBlock(31, 'a length of 2^35', () => `00017fffffffff7f61`),
  badBlock(31, 'Huffman padding of eight bits', () => '00016182ffff'),
  badBlock(31, 'Huffman padding of zeros', () => '000161810000'.slice(0, 10)),
  badBlock(31, "Huffman's end of string in a value", () => '00016184ffffffff'),
  badBlock(31, 'a table larger than was allowed', () => `${integer(1 << 20, 5).replace(/^1f/, '3f')}82`),
  badBlock(31, 'a table that changes after the first field', (target) => `${getBlock(target)}20`),
  {
    row: 31,
    fact: 'a table of no size, which is allowed',
    attack: (target) => ({ steps: [{ do: 'headers', block: `20${getBlock(target)}`, end: true }] }),
    connection: 'stays',
    streams: ['200'],
    forwards: { atLeast: 1, atMost: 1 },
  },
  {
    row: 31,
    fact: 'a bomb: 16,000 times one byte for a field of 4,000',
    attack: (target) => ({
      steps: [
        {
          do: 'headers',
          block: getBlock({ ...target, path: '/other' }) + indexedLiteral('bomb', 'x'.repeat(3900)),
          end: true,
        },
        { do: 'await_all', ms: 5000 },
        { do: 'headers', block: getBlock(target) + 'be'.repeat(16_000), end: true },
      ],
      until: 'end',
      within: 5,
    }),
    connection: 'either',
    streams: ['200', '431', 'PROTOCOL_ERROR', 'ENHANCE_YOUR_CALM', 'INTERNAL_ERROR', 'REFUSED_STREAM', 'no answer'],
    forwards: 'nothing',
  },
  {
    row: 31,
    fact: 'a bomb over CONTINUATION frames, a million fields',
    attack: (target) => ({
      steps: [
        {
          do: 'headers',
          block: getBlock({ ...target, path: '/other' }) + indexedLiteral('bomb', 'x'.repeat(3900)),
          end: true,
        },
        { do: 'await_all', ms: 5000 },
        { do: 'headers', block: getBlock(target), end: true, whole: false },
        { do: 'flood', hex: frame(frameType.continuation, 0, 3, Buffer.alloc(16_000, 0xbe)), times: 64 },
        { do: 'raw', hex: frame(frameType.continuation, 4, 3) },
      ],
      until: 'end',
      within: 5,
    }),
    connection: ['ENHANCE_YOUR_CALM', 'PROTOCOL_ERROR', 'COMPRESSION_ERROR'],
    forwards: 'nothing',
  },
  {
    row: 31,
    fact: '16,000 fields of one byte each',
    attack: () => ({ steps: [{ do: 'headers', block: '82'.repeat(16_000), end: true }], within: 5 }),
    connection: 'either',
    streams: ['431', 'PROTOCOL_ERROR', 'ENHANCE_YOUR_CALM', 'REFUSED_STREAM', 'no answer'],
    forwards: 'nothing',
  },
  {
    row: 31,
    fact: 'a header list of 70 KB',
    isMeshes: true,
    attack: (target) => ({
      steps: [{ do: 'headers', block: getBlock(target, ...manyFields(70, 1000)), end: true, pieces: 16_384 }],
      within: 5,
    }),
    connection: 'either',
    streams: ['431', 'PROTOCOL_ERROR', 'ENHANCE_YOUR_CALM', 'REFUSED_STREAM', 'no answer'],
    forwards: 'nothing',
  },
  {
    row: 31,
    fact: 'a header list of 30 KB, which is allowed',
    attack: (target) => ({
      steps: [{ do: 'headers', block: getBlock(target, ...manyFields(30, 950)), end: true, pieces: 1000 }],
    }),
    connection: 'stays',
    streams: ['200'],
    forwards: { atLeast: 1, atMost: 1 },
  },
];

function manyFields(count: number, length: number): Field[] {
  return Array.from({ length: count }, (_, i) => [`x-${i}`, 'v'.repeat(length)]);
}

/** Row 26: header blocks that never end. */
const endless = (fact: string, times: number, piece: string): FrameCase => ({
  row: 26,
  fact,
  attack: (target) => ({
    steps: [
      { do: 'headers', block: getBlock(target), end: true, whole: false },
      { do: 'flood', hex: frame(frameType.continuation, 0, 1, Buffer.from(piece, 'hex')), times },
    ],
    until: 'end',
  }),
  connection: ['ENHANCE_YOUR_CALM', 'PROTOCOL_ERROR', 'COMPRESSION_ERROR'],
  forwards: 'nothing',
});
const continuations: readonly FrameCase[] = [
  endless('4,000 CONTINUATION frames of 16 KB', 4000, literal('x', 'y'.repeat(16_000))),
  endless('100,000 CONTINUATION frames of a field each', 100_000, literal('x', 'y')),
  endless('100,000 empty CONTINUATION frames', 100_000, ''),
  {
    row: 26,
    fact: 'a good request cut into CONTINUATION frames of 20 bytes, which is allowed',
    attack: (target) => ({ steps: [{ do: 'headers', block: getBlock(target), end: true, pieces: 20 }] }),
    connection: 'stays',
    streams: ['200'],
    forwards: { atLeast: 1, atMost: 1 },
  },
];

/** Row 29: windows that overflow. */
const overflow = (fact: string, stream: number | undefined, connections: number): FrameCase => ({
  row: 29,
  fact,
  attack: (target) => ({
    steps: [
      { do: 'headers', fields: post(target) },
      { do: 'window', increment: 2 ** 31 - 1, ...(stream === undefined ? {} : { stream }) },
      { do: 'window', increment: 2 ** 31 - 1, ...(stream === undefined ? {} : { stream }) },
      ...(stream === undefined ? [{ do: 'await_reset' } as const] : []),
    ],
    until: stream === undefined ? 'answers' : 'end',
    connections,
  }),
  connection: stream === undefined ? 'either' : ['FLOW_CONTROL_ERROR'],
  ...(stream === undefined ? { streams: ['FLOW_CONTROL_ERROR'] } : {}),
  forwards: 'incomplete',
});
const windows: readonly FrameCase[] = [
  overflow('WINDOW_UPDATE beyond 2^31-1 on the connection', 0, 1),
  overflow('WINDOW_UPDATE beyond 2^31-1 on the connection, 1,000 connections', 0, 1000),
  overflow('WINDOW_UPDATE beyond 2^31-1 on a stream', undefined, 1),
  overflow('WINDOW_UPDATE beyond 2^31-1 on a stream, 1,000 connections', undefined, 1000),
  broken(29, 'WINDOW_UPDATE of zero on the connection', ['PROTOCOL_ERROR'], () =>
    frame(frameType.window, 0, 0, '\0\0\0\0'),
  ),
  broken(29, 'WINDOW_UPDATE of three bytes', ['FRAME_SIZE_ERROR'], () => frame(frameType.window, 0, 0, '\0\0\x01')),
  {
    row: 29,
    fact: 'an initial window that makes the window of a stream overflow',
    attack: (target) => ({
      steps: [
        { do: 'headers', fields: post(target) },
        { do: 'window', increment: 2 ** 31 - 1 - 65_535 },
        { do: 'settings', values: [[4, 2 ** 31 - 1]] },
      ],
      until: 'end',
    }),
    connection: ['FLOW_CONTROL_ERROR'],
    forwards: 'incomplete',
  },
  {
    row: 29,
    fact: 'a body of 100 MB into a server that takes none of it',
    attack: (target) => ({
      steps: [
        { do: 'headers', fields: post(target) },
        { do: 'body', bytes: 100 * 1024 * 1024 },
      ],
      until: 'end',
    }),
    connection: 'either',
    streams: ['FLOW_CONTROL_ERROR', 'no answer'],
    forwards: 'incomplete',
    respond: silent,
  },
];

export const frameCases: readonly FrameCase[] = [...continuations, ...windows, ...malformedFrames, ...headerBlocks];
