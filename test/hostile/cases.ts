// Hostile and unusual requests as data: what is sent, what must come back, and what the server behind may see of it. The rows
// are those of the project's catalogue of bad input; the same list is run against our ports and against other proxies.
//
// In bytes to send, {host} is a host that the proxy knows and {id} makes every path unique to its run.
import type { Step } from './steps.js';
import { transferEncodings } from './transfer-encodings.js';

/** A request as the server behind must get it. */
export interface Forwarded {
  /** Method and path. */
  readonly line: string;
  readonly body?: string;
  /** Fields that must be there, lower-case `name: value`. */
  readonly has?: readonly string[];
  /** Names of fields that must not be there, trailers included. */
  readonly lacks?: readonly string[];
  readonly trailers?: readonly string[];
}

export interface HostileCase {
  readonly row: number;
  /** What is sent, in words. */
  readonly fact: string;
  readonly steps: readonly Step[];
  /** Method of the first request, where answers to it are read differently. */
  readonly method?: 'HEAD';
  /** For each answer the statuses that are right; `broken` is an answer that must not look complete. */
  readonly answers: readonly (readonly number[] | 'broken')[];
  /** Whether the proxy must end the connection then; otherwise another request on it must be answered. */
  readonly closes: boolean;
  /** `nothing`: not a byte; `incomplete`: nothing that the server could take for a whole request. */
  readonly forwards: 'nothing' | 'incomplete' | readonly Forwarded[];
  /** How the server answers /c/{id}; without it 200 and the path. */
  readonly respond?: readonly Step[];
  /** The server answers before it has the whole request. */
  readonly early?: boolean;
  /** Body of the first answer. */
  readonly body?: string;
  /** The connection to the server must have ended afterwards. */
  readonly endsUpstream?: boolean;
  /** It takes as long as a time limit of the proxy; nothing is forwarded. */
  readonly waits?: boolean;
  /** What must not stand anywhere in what came back. */
  readonly never?: string;
}

const bad = [400] as const;
const good = [200] as const;

/** A request line and fields; ends the head. */
const head = (line: string, ...fields: readonly string[]) =>
  `${line} HTTP/1.1\r\nHost: {host}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
const get = (...fields: readonly string[]) => head('GET /c/{id}', ...fields);
const post = (...fields: readonly string[]) => head('POST /c/{id}', ...fields);
/** What somebody wants to get past the proxy inside something else. */
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n';

/** A body that would be a request anywhere else. */
const inner = 'GET /inner HTTP/1.1\r\nHost: a\r\n\r\n';

const refused = (row: number, fact: string, steps: readonly Step[] | string, status: readonly number[] = bad) =>
  ({
    row,
    fact,
    steps: typeof steps === 'string' ? [steps] : steps,
    answers: [status],
    closes: true,
    forwards: 'nothing',
    never: '/smuggled',
  }) satisfies HostileCase;

const accepted = (
  row: number,
  fact: string,
  steps: readonly Step[] | string,
  forwarded: Partial<Forwarded> = {},
  more: Partial<HostileCase> = {},
): HostileCase => ({
  row,
  fact,
  steps: typeof steps === 'string' ? [steps] : steps,
  answers: [good],
  closes: false,
  forwards: [{ line: 'GET /c/{id}', ...forwarded }],
  ...more,
});

const lengths: readonly [string, readonly string[]][] = [
  ['twice, the same', ['Content-Length: 5', 'Content-Length: 5']],
  ['twice, different', ['Content-Length: 5', 'Content-Length: 6']],
  ['as a list', ['Content-Length: 5, 5']],
  ['as a list of two', ['Content-Length: 5, 6']],
  ['with a plus', ['Content-Length: +5']],
  ['with a minus', ['Content-Length: -5']],
  ['minus zero', ['Content-Length: -0']],
  ['in hexadecimal', ['Content-Length: 0x5']],
  ['of letters', ['Content-Length: five']],
  ['with an exponent', ['Content-Length: 5e0']],
  ['with a fraction', ['Content-Length: 5.0']],
  ['with a space inside', ['Content-Length: 5 5']],
  ['with a semicolon', ['Content-Length: 5;']],
  ['empty', ['Content-Length:']],
  ['of 2^63', ['Content-Length: 9223372036854775808']],
  ['of 2^64 and a bit', ['Content-Length: 18446744073709551621']],
  ['of 20 digits', ['Content-Length: 99999999999999999999']],
  ['with a tab inside', ['Content-Length: 5\t5']],
  ['under a name with an underscore', ['Content_Length: 5']],
];

const lineFaults: readonly [string, string][] = [
  ['space before the colon', get('X-A : b')],
  ['tab before the colon', get('X-A\t: b')],
  ['a folded header', get('X-A: b', ' c')],
  ['a header folded with a tab', get('X-A: b', '\tc')],
  ['a folded Content-Length', post('Content-Length:', ' 5') + 'hello'],
  ['a first header line that begins with a space', `GET /c/{id} HTTP/1.1\r\n X-A: b\r\nHost: {host}\r\n\r\n`],
  ['a bare carriage return in a value', get('X-A: b\rX-B: c')],
  ['a bare line feed between headers', get('X-A: b\nX-B: c')],
  ['a bare line feed after the request line', 'GET /c/{id} HTTP/1.1\nHost: {host}\r\n\r\n'],
  ['bare line feeds only', 'GET /c/{id} HTTP/1.1\nHost: {host}\n\n'],
  ['bare carriage returns only', 'GET /c/{id} HTTP/1.1\rHost: {host}\r\r'],
  ['a head that ends in a bare line feed', 'GET /c/{id} HTTP/1.1\r\nHost: {host}\r\n\n'],
  ['a line without colon', get('X-A')],
  ['a line that begins with a colon', get(': b')],
  ['a name with a space', get('X A: b')],
  ['a name in quotes', get('"X-A": b')],
  ['a name beyond ASCII', get('X-\xe9: b')],
];

const controls = (['\0', '\x01', '\x08', '\x0b', '\x0c', '\x1b', '\x7f'] as const).flatMap((character) => {
  const code = `0x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return [
    refused(12, `${code} in a header name`, get(`X-${character}A: b`)),
    refused(12, `${code} in a header value`, get(`X-A: b${character}c`)),
    refused(12, `${code} in the path`, head(`GET /c/{id}${character}x`)),
    refused(12, `${code} in the method`, head(`GE${character}T /c/{id}`)),
  ];
});

