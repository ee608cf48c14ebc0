// What an HTTP/2 server can do to a proxy, as data: the frames that it answers with, and what the caller must get for them.
import { block, frame, frameType, indexedLiteral, type Field, type FrameStep } from './frame-steps.js';

export interface ServerFault {
  /** What the server does, in words. */
  readonly fact: string;
  readonly method?: 'GET' | 'HEAD' | 'POST';
  /** For the first request, the second and so on. */
  readonly attempts: readonly (readonly FrameStep[])[];
  /** Whether routes may retry it as they do by default; otherwise one attempt is one attempt. */
  readonly retried?: boolean;
  /** What the caller gets: statuses, or `broken`, an answer that does not look complete. */
  readonly answers: readonly (number | 'broken')[];
  /** Flags in the access log, for answers that the proxy makes. */
  readonly flags?: RegExp;
  /** How many requests the server gets; 1 unless said otherwise. */
  readonly requests?: number;
  /** Whether the connection ends by it, and with it what else is on it. */
  readonly endsConnection?: boolean;
  /** What must not stand anywhere in what the caller gets. */
  readonly never?: RegExp;
}

const ok: readonly Field[] = [[':status', '200']];
const head = (fields: readonly Field[], end = false): FrameStep => ({ do: 'headers', block: block(fields), end });
const body = (text: string, end = true): FrameStep => ({ do: 'data', text, end });
export const goodAnswer: readonly FrameStep[] = [head([...ok, ['content-length', '5']]), body('hello')];
const raw = (hex: string): FrameStep => ({ do: 'raw', hex });

/** The answer is a violation of the protocol. */
const badAnswer = (fact: string, ...steps: readonly FrameStep[]): ServerFault => ({
  fact,
  attempts: [steps],
  answers: [502, 503],
  flags: /UPE|UR|LR/,
  never: /smuggled|x-c: d/i,
});
const badHead = (fact: string, fields: readonly Field[]): ServerFault => badAnswer(fact, head(fields), body('hello'));
const endsIt = (fact: string, ...steps: readonly FrameStep[]): ServerFault => ({
  fact,
  attempts: [steps],
  answers: [502, 503],
  flags: /UPE|UR|UC|LR/,
  endsConnection: true,
});
const cutOff = (fact: string, ...steps: readonly FrameStep[]): ServerFault => ({
  fact,
  attempts: [steps],
  answers: ['broken'],
});

const resets: readonly ServerFault[] = [
  ...[
    [0, 'NO_ERROR'],
    [1, 'PROTOCOL_ERROR'],
    [2, 'INTERNAL_ERROR'],
    [8, 'CANCEL'],
    [11, 'ENHANCE_YOUR_CALM'],
  ].map(([code, name]): ServerFault => ({
    fact: `a reset with ${name} before the answer`,
    attempts: [[{ do: 'reset', code: Number(code) }]],
    answers: [502, 503],
    flags: /UR|UPE/,
  })),
  {
    fact: 'a reset with REFUSED_STREAM, which is safe to try again, again and again',
    attempts: [[{ do: 'reset', code: 7 }]],
    answers: [503],
    flags: /UR/,
    // The pool sends it again once by itself, and Istio's inbound route twice.
    requests: 4,
  },
  {
    fact: 'a reset with REFUSED_STREAM, which is safe to try again',
    method: 'POST',
    attempts: [[{ do: 'reset', code: 7 }], goodAnswer],
    retried: true,
    answers: [200],
    requests: 2,
  },
  {
    fact: 'a reset with INTERNAL_ERROR, which is not safe to try again',
    method: 'POST',
    attempts: [[{ do: 'reset', code: 2 }], goodAnswer],
    retried: true,
    answers: [502, 503],
    requests: 1,
  },
  cutOff('a reset in the middle of the answer', head([...ok, ['content-length', '10']]), body('hello', false), {
    do: 'reset',
    code: 2,
  }),
  cutOff('a reset in the middle of an answer of unknown length', head(ok), body('hello', false), {
    do: 'reset',
    code: 8,
  }),
  {
    fact: 'a whole answer and then a reset with NO_ERROR, because it does not want the rest',
    method: 'POST',
    attempts: [[...goodAnswer, { do: 'reset', code: 0 }]],
    answers: [200],
  },
];

