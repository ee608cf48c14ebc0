// Row 32 of the catalogue: requests in HTTP/2 that are none, each of which would become another request in HTTP/1.1 if somebody
// passed it on as it is. Whatever is refused is a matter of its stream; the connection goes on.
import { ask, get, post, type FrameCase, type Target } from './frame-cases.js';
import { block, literal, type Field, type FrameStep } from './frame-steps.js';

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

/** Refused: a reset, or 400. Some peers end the connection as well, which is their right (RFC 9113 section 8.1.1). */
const refused = (fact: string, steps: (target: Target) => readonly FrameStep[]): FrameCase => ({
  row: 32,
  fact,
  attack: (target) => ({ steps: steps(target), within: 5 }),
  connection: 'either',
  streams: ['PROTOCOL_ERROR', '400', 'no answer'],
  // The head of a request whose body turns out wrong has been passed on by then; a whole request has not.
  forwards: 'incomplete',
});
const refusedHead = (fact: string, fields: (target: Target) => readonly Field[]): FrameCase => ({
  ...refused(fact, (target) => [ask(fields(target))]),
  forwards: 'nothing',
});
/** Without Huffman coding and without any encoder's opinion of the bytes. */
const refusedBytes = (fact: string, fields: (target: Target) => readonly Field[]): FrameCase => ({
  ...refused(fact, (target) => [{ do: 'headers', block: block(fields(target)), end: true }]),
  forwards: 'nothing',
});
const accepted = (fact: string, steps: (target: Target) => readonly FrameStep[]): FrameCase => ({
  row: 32,
  fact,
  attack: (target) => ({ steps: steps(target) }),
  connection: 'stays',
  streams: ['200'],
  forwards: { atLeast: 1, atMost: 1 },
});

const without = (name: string) => (target: Target) => get(target).filter(([other]) => other !== name);
const replaced = (name: string, value: string) => (target: Target) =>
  get(target).map(([other, old]): Field => [other, other === name ? value : old]);
const withField = (name: string, value: string) => (target: Target) => get(target, [name, value]);
const inPath = (text: string) => (target: Target) => replaced(':path', `${target.path}${text}`)(target);

const pseudoHeaders: readonly FrameCase[] = [
  ...[':method', ':scheme', ':path'].flatMap((name) => [
    refusedHead(`no ${name}`, without(name)),
    refusedHead(`${name} twice`, (target) => [get(target).find(([other]) => other === name)!, ...get(target)]),
    refusedHead(`an empty ${name}`, replaced(name, '')),
    refusedHead(`${name} after a regular field`, (target) => {
      const fields = get(target);
      const moved = fields.find(([other]) => other === name)!;
      return [...fields.filter((field) => field !== moved), ['accept', '*/*'], moved];
    }),
  ]),
  refusedHead(':authority twice', (target) => [[':authority', target.host], ...get(target)]),
  refusedHead(':authority after a regular field', (target) => [
    ...without(':authority')(target),
    ['accept', '*/*'],
    [':authority', target.host],
  ]),
  { ...refusedHead('neither :authority nor host', without(':authority')), isMeshes: true },
  refusedHead(':authority and another host', withField('host', 'other')),
  refusedHead('host twice', (target) => [...without(':authority')(target), ['host', target.host], ['host', 'other']]),
  refusedHead('userinfo in :authority', (target) => replaced(':authority', `user@${target.host}`)(target)),
  refusedHead('a path in :authority', (target) => replaced(':authority', `${target.host}/smuggled`)(target)),
  refusedHead('a space in :authority', (target) => replaced(':authority', `${target.host} x`)(target)),
  refusedHead(':status in a request', (target) => [[':status', '200'], ...get(target)]),
  refusedHead('a pseudo-header that nobody knows', (target) => [[':foo', 'bar'], ...get(target)]),
  refusedHead(':protocol without CONNECT', (target) => [[':protocol', 'websocket'], ...get(target)]),
  refusedHead('CONNECT with :path and without :protocol', replaced(':method', 'CONNECT')),
  refusedHead(':Method', (target) => [[':Method', 'GET'], ...without(':method')(target)]),
];