const hosts: readonly [string, string][] = [
  ['two Host headers', 'GET /c/{id} HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n'],
  ['two different Host headers', 'GET /c/{id} HTTP/1.1\r\nHost: {host}\r\nHost: other\r\n\r\n'],
  ['no Host', 'GET /c/{id} HTTP/1.1\r\n\r\n'],
  ...[
    '{host}/path',
    'user@{host}',
    'user:pass@{host}',
    '{host}:80@other',
    '{host},other',
    '{host} other',
    '{host}#a',
  ].map((host): [string, string] => [`Host ${host}`, `GET /c/{id} HTTP/1.1\r\nHost: ${host}\r\n\r\n`]),
  ...['{host}?a', '{host}\\a', '{host}:port', '{host}:80:80', '{host}%00', '[::1', 'h\xf6st'].map(
    (host): [string, string] => [`Host ${host}`, `GET /c/{id} HTTP/1.1\r\nHost: ${host}\r\n\r\n`],
  ),
  ['an absolute target with user information', 'GET http://user@{host}/c/{id} HTTP/1.1\r\nHost: {host}\r\n\r\n'],
  ['an absolute target without host', 'GET http:///c/{id} HTTP/1.1\r\nHost: {host}\r\n\r\n'],
  ['an absolute target without Host header', 'GET http://{host}/c/{id} HTTP/1.1\r\n\r\n'],
  ['an absolute target and two Hosts', 'GET http://{host}/c/{id} HTTP/1.1\r\nHost: {host}\r\nHost: a\r\n\r\n'],
  ['an absolute target of another scheme', 'GET file:///c/{id} HTTP/1.1\r\nHost: {host}\r\n\r\n'],
];

