// Row 33 of the catalogue: callers and servers of gRPC that leave out, contradict, stretch or cut off what the protocol wants. What
// the proxy answers itself is an answer of gRPC; what is odd and whole is passed on as it is; nothing hangs.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually, TestMesh } from '../harness/mesh.js';
import { Attacker, type AttackReport } from './attack.js';
import { block, type Field, type FrameStep } from './frame-steps.js';
import { HostileServer } from './hostile-server.js';
import { routeOnce } from './mesh-objects.js';
import { requireTools, skipWithout } from './peers.js';

const head = (fields: readonly Field[], end = false): FrameStep => ({ do: 'headers', block: block(fields), end });
const ok: readonly Field[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
const message = (text: string, end = false): FrameStep => ({
  do: 'data',
  text: `\0\0\0\0${String.fromCharCode(text.length)}${text}`,
  end,
});
const status = (code: string): FrameStep => head([['grpc-status', code]], true);

/** What the server does, by path. */
const scripts: Readonly<Record<string, readonly FrameStep[]>> = {
  '/a.B/good': [head(ok), message('hello'), status('0')],
  '/a.B/no-trailers': [head(ok), message('hello', true)],
  '/a.B/trailers-only': [head([...ok, ['grpc-status', '5'], ['grpc-message', 'not here']], true)],
  '/a.B/status-in-head': [head([...ok, ['grpc-status', '0']]), message('hello', true)],
  '/a.B/four-gigabytes': [head(ok), { do: 'data', text: '\0\xff\xff\xff\xffshort' }, status('0')],
  '/a.B/compressed': [head(ok), { do: 'data', text: '\x01\0\0\0\x05hello' }, status('0')],
  '/a.B/odd-status': [head(ok), message('hello'), head([['grpc-status', 'banana']], true)],
  '/a.B/page': [
    head([
      [':status', '404'],
      ['content-type', 'text/html'],
    ]),
    { do: 'data', text: '<p>', end: true },
  ],
  '/a.B/reset': [{ do: 'reset', code: 2 }],
  '/a.B/cancel': [{ do: 'reset', code: 8 }],
  '/a.B/refused': [{ do: 'reset', code: 7 }],
  '/a.B/broken': [{ do: 'break' }],
  '/a.B/half': [head(ok), message('hello'), { do: 'reset', code: 2 }],
  '/a.B/silent': [],
  '/a.B/goaway': [
    { do: 'goaway' },
    head(ok),
    message('hello'),
    { do: 'pause', ms: 200 },
    message('world'),
    status('0'),
  ],
};

it('gRPC: the judge is there', { skip: skipWithout('python3') }, () => requireTools('python3'));

describe('gRPC', { skip: skipWithout('python3') }, () => {
  let server: HostileServer;
  let mesh: TestMesh;
  let caller: Attacker;

  before(async () => {
    server = await HostileServer.start({
      scripts: Object.fromEntries(Object.entries(scripts).map(([path, steps]) => [path, [steps]])),
      default: scripts['/a.B/good']!,
    });
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  odd: { port: 50051, protocol: grpc, address: "127.0.0.1:${server.port}" }
  client: { command: sleep 1000 }
`,
      'routes.yaml': routeOnce('odd', '5s'),
    });
    caller = Attacker.start();
  });
  after(async () => {
    caller?.close();
    await mesh?.close();
    server?.close();
  });

  const call = (
    path: string,
    {
      fields = [],
      steps = [message('ask', true)],
      within = 8,
    }: { fields?: Field[]; steps?: FrameStep[]; within?: number } = {},
  ): Promise<AttackReport> => {
    const request: Field[] = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':authority', 'odd'],
      [':path', path],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ...fields,
    ];
    return caller.attack(mesh.workload('client-0').outboundHttp.port, {
      steps: [{ do: 'headers', fields: request }, ...steps],
      within,
    });
  };
  /** Status of HTTP, status of gRPC wherever it stands, and how the stream ended. */
  const seen = ({ streams }: AttackReport) => {
    const stream = streams['1'];
    if (stream === undefined) return 'no answer';
    const fields = new Map(stream.blocks.flat());
    // A reset behind a whole answer only says that the rest of the request is not wanted.
    const end = stream.ended ? 'ended' : (stream.reset ?? 'open');
    return `${stream.status} ${fields.get('grpc-status') ?? '-'} ${end}`;
  };

  const answers: readonly (readonly [string, string, string | RegExp])[] = [
    ['a call that is as it should be', '/a.B/good', '200 0 ended'],
    ['an answer without trailers is passed on, for the client to judge', '/a.B/no-trailers', '200 - ended'],
    ['an answer of trailers only is passed on', '/a.B/trailers-only', '200 5 ended'],
    ['a status in the head is passed on', '/a.B/status-in-head', '200 0 ended'],
    ['a message that says 4 GB is passed on as it comes', '/a.B/four-gigabytes', '200 0 ended'],
    ['a message that says compressed without an encoding is passed on', '/a.B/compressed', '200 0 ended'],
    ['a status that is none is passed on', '/a.B/odd-status', '200 banana ended'],
    ['a page of HTML is passed on', '/a.B/page', '404 - ended'],
    ['a reset becomes UNAVAILABLE', '/a.B/reset', '200 14 ended'],
    ['a reset that cancels becomes UNAVAILABLE', '/a.B/cancel', '200 14 ended'],
    ['a refusal becomes UNAVAILABLE', '/a.B/refused', '200 14 ended'],
    ['a connection that breaks off becomes UNAVAILABLE', '/a.B/broken', '200 14 ended'],
    ['a reset behind a message breaks the answer off', '/a.B/half', /^200 (14 ended|- (?!ended|open))/],
    ['a call that GOAWAY still promises ends as it would have', '/a.B/goaway', '200 0 ended'],
    ['a server that says nothing becomes DEADLINE_EXCEEDED in the time of the route', '/a.B/silent', '200 4 ended'],
  ];
  for (const [fact, path, expected] of answers)
    it(fact, async () => {
      const report = await call(path);
      if (typeof expected === 'string') assert.equal(seen(report), expected, JSON.stringify(report));
      else assert.match(seen(report), expected);
    });

  it('what the proxy answers says why, in the message', async () => {
    const fields = new Map((await call('/a.B/reset')).streams['1']!.blocks.flat());
    assert.match(fields.get('content-type') ?? '', /^application\/grpc/);
    assert.match(decodeURIComponent(fields.get('grpc-message') ?? ''), /reset reason: remote reset/);
  });

  it('the deadline of a caller is kept, and its server hears that nobody waits any more', async () => {
    const before = server.events.length;
    const report = await call('/a.B/silent', { fields: [['grpc-timeout', '300m']], within: 3 });
    assert.equal(seen(report), '200 4 ended');
    await eventually(
      () => server.events.slice(before).some(({ event, path }) => event === 'reset' && path === '/a.B/silent'),
      'a reset at the server',
    );
  });

  for (const timeout of ['99999999H', '0S', '123456789S', '-1S', '5X', '', '1.5S', 'S'])
    it(`grpc-timeout: ${JSON.stringify(timeout)} hinders nobody but its caller`, async () => {
      const answer = seen(await call('/a.B/good', { fields: [['grpc-timeout', timeout]] }));
      assert.match(answer, /^200 (0|4) ended$/);
      assert.equal(seen(await call('/a.B/good')), '200 0 ended');
    });

  it('a caller that cancels in the middle of its messages is cancelled at the server', async () => {
    const before = server.events.length;
    await call('/a.B/silent', {
      steps: [
        message('one'),
        message('two'),
        { do: 'pause', ms: 200 },
        { do: 'reset', code: 8 },
        { do: 'pause', ms: 200 },
      ],
      within: 0,
    });
    const cancelled = await eventually(
      () => server.events.slice(before).find(({ event, path }) => event === 'reset' && path === '/a.B/silent'),
      'a reset at the server',
    );
    assert.equal(cancelled.code, 'CANCEL');
  });

  it('a caller that goes away in the middle is cancelled at the server', async () => {
    const before = server.events.length;
    await call('/a.B/silent', { steps: [message('one'), { do: 'pause', ms: 200 }, { do: 'break' }], within: 0 });
    await eventually(
      () => server.events.slice(before).some(({ event, path }) => event === 'reset' && path === '/a.B/silent'),
      'a reset at the server',
    );
  });
});