const paths: readonly FrameCase[] = [
  ['a space', ' x'],
  ['a space and a version', ' HTTP/1.1'],
  ['a carriage return and a line feed', ' HTTP/1.1\r\nX-A: b'],
  ['a whole request', ` HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`],
  ['a carriage return', '\rx'],
  ['a line feed', '\nx'],
  ['NUL', '\0x'],
  ['a tab', '\tx'],
  ['DEL', '\x7fx'],
  ['a fragment', '#x'],
].map(([what, text]) => refusedBytes(`${what} in :path`, inPath(text!)));
const morePaths: readonly FrameCase[] = [
  refusedHead(':path without a slash', replaced(':path', 'c')),
  refusedHead(':path * for GET', replaced(':path', '*')),
  refusedHead('a whole URL as :path', (target) => replaced(':path', `http://other${target.path}`)(target)),
];

const methods: readonly FrameCase[] = [
  refusedBytes('a space in :method', replaced(':method', 'GET /smuggled')),
  refusedBytes('a whole request line in :method', replaced(':method', 'GET /smuggled HTTP/1.1\r\nX-A: b\r\n\r\nGET')),
  refusedBytes('a line feed in :method', replaced(':method', 'GET\n')),
  refusedBytes('a line feed in :scheme', replaced(':scheme', 'http\r\nX-A: b')),
  refusedBytes('a line feed in :authority', (target) => replaced(':authority', `${target.host}\r\nX-A: b`)(target)),
];

const names: readonly FrameCase[] = [
  ['in upper case', 'X-Upper'],
  ['with one upper-case letter', 'x-a-B'],
  ['with a space', 'x a'],
  ['with a colon', 'x:a'],
  ['with a colon at its end', 'x-a:'],
  ['with a carriage return and a line feed', 'x-a: b\r\nx-c'],
  ['with a whole request', `x: y\r\n\r\n${smuggled}`],
  ['with NUL', 'x\0a'],
  ['with DEL', 'x\x7fa'],
  ['beyond ASCII', 'x-\xe9'],
  ['of no length', ''],
  ['of a tab', '\t'],
].map(([what, name]) => refusedBytes(`a name ${what}`, withField(name!, 'b')));

const values: readonly FrameCase[] = [
  ['a carriage return and a line feed', 'b\r\nX-C: d'],
  ['a whole request', `b\r\n\r\n${smuggled}`],
  ['a carriage return', 'b\rc'],
  ['a line feed', 'b\nc'],
  ['NUL', 'b\0c'],
  ['another control character', 'b\x01c'],
  ['DEL', 'b\x7fc'],
].map(([what, value]) => refusedBytes(`a value with ${what}`, withField('x-a', value!)));

const connectionFields: readonly FrameCase[] = [
  ['connection', 'close'],
  ['connection', 'x-a'],
  ['keep-alive', 'timeout=5'],
  ['proxy-connection', 'keep-alive'],
  ['transfer-encoding', 'chunked'],
  ['transfer-encoding', 'identity'],
  ['upgrade', 'websocket'],
  ['te', 'gzip'],
  ['te', 'trailers, gzip'],
].map(([name, value]) => refusedHead(`the field ${name}: ${value}`, withField(name!, value!)));

const length = (value: string) => (target: Target) => post(target, ['content-length', value]);
const withBody =
  (fields: (target: Target) => readonly Field[], text: string, ...before: readonly FrameStep[]) =>
  (target: Target): readonly FrameStep[] => [
    { do: 'headers', fields: fields(target) },
    ...before,
    { do: 'data', text, end: true },
  ];