const requestLines: readonly [string, string, readonly number[]][] = [
  ['HTTP/0.9', 'GET /c/{id}\r\n', [400, 505]],
  ['HTTP/0.9 with headers', 'GET /c/{id}\r\nHost: {host}\r\n\r\n', [400, 505]],
  ['HTTP/0.9 by name', 'GET /c/{id} HTTP/0.9\r\nHost: {host}\r\n\r\n', [400, 505]],
  ['HTTP/1.2', 'GET /c/{id} HTTP/1.2\r\nHost: {host}\r\n\r\n', [400, 505]],
  ['HTTP/2.0 as text', 'GET /c/{id} HTTP/2.0\r\nHost: {host}\r\n\r\n', [400, 505]],
  ['HTTP/9.9', 'GET /c/{id} HTTP/9.9\r\nHost: {host}\r\n\r\n', [400, 505]],
  ['HTTP/1.10', 'GET /c/{id} HTTP/1.10\r\nHost: {host}\r\n\r\n', [400, 505]],
  ['a version in lower case', 'GET /c/{id} http/1.1\r\nHost: {host}\r\n\r\n', [400, 505]],
  ['a version without name', 'GET /c/{id} 1.1\r\nHost: {host}\r\n\r\n', [400, 505]],
  ['a version of another protocol', 'GET /c/{id} ICAP/1.0\r\nHost: {host}\r\n\r\n', [400, 505]],
  ['a preface of HTTP/2 that is none', 'PRI * HTTP/2.0\r\n\r\nMS\r\n\r\n', [400, 505]],
  ['a hundred empty lines before a request', `${'\r\n'.repeat(100)}${get()}`, [400]],
  ['two spaces in the request line', 'GET  /c/{id} HTTP/1.1\r\nHost: {host}\r\n\r\n', [400]],
  ['a tab in the request line', 'GET\t/c/{id}\tHTTP/1.1\r\nHost: {host}\r\n\r\n', [400]],
  ['a space before the method', ' GET /c/{id} HTTP/1.1\r\nHost: {host}\r\n\r\n', [400]],
  ['a space after the version', 'GET /c/{id} HTTP/1.1 \r\nHost: {host}\r\n\r\n', [400, 505]],
  ['a request line of one word', 'GET\r\nHost: {host}\r\n\r\n', [400]],
  ['a method with a delimiter', 'GE(T /c/{id} HTTP/1.1\r\nHost: {host}\r\n\r\n', [400]],
];

const paths: readonly [string, string, readonly number[]][] = [
  ['a URL of 64 KiB', `/c/{id}?${'u'.repeat(64 * 1024)}`, [414]],
  ['a path with UTF-8 as it is', '/c/{id}/\xc3\xa9', [400]],
  ['a path with a byte that is not UTF-8', '/c/{id}/\xff', [400]],
  ['a path with a space', '/c/{id} /x', [400]],
  ['a path with a backslash', '/c/{id}\\x', [400]],
  ['a path with a fragment', '/c/{id}#x', [400]],
  ['a path without a slash', 'c/{id}', [400]],
  ['an asterisk for GET', '*', [400]],
];

const field = (i: number) => `X-${String(i).padStart(4, '0')}: v${i}`;
const fields = (count: number) => Array.from({ length: count }, (_, i) => field(i));
/** Host stands in every head, and our proxies add a few of their own on the way. */
const mostOwnFields = 95;

const extension = (length: number) => `5;${'e'.repeat(length)}\r\nhello\r\n0\r\n\r\n`;
const chunkedPost = (body: string, ...more: readonly string[]) => post('Transfer-Encoding: chunked', ...more) + body;
const whole = 'POST /c/{id}';

const chunkSizes: readonly [string, string][] = [
  ['beyond 64 bits', 'FFFFFFFFFFFFFFFFF'],
  ['of 64 bits', 'FFFFFFFFFFFFFFFF'],
  ['of 2^63', '8000000000000000'],
  ['that wraps around to 5', '10000000000000005'],
  ['negative', '-5'],
  ['with a plus', '+5'],
  ['with a prefix', '0x5'],
  ['with a thousand leading zeros', `${'0'.repeat(1000)}5`],
  ['empty', ''],
  ['of letters beyond F', 'g'],
  ['after a space', ' 5'],
  ['before a space', '5 '],
  ['with an underscore', '0_5'],
  ['followed by a carriage return', '5\r'],
  ['followed by NUL', '5\0'],
];

