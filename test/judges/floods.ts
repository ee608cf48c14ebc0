// What is right once and an attack a thousand times (rows 24, 25, 27, 28 and 34 of the catalogue): resets, frames that cost an
// answer, streams that stay, windows that stay shut.
import { ask, get, post, silent, type FrameCase, type Target } from './frame-cases.js';
import { block, frame, frameType, type FrameStep } from './frame-steps.js';

/** Resets of either side that one connection may have within half a minute; whatever is refused before its request goes on is fewer. */
const resetBudget = 200;
const calm = ['ENHANCE_YOUR_CALM'] as const;

/** Requests that are reset, one way or another, until the connection is ended. */
const resets = (
  row: number,
  fact: string,
  reset: (target: Target) => readonly FrameStep[],
  times = 3000,
): FrameCase => ({
  row,
  fact,
  attack: (target) => ({ steps: [{ do: 'repeat', times, steps: reset(target) }], until: 'end', within: 20 }),
  connection: calm,
  forwards: { atMost: resetBudget + 1 },
  respond: silent,
  cancels: true,
});

/** What each stream makes the server reset. */
const madeResets: readonly (readonly [string, (stream: string) => FrameStep])[] = [
  ['WINDOW_UPDATE of zero', () => ({ do: 'window', increment: 0 })],
  ['DATA on a stream that has ended', () => ({ do: 'data', text: 'x' })],
  ['a window that overflows', () => ({ do: 'window', increment: 2 ** 31 - 1 })],
  ['a priority that depends on itself', () => ({ do: 'frame', type: frameType.priority, payload: '0000000110' })],
  ['HEADERS on a stream that has ended', () => ({ do: 'headers', block: '82', end: true, stream: 1 })],
];

const rapidResets: readonly FrameCase[] = [
  resets(24, '3,000 requests, each reset at once', (target) => [ask(get(target)), { do: 'reset' }]),
  {
    ...resets(24, '3,000 requests, each reset at once, in few writes', () => []),
    attack: (target) => ({
      steps: [{ do: 'raw', hex: manyResets(target, 3000) }],
      until: 'end',
      within: 20,
    }),
  },
  resets(24, '3,000 requests with bodies, each reset in the middle', (target) => [
    { do: 'headers', fields: post(target) },
    { do: 'data', text: 'hello' },
    { do: 'reset', code: 0 },
  ]),
  {
    row: 24,
    fact: '50 requests of which each is reset, which happens',
    attack: (target) => ({
      steps: [
        { do: 'repeat', times: 50, steps: [ask(get(target)), { do: 'reset' }] },
        { do: 'pause', ms: 100 },
      ],
      within: 0,
    }),
    connection: 'stays',
    forwards: { atMost: 50 },
    respond: silent,
    cancels: true,
  },
  {
    row: 24,
    fact: '300 answers, each of which the client resets after its end, which costs nobody anything',
    attack: (target) => ({
      steps: [{ do: 'repeat', times: 150, steps: [ask(get(target)), { do: 'await', what: 'end' }, { do: 'reset' }] }],
    }),
    connection: 'stays',
    forwards: { atLeast: 150, atMost: 150 },
  },
];

function manyResets(target: Target, count: number): string {
  const fields = Buffer.from(block(get(target)), 'hex');
  return Array.from(
    { length: count },
    (_, i) => frame(frameType.headers, 5, 2 * i + 1, fields) + frame(frameType.reset, 0, 2 * i + 1, '\0\0\0\x08'),
  ).join('');
}

const madeYouReset: readonly FrameCase[] = madeResets.map(([what, step]) => ({
  ...resets(25, `3,000 requests that the proxy has to reset: ${what}`, (target) => [
    ask(get(target)),
    ...(what.startsWith('a window') ? [step(''), step('')] : [step('')]),
  ]),
  // Some of these may be errors of the connection, which ends it at once.
  connection: [...calm, 'PROTOCOL_ERROR', 'STREAM_CLOSED', 'FLOW_CONTROL_ERROR'],
}));