const bodies: readonly FrameCase[] = [
  refused('a body shorter than content-length', withBody(length('10'), 'hello')),
  refused('a body longer than content-length', withBody(length('3'), 'hello')),
  refused('a request behind the content-length of another', withBody(length('5'), `hello${smuggled}`)),
  // Its head alone is a whole request, which may have been passed on; what follows it is not.
  { ...refused('a body where content-length is 0', withBody(length('0'), smuggled)), forwards: { atMost: 1 } },
  { ...refused('content-length and no body', (target) => [ask(length('5')(target))]), forwards: 'incomplete' },
  refused('content-length twice, different', (target) => [
    { do: 'headers', fields: post(target, ['content-length', '5'], ['content-length', '6']) },
    { do: 'data', text: 'hello', end: true },
  ]),
  ...['+5', '-5', '0x5', '5, 6', '5 5', '', 'five', '99999999999999999999'].map((value) =>
    refused(`content-length: ${JSON.stringify(value)}`, withBody(length(value), 'hello')),
  ),
  refused('content-length and transfer-encoding', (target) => [
    { do: 'headers', fields: post(target, ['content-length', '5'], ['transfer-encoding', 'chunked']) },
    { do: 'data', text: `0\r\n\r\n${smuggled}`, end: true },
  ]),
];

const trailers = (fields: readonly Field[], end = true) =>
  refused(
    `trailers with ${fields.map(([name]) => JSON.stringify(name)).join(', ')}${end ? '' : ' that do not end the stream'}`,
    (target) => [
      { do: 'headers', fields: post(target) },
      { do: 'data', text: 'hello' },
      { do: 'headers', block: block(fields), end, stream: 1 },
    ],
  );
const endings: readonly FrameCase[] = [
  trailers([[':path', '/smuggled']]),
  trailers([['X-Upper', 'a']]),
  trailers([['x-a', 'b\r\nX-C: d']]),
  trailers([['connection', 'close']]),
  trailers([['x-a', 'b']], false),
];

const allowed: readonly FrameCase[] = [
  accepted('a plain request', (target) => [ask(get(target))]),
  accepted('te: trailers', (target) => [ask(get(target, ['te', 'trailers']))]),
  accepted('host equal to :authority', (target) => [ask(get(target, ['host', target.host]))]),
  accepted('host instead of :authority', (target) => [ask([...without(':authority')(target), ['host', target.host]])]),
  accepted('a body of the stated length', withBody(length('5'), 'hello')),
  accepted(
    'a body without a stated length',
    withBody((target) => post(target), 'hello'),
  ),
  accepted(
    'a body in many frames, empty ones among them',
    withBody(length('6'), 'c', { do: 'data', text: 'ab' }, { do: 'data' }, { do: 'data', text: 'abc' }),
  ),
  accepted(
    'an empty body',
    withBody((target) => post(target), ''),
  ),
  accepted('a query', (target) => [ask(inPath('?a=b&c=%20')(target))]),
  accepted('an empty value', (target) => [ask(get(target, ['x-a', '']))]),
  accepted('a cookie in three fields', (target) => [
    ask(get(target, ['cookie', 'a=1'], ['cookie', 'b=2'], ['cookie', 'c=3'])),
  ]),
  accepted('trailers', (target) => [
    { do: 'headers', fields: post(target) },
    { do: 'data', text: 'hello' },
    { do: 'headers', block: literal('x-checksum', 'abc'), end: true, stream: 1 },
  ]),
];

/** The server answers as soon as it has the head: the answer, and then a reset that asks for no more. */
const early: FrameCase = {
  row: 32,
  fact: 'an answer before the end of the body, after which the rest is not wanted',
  attack: (target) => ({
    steps: [
      { do: 'headers', fields: post(target, ['content-length', '100']) },
      { do: 'data', text: 'hello' },
      { do: 'await', what: 'end' },
      { do: 'await_reset' },
    ],
  }),
  connection: 'stays',
  streams: ['200'],
  forwards: 'incomplete',
  respond: { early: true, steps: ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'] },
};

export const requestFaults: readonly FrameCase[] = [
  ...pseudoHeaders,
  ...paths,
  ...morePaths,
  ...methods,
  ...names,
  ...values,
  ...connectionFields,
  ...bodies,
  ...endings,
  ...allowed,
  early,
];