/** Requests whose answer the server behind gives as it should. */
export const requestCases: readonly HostileCase[] = [
  // 1: two lengths
  refused(
    1,
    'Content-Length before Transfer-Encoding',
    post('Content-Length: 6', 'Transfer-Encoding: chunked') + `0\r\n\r\n${smuggled}`,
  ),
  refused(
    1,
    'Transfer-Encoding before Content-Length',
    post('Transfer-Encoding: chunked', 'Content-Length: 6') + `0\r\n\r\n${smuggled}`,
  ),
  refused(
    1,
    'Content-Length that hides the body of Transfer-Encoding',
    post('Transfer-Encoding: chunked', 'Content-Length: 4') + `5c\r\n${smuggled}\r\n0\r\n\r\n`,
  ),
  refused(
    1,
    'Content-Length: 0 beside Transfer-Encoding',
    post('Content-Length: 0', 'Transfer-Encoding: chunked') + `0\r\n\r\n${smuggled}`,
  ),
  refused(1, 'both, in a GET', get('Content-Length: 5', 'Transfer-Encoding: chunked') + '0\r\n\r\n'),
  // 2: Transfer-Encoding in disguise
  ...transferEncodings.map(({ name, lines }) =>
    refused(
      2,
      /ransfer|:/.test(name) ? name : `Transfer-Encoding: ${name}`,
      `POST /c/{id} HTTP/1.1\r\nHost: {host}${lines}\r\n\r\n5\r\nhello\r\n0\r\n\r\n${smuggled}`,
      [400, 501],
    ),
  ),
  // 3, 4
  ...['gzip, chunked', 'gzip,chunked', 'deflate, gzip, chunked'].map((value) =>
    refused(
      3,
      `Transfer-Encoding: ${value}`,
      post(`Transfer-Encoding: ${value}`) + '5\r\nhello\r\n0\r\n\r\n',
      [501, 400],
    ),
  ),
  refused(
    4,
    'Transfer-Encoding with HTTP/1.0',
    'POST /c/{id} HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  ),
  refused(
    4,
    'Transfer-Encoding with HTTP/1.0 and keep-alive',
    `POST /c/{id} HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  ),
  // 5: bodies where none is usual
  ...['GET', 'DELETE', 'OPTIONS'].map((method) =>
    accepted(5, `${method} with a body`, head(`${method} /c/{id}`, 'Content-Length: 5') + 'hello', {
      line: `${method} /c/{id}`,
      body: 'hello',
    }),
  ),
  accepted(
    5,
    'HEAD with a body',
    head('HEAD /c/{id}', 'Content-Length: 5') + 'hello',
    { line: 'HEAD /c/{id}', body: 'hello' },
    { method: 'HEAD' },
  ),
  accepted(5, 'GET whose body looks like a request', [get(`Content-Length: ${inner.length}`), inner], { body: inner }),
  accepted(5, 'GET with a chunked body', get('Transfer-Encoding: chunked') + '5\r\nhello\r\n0\r\n\r\n', {
    body: 'hello',
  }),
  accepted(
    5,
    'Expect: 100-continue, the body sent at once',
    head('POST /c/{id}', 'Expect: 100-continue', 'Content-Length: 5') + 'hello',
    { line: whole, body: 'hello' },
  ),
  accepted(5, 'Expect: 100-continue, without a body', get('Expect: 100-continue')),
  {
    ...accepted(
      5,
      'a server that answers before the body is complete',
      [post('Content-Length: 5') + 'he', 'wait-for-bytes', 'llo'],
      { line: whole },
    ),
    forwards: 'incomplete',
    respond: ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    early: true,
    closes: true,
    endsUpstream: true,
  },
  {
    ...accepted(5, 'a server that ignores the body and keeps the connection', [
      post('Content-Length: 1000') + 'he',
      'wait-for-bytes',
    ]),
    forwards: 'incomplete',
    respond: ['HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'],
    answers: [[403]],
    early: true,
    closes: true,
    endsUpstream: true,
  },
  // 6: Content-Length
  ...lengths.map(([name, lines]) => refused(6, `Content-Length ${name}`, post(...lines) + `hello${smuggled}`)),
  // 7, 8
  ...lineFaults.map(([name, text]) => refused(7, name, text)),
  refused(8, 'a head that ends in CR LF CR and something else', 'GET /c/{id} HTTP/1.1\r\nHost: {host}\r\n\rX'),
  refused(8, 'a head that ends in CR LF CR and a request', `GET /c/{id} HTTP/1.1\r\nHost: {host}\r\n\r${smuggled}`),
  refused(8, 'a head that ends in CR CR LF', `GET /c/{id} HTTP/1.1\r\nHost: {host}\r\n\r\r\n${smuggled}`),
  // 9: chunk extensions
  accepted(9, 'chunk extensions', chunkedPost('5;a=b\r\nhello\r\n0;last\r\n\r\n'), {
    line: whole,
    body: 'hello',
    lacks: ['a=b', 'last'],
  }),
  accepted(9, 'chunk extensions of 4 KiB', chunkedPost(extension(4000)), { line: whole, body: 'hello' }),
  refused(9, 'chunk extensions of 20 KB', chunkedPost(extension(20_000)), [413, 400]),
  refused(
    9,
    'chunk extensions of 5 KB in all, 10 bytes at a time',
    chunkedPost('1;eeeeeeee\r\nx\r\n'.repeat(600)),
    [413, 400],
  ),
  {
    ...refused(
      9,
      'a chunk extension without end, byte by byte',
      [chunkedPost('5;'), { oneByOne: 'e'.repeat(6000) }],
      [413, 400],
    ),
    forwards: 'incomplete',
  },
  refused(9, 'a line feed in a chunk extension', chunkedPost('5;a\nb\r\nhello\r\n0\r\n\r\n')),
  refused(9, 'a line feed alone after a chunk size', chunkedPost(`5\nhello\r\n0\r\n\r\n${smuggled}`)),
  refused(9, 'a line feed alone after a chunk', chunkedPost(`5\r\nhello\n0\r\n\r\n${smuggled}`)),
  refused(9, 'NUL in a chunk extension', chunkedPost('5;a\0b\r\nhello\r\n0\r\n\r\n')),
  // 10: chunk sizes
  ...chunkSizes.map(([name, size]) =>
    refused(10, `a chunk size ${name}`, chunkedPost(`${size}\r\nhello\r\n0\r\n\r\n${smuggled}`), [400, 413]),
  ),
  refused(10, 'a chunk longer than its size', chunkedPost(`3\r\nhello\r\n0\r\n\r\n${smuggled}`)),
  {
    ...refused(10, 'a wrong chunk after a good one, later', [chunkedPost('5\r\nhello\r\n'), 'Z\r\nhello\r\n0\r\n\r\n']),
    forwards: 'incomplete',
  },
  // 11: trailers
  accepted(11, 'trailers', chunkedPost('5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n'), {
    line: whole,
    body: 'hello',
    trailers: ['x-checksum: abc'],
  }),
  ...[
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    'Host: other',
    'Authorization: Bearer x',
    'Cookie: a=b',
    'X-Forwarded-Client-Cert: URI=spiffe://a',
  ].map((trailer) => ({
    ...accepted(11, `a trailer ${trailer}`, chunkedPost(`5\r\nhello\r\n0\r\nX-Legal: 1\r\n${trailer}\r\n\r\n`), {
      line: whole,
      body: 'hello',
      trailers: ['x-legal: 1'],
    }),
  })),
  { ...refused(11, 'a trailer that is malformed', chunkedPost('5\r\nhello\r\n0\r\nX A: 1\r\n\r\n')) },
  { ...refused(11, 'a trailer that is folded', chunkedPost('5\r\nhello\r\n0\r\nX-A: 1\r\n 2\r\n\r\n')) },
  // 12
  ...controls,
  // 13: hosts
  ...hosts.map(([name, text]) => refused(13, name, text)),
  accepted(13, 'an absolute target outweighs Host', 'GET http://{host}/c/{id} HTTP/1.1\r\nHost: other\r\n\r\n', {
    has: ['host: {host}'],
  }),
  accepted(13, 'a Host in upper case', 'GET /c/{id} HTTP/1.1\r\nHost: {HOST}\r\n\r\n'),
  accepted(13, 'a Host with a space behind it', 'GET /c/{id} HTTP/1.1\r\nHost: {host} \r\n\r\n', {
    has: ['host: {host}'],
  }),
  // 14: sizes
  accepted(14, 'a header of 17 KB', get(`X-Long: ${'l'.repeat(17_000)}`), { has: [`x-long: ${'l'.repeat(17_000)}`] }),
  accepted(14, 'a head of 58 KB', get(`X-Long: ${'l'.repeat(58_000)}`), { has: [`x-long: ${'l'.repeat(58_000)}`] }),
  accepted(14, `${mostOwnFields} header fields`, get(...fields(mostOwnFields)), {
    has: [field(mostOwnFields - 1).toLowerCase()],
  }),
  refused(14, 'a head of 61 KiB', get(`X-Long: ${'l'.repeat(61 * 1024)}`), [431]),
  refused(14, '101 header fields', get(...fields(100)), [431]),
  refused(14, '3000 small header fields, the last of which denies', get(...fields(3000), 'x-deny: 1'), [431]),
  {
    ...refused(
      14,
      'trailers of 61 KiB',
      chunkedPost(`5\r\nhello\r\n0\r\nX-Long: ${'l'.repeat(61 * 1024)}\r\n\r\n`),
      [431, 400],
    ),
    forwards: 'incomplete', // what comes before them may be on its way already
  },
  // 15
  ...paths.map(([name, path, status]) => refused(15, name, head(`GET ${path}`), status)),
  // 16
  ...requestLines.map(([name, text, status]) => refused(16, name, text, status)),
  accepted(16, 'an empty line before a request', `\r\n${get()}`),
  // 17: pipelining
  {
    row: 17,
    fact: 'a hundred requests at once and then our end: all answered, in order',
    steps: [Array.from({ length: 100 }, (_, i) => head(`GET /c/{id}/${i}`)).join(''), 'end'],
    answers: Array.from({ length: 100 }, () => good),
    closes: true,
    forwards: Array.from({ length: 100 }, (_, i) => ({ line: `GET /c/{id}/${i}` })),
  },
  {
    row: 17,
    fact: 'requests with bodies at once and then our end: all answered, in order',
    steps: [
      Array.from({ length: 20 }, (_, i) => `${head(`POST /c/{id}/${i}`, 'Content-Length: 5')}body${i % 10}`).join(''),
      'end',
    ],
    answers: Array.from({ length: 20 }, () => good),
    closes: true,
    forwards: Array.from({ length: 20 }, (_, i) => ({ line: `POST /c/{id}/${i}`, body: `body${i % 10}` })),
  },
  {
    row: 17,
    fact: 'a request and half of another, then our end: the first is answered',
    steps: [`${get()}GET /c/{id}/half HTTP/1.1\r\nHos`, 'end'],
    answers: [good],
    closes: true,
    forwards: [{ line: 'GET /c/{id}' }],
  },
  {
    row: 17,
    fact: 'a good request and a bad one behind it: the first is answered, the second refused',
    steps: [get() + post('Content-Length: x')],
    answers: [good, bad],
    closes: true,
    forwards: [{ line: 'GET /c/{id}' }],
  },
  // 18: slow callers
  accepted(18, 'a head byte by byte', [{ oneByOne: get() }]),
  accepted(18, 'a body byte by byte', [post('Content-Length: 20'), { oneByOne: 'abcdefghijklmnopqrst' }], {
    line: whole,
    body: 'abcdefghijklmnopqrst',
  }),
  accepted(
    18,
    'a chunked body byte by byte',
    [post('Transfer-Encoding: chunked'), { oneByOne: '5\r\nhello\r\n3;x=y\r\nyou\r\n0\r\nX-A: b\r\n\r\n' }],
    { line: whole, body: 'helloyou', trailers: ['x-a: b'] },
  ),
  {
    ...refused(18, 'a head that is not completed within 10 s', ['GET /c/{id} HTTP/1.1\r\nHost: {host}\r\n'], [408]),
    waits: true,
  },
  // 19: half-closed and broken connections
  { ...accepted(19, 'a request and then our end: the answer arrives', [get(), 'end']), closes: true },
  {
    ...accepted(19, 'our end in the middle of a body: no whole request arrives', [
      post('Content-Length: 10') + 'hello',
      'end',
    ]),
    answers: [],
    closes: true,
    forwards: 'incomplete',
  },
  {
    ...accepted(19, 'our end in the middle of a chunked body', [
      post('Transfer-Encoding: chunked') + '5\r\nhello\r\n',
      'end',
    ]),
    answers: [],
    closes: true,
    forwards: 'incomplete',
  },
  {
    ...accepted(19, 'our reset in the middle of a body', [post('Content-Length: 10') + 'hello', 'reset']),
    answers: [],
    closes: true,
    forwards: 'incomplete',
  },
  // 21: upgrades and tunnels
  accepted(
    21,
    'Upgrade: h2c goes no further',
    get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'),
    {
      lacks: ['upgrade', 'http2-settings'],
    },
  ),
  accepted(21, 'Upgrade without Connection', get('Upgrade: h2c'), { lacks: ['upgrade'] }),
  {
    ...refused(
      21,
      'CONNECT to a host that is not there, with a request behind it',
      `CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n${smuggled}`,
      [403, 404, 405, 501],
    ),
  },
  refused(21, 'CONNECT without port', 'CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n'),
  refused(
    21,
    'CONNECT with Content-Length',
    `CONNECT {host}:8080 HTTP/1.1\r\nHost: {host}:8080\r\nContent-Length: 5\r\n\r\nhello${smuggled}`,
  ),
  refused(
    21,
    'CONNECT with Transfer-Encoding',
    `CONNECT {host}:8080 HTTP/1.1\r\nHost: {host}:8080\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  ),
  // 22: HTTP/1.0 and what Connection names
  { ...accepted(22, 'HTTP/1.0', 'GET /c/{id} HTTP/1.0\r\nHost: {host}\r\n\r\n'), closes: true },
  accepted(22, 'HTTP/1.0 with keep-alive', 'GET /c/{id} HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n'),
  { ...accepted(22, 'Connection: close', get('Connection: close')), closes: true },
  {
    ...accepted(22, 'Connection: close, x-secret', get('X-Secret: s', 'Connection: close, x-secret'), {
      has: ['x-secret: s'],
    }),
    closes: true,
  },
  ...['authorization', 'cookie', 'x-request-id', 'x-forwarded-proto', 'content-type'].map((name) =>
    accepted(22, `Connection: ${name} takes nothing away`, get(`${name}: kept`, `Connection: ${name}`), {
      has: [`${name}: kept`],
      lacks: ['connection'],
    }),
  ),
  accepted(
    22,
    'Connection: host, content-length takes nothing away',
    head('POST /c/{id}', 'Content-Length: 5', 'Connection: host, content-length') + 'hello',
    { line: whole, body: 'hello' },
  ),
  accepted(
    22,
    'hop-by-hop fields end here',
    get('Connection: keep-alive', 'Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'TE: trailers'),
    {
      lacks: ['connection', 'keep-alive', 'proxy-connection', 'te'],
    },
  ),
  // 23: what others will write into logs
  accepted(23, 'quotes, escapes and bytes beyond ASCII in a value', get('User-Agent: a"b\\"c\xff\xfe %0d%0a {"x":1}'), {
    has: ['user-agent: a"b\\"c\xff\xfe %0d%0a {"x":1}'],
  }),
  accepted(23, 'escaped line ends in the path', head('GET /c/{id}?a=%0d%0aX:%20y'), {
    line: 'GET /c/{id}?a=%0d%0aX:%20y',
  }),
];

const plain = (body: string, ...more: readonly string[]) =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${more.map((line) => `${line}\r\n`).join('')}\r\n${body}`;
const excess = plain('/excess');

const answered = (
  row: number,
  fact: string,
  respond: readonly Step[] | string,
  answers: HostileCase['answers'],
  more: Partial<HostileCase> = {},
): HostileCase => ({
  row,
  fact,
  steps: [get()],
  respond: typeof respond === 'string' ? [respond] : respond,
  answers,
  closes: false,
  forwards: [{ line: 'GET /c/{id}' }],
  never: '/excess',
  ...more,
});

/** Servers that answer what they should not. */
export const responseCases: readonly HostileCase[] = [
  answered(20, 'two answers to one request', plain('ok') + excess, [good], { body: 'ok', endsUpstream: true }),
  answered(20, 'bytes behind an answer', `${plain('ok')}x`, [good], { body: 'ok', endsUpstream: true }),
  answered(20, 'an answer that nobody asked for, later', [plain('ok'), excess], [good], {
    body: 'ok',
    endsUpstream: true,
  }),
  answered(20, '204 with a body', `HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n/excess`, [[204]], {
    endsUpstream: true,
  }),
  answered(20, '304 with a body', `HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n/excess`, [[304]], {
    endsUpstream: true,
  }),
  answered(20, 'a body in answer to HEAD', plain('/excess'), [good], {
    steps: [head('HEAD /c/{id}')],
    method: 'HEAD',
    forwards: [{ line: 'HEAD /c/{id}' }],
    endsUpstream: true,
  }),
  answered(
    20,
    'a thousand interim answers',
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(1000) + plain('/excess'),
    [[502]],
    { endsUpstream: true },
  ),
  answered(
    20,
    'a few interim answers',
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(3) + plain('ok'),
    [good],
    { body: 'ok' },
  ),
  answered(
    20,
    '101 that nobody asked for',
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n${excess}`,
    [[502]],
    { endsUpstream: true },
  ),
  answered(
    21,
    'an upgrade that the server does not take, with bytes of the other protocol behind it',
    'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n',
    [[403], [400]],
    {
      steps: [`${get('Connection: Upgrade', 'Upgrade: websocket')}\x81\x05early\r\n`],
      closes: true,
    },
  ),
  answered(21, '200 in answer to an upgrade', plain('ok'), [good], {
    steps: [get('Connection: Upgrade', 'Upgrade: x')],
    body: 'ok',
  }),
  answered(20, 'a body longer than Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok/excess', [good], {
    body: 'ok',
    endsUpstream: true,
  }),
  answered(20, 'HTTP/1.0 without length', ['HTTP/1.0 200 OK\r\n\r\nuntil the end', 'end'], [good], {
    body: 'until the end',
    endsUpstream: true,
  }),
  answered(
    19,
    'a body shorter than Content-Length',
    ['HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', 'end'],
    ['broken'],
    { closes: true, endsUpstream: true },
  ),
  answered(
    19,
    'a chunked body that ends early',
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'end'],
    ['broken'],
    { closes: true, endsUpstream: true },
  ),
  answered(
    19,
    'a chunked body that ends in the middle of a chunk',
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello', 'end'],
    ['broken'],
    { closes: true, endsUpstream: true },
  ),
  answered(19, 'a body until the end that is reset', ['HTTP/1.1 200 OK\r\n\r\nhello', 'reset'], ['broken'], {
    closes: true,
    endsUpstream: true,
  }),
  answered(19, 'an end before any answer', ['end'], [[503]], {
    steps: [head('POST /c/{id}')], // a GET would be sent once more where the connection had been used before
    forwards: [{ line: 'POST /c/{id}' }],
    endsUpstream: true,
  }),
  answered(19, 'an end in the middle of the head', ['HTTP/1.1 200 OK\r\nContent-Le', 'end'], [[503, 502]], {
    endsUpstream: true,
  }),
  ...(
    [
      [
        'Content-Length and Transfer-Encoding',
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ],
      ['two Content-Lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
      ['a Content-Length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok'],
      ['a Transfer-Encoding that is not chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok'],
      ['a folded header', 'HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok'],
      ['a bare line feed', 'HTTP/1.1 200 OK\r\nX-A: b\nSet-Cookie: c\r\nContent-Length: 2\r\n\r\nok'],
      ['bare line feeds only', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
      ['NUL in a value', 'HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 2\r\n\r\nok'],
      ['a space before the colon', 'HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 2\r\n\r\nok'],
      ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
      ['HTTP/2 as text', 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
      ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok'],
      ['a status of four digits', 'HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok'],
      ['a status below 100', 'HTTP/1.1 099 No\r\nContent-Length: 2\r\n\r\nok'],
      ['a head of 300 KiB', `HTTP/1.1 200 OK\r\nX-Long: ${'l'.repeat(300 * 1024)}\r\nContent-Length: 2\r\n\r\nok`],
    ] as const
  ).map(([fact, respond]) => answered(20, `an answer with ${fact}`, respond, [[502]], { endsUpstream: true })),
  ...(['xyz', '-2', 'FFFFFFFFFFFFFFFFF'] as const).map((size) =>
    answered(
      20,
      `an answer with a chunk size ${size}`,
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\nok\r\n0\r\n\r\n`,
      ['broken'],
      { closes: true, endsUpstream: true },
    ),
  ),
];