const flood = (fact: string, bytes: string, times: number, opens = false): FrameCase => ({
  row: 27,
  fact,
  attack: (target) => ({
    steps: [...(opens ? [{ do: 'headers', fields: post(target) } as const] : []), { do: 'flood', hex: bytes, times }],
    until: 'end',
    within: 20,
  }),
  connection: calm,
  forwards: opens ? 'incomplete' : 'nothing',
});
const deaf = (one: FrameCase): FrameCase => ({
  ...one,
  fact: `${one.fact}, from a client that reads nothing`,
  attack: (target) => {
    const { steps, ...rest } = one.attack(target);
    return { ...rest, steps: [{ do: 'stop_reading' }, ...steps] };
  },
  // Its GOAWAY may be lost with the connection.
  connection: [...calm, 'reset', 'fin'],
});
const settingsFlood = flood('100,000 SETTINGS', frame(frameType.settings, 0, 0), 100_000);
const pingFlood = flood('100,000 PING', frame(frameType.ping, 0, 0, '12345678'), 100_000);
const frameFloods: readonly FrameCase[] = [
  settingsFlood,
  deaf(settingsFlood),
  pingFlood,
  deaf(pingFlood),
  flood('100,000 SETTINGS of six values', frame(frameType.settings, 0, 0, '\0\x03\0\0\0\x64'.repeat(6)), 100_000),
  flood('100,000 empty DATA', frame(frameType.data, 0, 1), 100_000, true),
  flood('100,000 DATA of padding only', frame(frameType.data, 8, 1, '\0'), 100_000, true),
  flood('100,000 PRIORITY', frame(frameType.priority, 0, 1, '\0\0\0\x03\x10'), 100_000),
  flood('100,000 WINDOW_UPDATE of one byte', frame(frameType.window, 0, 0, '\0\0\0\x01'), 100_000),
  {
    row: 27,
    fact: '100 PING and 20 SETTINGS, which are answered',
    attack: (target) => ({
      steps: [
        { do: 'repeat', times: 100, steps: [{ do: 'ping' }] },
        { do: 'repeat', times: 20, steps: [{ do: 'settings', values: [[3, 100]] }] },
        ask(get(target)),
      ],
    }),
    connection: 'stays',
    streams: ['200'],
    forwards: { atLeast: 1, atMost: 1 },
  },
  {
    row: 27,
    fact: '3,000 requests with 50 fields that have neither name nor value',
    attack: (target) => ({
      steps: [
        {
          do: 'repeat',
          times: 3000,
          steps: [{ do: 'headers', block: block(get(target)) + '000000'.repeat(50), end: true }],
        },
      ],
      until: 'end',
      within: 20,
    }),
    connection: [...calm, 'PROTOCOL_ERROR'],
    forwards: 'nothing',
  },
];

/** A server whose answers are larger than what a proxy should hold for them. */
const large = (bytes: number) => ({
  steps: [`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`, 'x'.repeat(bytes)],
});
const twoMegabytes = 2 * 1024 * 1024;

const stalls: readonly FrameCase[] = [
  {
    row: 28,
    fact: '100 answers of 2 MB for a client whose windows are shut',
    attack: (target) => ({
      settings: [[4, 0]],
      steps: [
        { do: 'repeat', times: 100, steps: [ask(get(target))] },
        { do: 'pause', ms: 3000 },
      ],
      within: 0,
    }),
    connection: 'either',
    forwards: { atLeast: 50, atMost: 100 },
    respond: large(twoMegabytes),
    cancels: true,
  },
  {
    row: 28,
    fact: 'a window that opens a byte at a time, 20,000 times',
    attack: (target) => ({
      settings: [[4, 0]],
      steps: [ask(get(target)), { do: 'repeat', times: 20_000, steps: [{ do: 'window', increment: 1 }] }],
      within: 1,
    }),
    connection: 'either',
    forwards: { atMost: 1 },
    respond: large(twoMegabytes),
    cancels: true,
  },
  {
    row: 28,
    fact: 'a body that comes a byte at a time, 5,000 times, which is slow and whole',
    attack: (target) => ({
      steps: [
        { do: 'headers', fields: post(target) },
        { do: 'repeat', times: 5000, steps: [{ do: 'data', text: 'x' }] },
        { do: 'data', text: 'x', end: true },
      ],
    }),
    connection: 'stays',
    streams: ['200'],
    forwards: { atLeast: 1, atMost: 1 },
  },
  {
    row: 34,
    fact: '100 answers of 2 MB for a client that reads nothing',
    attack: (target) => ({
      settings: [[4, 2 ** 31 - 1]],
      steps: [
        { do: 'window', increment: 2 ** 30, stream: 0 },
        { do: 'repeat', times: 100, steps: [ask(get(target))] },
        { do: 'stop_reading' },
        { do: 'pause', ms: 3000 },
        { do: 'break' },
      ],
      within: 0,
    }),
    connection: 'either',
    forwards: { atLeast: 50, atMost: 100 },
    respond: large(twoMegabytes),
    cancels: true,
  },
  {
    row: 34,
    fact: '10,000 streams that are opened and left, of which 100 are taken',
    attack: (target) => ({
      steps: [
        { do: 'repeat', times: 10_000, steps: [{ do: 'headers', fields: post(target) }] },
        { do: 'pause', ms: 1000 },
      ],
      within: 0,
    }),
    connection: 'either',
    streams: ['no answer', 'REFUSED_STREAM', 'ENHANCE_YOUR_CALM'],
    forwards: { atMost: 100 },
    cancels: true,
  },
];

export const floods: readonly FrameCase[] = [...rapidResets, ...madeYouReset, ...frameFloods, ...stalls];