const heads: readonly ServerFault[] = [
  badHead('no :status', [['content-length', '5']]),
  badHead(':status twice', [...ok, ...ok]),
  ...['abc', '', '20', '2000', '+200', '99', '000'].map((value) =>
    badHead(`:status ${JSON.stringify(value)}`, [[':status', value]]),
  ),
  badHead(':status 101', [[':status', '101']]),
  badHead(':status after a field', [['x-a', 'b'], ...ok]),
  badHead(':path in an answer', [...ok, [':path', '/']]),
  badHead('a name in upper case', [...ok, ['X-Upper', 'b']]),
  badHead('a name with a space', [...ok, ['x a', 'b']]),
  badHead('a name with a line feed', [...ok, ['x-a: b\r\nx-c', 'd']]),
  badHead('an empty name', [...ok, ['', 'b']]),
  badHead('a value with a line feed', [...ok, ['x-a', 'b\r\nx-c: d']]),
  badHead('a value with a whole answer', [...ok, ['x-a', 'b\r\n\r\nHTTP/1.1 200 smuggled\r\n\r\n']]),
  badHead('a value with NUL', [...ok, ['x-a', 'b\0c']]),
  badHead('connection: close', [...ok, ['connection', 'close']]),
  badHead('transfer-encoding: chunked', [...ok, ['transfer-encoding', 'chunked']]),
  badHead('content-length twice, different', [...ok, ['content-length', '5'], ['content-length', '6']]),
  badHead('content-length: five', [...ok, ['content-length', 'five']]),
  badAnswer('DATA and no HEADERS', body('hello')),
  badAnswer('the end of the stream in an interim answer', head([[':status', '103']], true)),
  badAnswer('a header list of 300 KB', {
    do: 'headers',
    block: block([...ok, ...Array.from({ length: 300 }, (_, i): Field => [`x-${i}`, 'v'.repeat(1000)])]),
    pieces: 16_000,
    end: true,
  }),
  badAnswer(
    'a thousand interim answers',
    {
      do: 'repeat',
      times: 1000,
      steps: [
        head([
          [':status', '103'],
          ['link', '</a>'],
        ]),
      ],
    },
    ...goodAnswer,
  ),
  {
    fact: 'three interim answers before the answer, which are passed on',
    attempts: [
      [
        ...[1, 2, 3].map((i) =>
          head([
            [':status', '103'],
            ['link', `</${i}>`],
          ]),
        ),
        ...goodAnswer,
      ],
    ],
    answers: [200],
  },
  {
    fact: 'a header list of 30 KB, which is allowed',
    attempts: [
      [
        {
          do: 'headers',
          block: block([...ok, ...Array.from({ length: 30 }, (_, i): Field => [`x-${i}`, 'v'.repeat(950)])]),
          pieces: 5000,
          end: true,
        },
      ],
    ],
    answers: [200],
  },
];

const bodies: readonly ServerFault[] = [
  cutOff('a body shorter than content-length', head([...ok, ['content-length', '10']]), body('hello')),
  {
    ...badAnswer('a body longer than content-length', head([...ok, ['content-length', '3']]), body('hello')),
    answers: ['broken', 502, 503],
  },
  {
    ...cutOff('content-length and no body', head([...ok, ['content-length', '5']], true)),
    answers: ['broken', 502, 503],
  },
  cutOff('a second head that does not end the stream', head(ok), body('hello', false), head(ok), body('more')),
  cutOff('trailers with a pseudo-header', head(ok), body('hello', false), head([[':status', '200']], true)),
  cutOff('trailers with a line feed', head(ok), body('hello', false), head([['x-a', 'b\r\nx-c: d']], true)),
  {
    fact: 'a body behind 204',
    attempts: [[head([[':status', '204']]), body('smuggled')]],
    answers: [204, 502, 503, 'broken'],
    never: /smuggled/,
  },
  {
    fact: 'a body in answer to HEAD',
    method: 'HEAD',
    attempts: [[head(ok), body('smuggled')]],
    answers: [200, 502, 503, 'broken'],
    never: /smuggled/,
  },
  {
    fact: 'a body a byte at a time, empty frames between them',
    attempts: [
      [
        head([...ok, ['content-length', '2000']]),
        {
          do: 'repeat',
          times: 1000,
          steps: [
            { do: 'data', text: 'x' },
            { do: 'data', text: '' },
            { do: 'data', text: 'x' },
          ],
        },
        { do: 'data', end: true },
      ],
    ],
    answers: [200, 'broken'],
  },
  { ...cutOff('WINDOW_UPDATE of zero in the middle', head(ok), body('hello', false), { do: 'window', increment: 0 }) },
  {
    ...cutOff('a window that overflows in the middle', head(ok), body('hello', false), {
      do: 'window',
      increment: 2 ** 31 - 1,
    }),
  },
];

