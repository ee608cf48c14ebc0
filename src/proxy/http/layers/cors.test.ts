// Browsers are told what the route allows, as Envoy's filter tells them.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { closeProxies, get, ok, proxy } from '../../../../test/harness/memory-proxy.js';
import { settle } from '../../../../test/harness/memory-socket.js';

afterEach(closeProxies);

const type = 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy';
const policy = {
  allowOriginStringMatch: [{ exact: 'https://a.example' }, { prefix: 'https://b.' }],
  allowMethods: 'GET,PUT',
  allowHeaders: 'x-a',
  exposeHeaders: 'x-b',
  maxAge: '60',
  allowCredentials: true,
};
const through = (cors: JsonObject, action: JsonObject = { route: { cluster: 'c' } }) =>
  proxy({
    routes: [
      {
        match: { prefix: '/' },
        ...action,
        typedPerFilterConfig: { 'envoy.filters.http.cors': { '@type': type, ...cors } },
      },
    ],
  });
const preflight = (origin: string, ...fields: string[]) =>
  get('/', `Origin: ${origin}`, 'Access-Control-Request-Method: PATCH', ...fields).replace('GET', 'OPTIONS');
/** The cross-origin headers of an answer, without their common beginning, and its status. */
const told = (answer: string) => [
  answer.slice(9, 12),
  ...[...answer.matchAll(/access-control-(.*)\r\n/g)].map(([, line]) => line),
];
const answeredBy = async (on: ReturnType<typeof proxy>, request: string, answer: string) => {
  await on.send(request);
  (await on.connect()).receive(answer);
  await settle();
  return told(on.caller.sent);
};

describe('a preflight', () => {
  it('of an origin that is allowed is answered with everything', async () => {
    const on = through(policy);
    assert.deepEqual(told(await on.send(preflight('https://a.example'))), [
      '200',
      'allow-credentials: true',
      'allow-methods: GET,PUT',
      'allow-headers: x-a',
      'max-age: 60',
      'allow-origin: https://a.example',
      'expose-headers: x-b',
    ]);
    assert.equal(on.logged[0]!.responseCodeDetails, 'cors_response');
  });
  it('is told what it asks for where anything goes', async () => {
    const on = through({ allowOriginStringMatch: [{ exact: '*' }], allowMethods: '*', allowHeaders: '*' });
    assert.deepEqual(told(await on.send(preflight('https://c.example', 'Access-Control-Request-Headers: x-c,x-d'))), [
      '200',
      'allow-methods: PATCH',
      'allow-headers: x-c,x-d',
      'allow-origin: https://c.example',
    ]);
  });
  it('of another origin goes on to the server', async () => {
    assert.deepEqual(await answeredBy(through(policy), preflight('https://c.example'), ok()), ['200']);
  });
  it('of another origin is answered without allowing it, where it is to be ignored', async () => {
    const on = through({ ...policy, forwardNotMatchingPreflights: false });
    assert.deepEqual(told(await on.send(preflight('https://c.example'))), [
      '200',
      'allow-credentials: true',
      'allow-methods: GET,PUT',
      'allow-headers: x-a',
      'max-age: 60',
    ]);
  });
  it('is OPTIONS with an origin and a method', async () => {
    for (const request of [
      get('/', 'Origin: https://a.example').replace('GET', 'OPTIONS'),
      get('/', 'Origin: https://a.example', 'Access-Control-Request-Method: PUT'),
      get('/', 'Access-Control-Request-Method: PUT').replace('GET', 'OPTIONS'),
    ]) {
      const on = through(policy);
      assert.equal(await on.send(request), '');
      await on.connect();
    }
  });
});

describe('an answer', () => {
  it('names the origin that is allowed, whatever the server says', async () => {
    const answer = await answeredBy(
      through(policy),
      get('/', 'Origin: https://b.example'),
      ok('', 'Access-Control-Allow-Origin: *', 'Access-Control-Allow-Origin: x'),
    );
    assert.deepEqual(answer, [
      '200',
      'allow-origin: https://b.example',
      'allow-credentials: true',
      'expose-headers: x-b',
    ]);
  });
  it('to another origin, or to nobody from a browser, is as the server made it', async () => {
    for (const fields of [['Origin: https://c.example'], [], ['Origin: ']])
      assert.deepEqual(
        await answeredBy(through(policy), get('/', ...fields), ok('', 'Access-Control-Allow-Origin: x')),
        ['200', 'allow-origin: x'],
      );
  });
  it('that is a failure can be read too', async () => {
    const on = through(policy);
    await on.send(get('/', 'Origin: https://a.example'));
    await on.refuse();
    assert.deepEqual(told(on.caller.sent).slice(0, 2), ['503', 'allow-origin: https://a.example']);
  });
  it('that the route itself gives is left alone', async () => {
    const on = through(policy, { directResponse: { status: 200 } });
    assert.deepEqual(told(await on.send(get('/', 'Origin: https://a.example'))), ['200']);
  });
});

it('rules that are turned off do nothing', async () => {
  const off = { ...policy, filterEnabled: { defaultValue: { numerator: 0 } } };
  assert.deepEqual(await answeredBy(through(off), get('/', 'Origin: https://a.example'), ok()), ['200']);
});