const emptyContinuation = (times: number): readonly FrameStep[] => [
  { do: 'headers', block: block(ok), whole: false },
  { do: 'flood', hex: frame(frameType.continuation, 0, 1), times },
];

const connections: readonly ServerFault[] = [
  endsIt('HTTP/1.1 where HTTP/2 was asked for', raw(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n').toString('hex'))),
  endsIt('random bytes', raw('ff'.repeat(2000))),
  endsIt('PUSH_PROMISE', {
    do: 'push',
    promised: 2,
    fields: [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':authority', 'a'],
      [':path', '/'],
    ],
  }),
  endsIt('an answer on a stream of its own', { do: 'headers', stream: 2, block: block(ok), end: true }),
  endsIt('DATA on a stream that nobody opened', { do: 'data', stream: 99_999, text: 'x' }),
  endsIt('RST_STREAM on a stream that nobody opened', { do: 'reset', stream: 99_999 }),
  endsIt('a header block that is none', { do: 'headers', block: 'ffffffffffffff', end: true }),
  endsIt('a frame of 20,000 bytes', raw(frame(frameType.data, 0, 1, 'x'.repeat(20_000)))),
  endsIt('SETTINGS that cannot be', raw(frame(frameType.settings, 0, 0, '\0\x05\0\0\0\x01'))),
  endsIt('SETTINGS that allow push', raw(frame(frameType.settings, 0, 0, '\0\x02\0\0\0\x01'))),
  endsIt(
    'a window that overflows',
    { do: 'window', increment: 2 ** 31 - 1, stream: 0 },
    { do: 'window', increment: 2 ** 31 - 1, stream: 0 },
  ),
  endsIt('100,000 SETTINGS', { do: 'flood', hex: frame(frameType.settings, 0, 0), times: 100_000 }),
  endsIt('100,000 PING', { do: 'flood', hex: frame(frameType.ping, 0, 0, '12345678'), times: 100_000 }),
  endsIt('100,000 CONTINUATION', ...emptyContinuation(100_000)),
  endsIt(
    'a bomb of header fields',
    head([[':status', '103']]),
    { do: 'headers', block: `${block([[':status', '103']])}${indexedLiteral('bomb', 'x'.repeat(3900))}` },
    { do: 'headers', block: block(ok) + 'be'.repeat(16_000), end: true },
  ),
  endsIt('the end of the connection', { do: 'break' }),
  {
    ...endsIt('the end of the connection in the middle of the answer', head(ok), body('hello', false), { do: 'break' }),
    answers: ['broken'],
  },
  {
    fact: 'GOAWAY that still promises this answer, and the answer',
    attempts: [[{ do: 'goaway' }, ...goodAnswer]],
    answers: [200],
    endsConnection: true,
  },
  {
    fact: 'GOAWAY that says that the request was not taken, which is safe to try again',
    method: 'POST',
    attempts: [[{ do: 'goaway', last: 0 }, { do: 'break' }], goodAnswer],
    retried: true,
    answers: [200],
    requests: 2,
    endsConnection: true,
  },
  {
    fact: 'GOAWAY and the end of the connection instead of an answer that it had promised',
    method: 'POST',
    attempts: [[{ do: 'goaway' }, { do: 'break' }], goodAnswer],
    retried: true,
    answers: [502, 503],
    requests: 1,
    endsConnection: true,
  },
];

export const serverFaults: readonly ServerFault[] = [...resets, ...heads, ...bodies, ...connections];
