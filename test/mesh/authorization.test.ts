// Who may call whom: AuthorizationPolicies on running processes, and what changing them does to traffic that flows.
import assert from 'node:assert/strict';
import http from 'node:http';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exchangeRaw, request, SteadyLoad, type Echo } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const echo = JSON.stringify(app('echo.mjs'));
const lines = JSON.stringify(app('line-server.mjs'));
const services = `
meshConfig: { accessLogFile: access.log, pathNormalization: { normalization: DECODE_AND_MERGE_SLASHES } }
services:
  web: { namespace: shop, port: 8080, protocol: http, command: ${echo} }
  db: { namespace: shop, port: 5433, protocol: tcp, command: ${lines} }
  friend: { namespace: shop, command: sleep 1000 }
  stranger: { namespace: other, command: sleep 1000 }
`;
const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;
const policy = (name: string, spec: string, namespace = 'shop') =>
  `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec:\n${spec.trim().replace(/^/gm, '  ')}\n`;
const selector = (service: string) => `selector: { matchLabels: { app: ${service} } }`;

describe('an AuthorizationPolicy', () => {
  let mesh: TestMesh;
  let friend: Readonly<Record<string, number>>;
  let stranger: Readonly<Record<string, number>>;

  before(async () => {
    mesh = await TestMesh.start({ 'mesh.yaml': services, 'strict.yaml': strict, 'policies.yaml': '' });
    friend = mesh.workload('friend-0').upstreams;
    // Services of another namespace are named with it; here all are called alike.
    stranger = Object.fromEntries(
      Object.entries(mesh.workload('stranger-0').upstreams).map(([name, port]) => [name.replace(/\.shop$/, ''), port]),
    );
  });
  after(() => mesh.close());

  /** Writes the policies and waits until every proxy has said that what follows from the files is in force. */
  async function inForce(...policies: string[]): Promise<void> {
    const versions = async () => JSON.stringify(await listenerVersions());
    const old = await versions();
    const text = policies.join('');
    if (text === readFileSync(join(mesh.directory, 'policies.yaml'), 'utf8')) return;
    mesh.write({ 'policies.yaml': text });
    await eventually(async () => (await versions()) !== old && (await allInForce()), 'the policies in force');
  }
  interface Proxy {
    readonly workload: string;
    readonly inForce: boolean;
    readonly applied: readonly { readonly type: string; readonly version: string }[];
  }
  const proxies = async () => (await mesh.fetchJson('/api/proxies')) as Proxy[];
  const allInForce = async () => (await proxies()).every((proxy) => proxy.inForce);
  const listenerVersions = async () =>
    (await proxies()).map(({ applied }) => applied.find(({ type }) => type === 'listener')?.version);

  /** Status with which the caller is answered. */
  const ask = async (upstreams: typeof friend, options: Partial<Parameters<typeof request>[0]> = {}) =>
    (await request({ port: upstreams['web']!, ...options })).status;

  it('that allows nothing denies everything', async () => {
    assert.deepEqual(
      [await ask(friend), await ask(stranger)],
      [200, 200],
      'the control: without one everything passes',
    );
    await inForce(policy('nobody', '{}'));
    assert.deepEqual([await ask(friend), await ask(stranger)], [403, 403]);
  });

  it('allows by identity', async () => {
    await inForce(
      policy(
        'friends',
        `${selector('web')}\nrules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/friend] } }] }]`,
      ),
    );
    assert.deepEqual([await ask(friend), await ask(stranger)], [200, 403]);
  });

  it('denies by namespace, from the root namespace for the whole mesh', async () => {
    await inForce(
      policy('strangers', 'action: DENY\nrules: [{ from: [{ source: { notNamespaces: [shop] } }] }]', 'istio-system'),
    );
    assert.deepEqual([await ask(friend), await ask(stranger)], [200, 403]);
    assert.equal(await exchangeRaw(friend['db']!, 'x', { halfClose: true }), 'hello\nXbye\n');
    assert.equal(await exchangeRaw(stranger['db']!, 'x', { halfClose: true }), '');
  });

  it('tells callers of the mesh who decided, in the words of Envoy', async () => {
    const answer = await request({ port: stranger['web']! });
    assert.equal(answer.status, 403);
    assert.equal(answer.body, 'RBAC: access denied');
    assert.equal(answer.headers['x-lateen-decided-by'], 'AuthorizationPolicy/istio-system/strangers');
    assert.equal(answer.headers['content-type'], 'text/plain');
  });

  it('is named in the log and in a metric, for requests and for connections', async () => {
    const name = 'ns[istio-system]-policy[strangers]-rule[0]';
    const details = `rbac_access_denied_matched_policy[${name}]`;
    const log = () => readFileSync(join(mesh.directory, 'access.log'), 'utf8').split('\n');
    await eventually(() => log().some((line) => line.includes(` 403 - ${details} - `)), 'the line of a request');
    await eventually(
      () => log().some((line) => line.includes(`"- - -" 0 - - ${details} `) && line.includes('inbound|5433||')),
      'the line of a connection',
    );
    for (const protocol of ['http', 'tcp'])
      await eventually(
        async () =>
          sumOf(await scrape(mesh.run.url), 'lateen_authorization_denied_total', { policy: name, protocol }) > 0,
        `a denial counted for ${protocol}`,
      );
    assert.ok(
      sumOf(await scrape(mesh.run.url), 'istio_requests_total', {
        reporter: 'destination',
        response_code: '403',
        response_flags: '-',
      }) > 0,
    );
  });

  it('decides by method, path, header, host and port', async () => {
    await inForce(
      policy(
        'web',
        `${selector('web')}
rules:
  - to: [{ operation: { methods: [GET], paths: ['/public*', '/users/{*}/photo'], notPaths: [/public/secret] } }]
  - to: [{ operation: { methods: [POST] } }]
    when: [{ key: 'request.headers[x-role]', values: [writer] }]
  - to: [{ operation: { hosts: [api.example], ports: ['8080'] } }]
  - to: [{ operation: { methods: [PUT], ports: ['5432'] } }]`,
      ),
    );
    const outcomes = [];
    for (const options of [
      { path: '/public/a' },
      { path: '/public/secret' },
      { path: '/public', method: 'PUT' },
      { path: '/users/me/photo' },
      { path: '/users/me/you/photo' },
      { path: '/x', method: 'POST', headers: { 'x-role': 'writer' } },
      { path: '/x', method: 'POST', headers: { 'x-role': ['reader', 'writer'] } },
      { path: '/x', method: 'POST', headers: { 'x-role': 'reader' } },
      { path: '/x', method: 'POST' },
    ])
      outcomes.push(await ask(friend, options));
    assert.deepEqual(outcomes, [200, 403, 403, 200, 403, 200, 200, 403, 403]);
  });

  it('decides by the address of the peer', async () => {
    await inForce(policy('near', `${selector('web')}\nrules: [{ from: [{ source: { ipBlocks: [127.0.0.0/8] } }] }]`));
    assert.equal(await ask(friend), 200);
    await inForce(policy('far', `${selector('web')}\nrules: [{ from: [{ source: { ipBlocks: [10.0.0.0/8] } }] }]`));
    assert.equal(await ask(friend, { headers: { 'x-forwarded-for': '10.1.2.3' } }), 403);
    const remote = (range: string) =>
      policy('remote', `${selector('web')}\nrules: [{ from: [{ source: { remoteIpBlocks: [${range}] } }] }]`);
    await inForce(remote('10.0.0.0/8'));
    assert.equal(
      await ask(friend, { headers: { 'x-forwarded-for': '10.1.2.3' } }),
      403,
      'no proxy in front is trusted',
    );
    await inForce(remote('127.0.0.1'));
    assert.equal(await ask(friend, { headers: { 'x-forwarded-for': '10.1.2.3' } }), 200);
  });

  it('believes no header that claims an identity', async () => {
    await inForce(
      policy(
        'friends',
        `${selector('web')}\nrules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/friend] } }] }]`,
      ),
    );
    const claim =
      'By=spiffe://cluster.local/ns/shop/sa/web;Hash=00;Subject="";URI=spiffe://cluster.local/ns/shop/sa/friend';
    for (const headers of [
      { 'x-forwarded-client-cert': claim },
      { 'X-Forwarded-Client-Cert': [claim, claim] },
      { 'x-envoy-peer-metadata-id': 'friend', 'x-envoy-peer-metadata': 'friend' },
    ])
      assert.equal(await ask(stranger, { headers }), 403);
    const answer = await request({
      port: friend['web']!,
      headers: { 'x-forwarded-client-cert': 'URI=spiffe://admin' },
    });
    const seen = (JSON.parse(answer.body) as Echo).headers['x-forwarded-client-cert']!;
    assert.match(
      seen,
      /^By=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web;Hash=[0-9a-f]{64};Subject="";URI=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/friend$/,
    );
  });

  it('on a path holds however the path is written, and the application is asked for nothing of it', async () => {
    await inForce(
      policy('no-admin', `${selector('web')}\naction: DENY\nrules: [{ to: [{ operation: { paths: ['/admin*'] } }] }]`),
    );
    for (const path of [
      '/admin',
      '//admin',
      '/./admin',
      '/x/../admin',
      '/%61dmin',
      '/%2e%2e/admin',
      '/%2fadmin',
      '/x%2f..%2Fadmin',
      '/x%5c..%5cadmin',
      '/x/..;y/admin',
      '/admin/?q',
      '/admin;v=1',
    ])
      assert.equal(await ask(friend, { path }), 403, path);
    const answer = await request({ port: friend['web']!, path: '/a//b/../c%2fd' });
    assert.equal((JSON.parse(answer.body) as Echo).url, '/a/c/d');
  });

  it('of HTTP alone is wider on bytes where it denies, and absent where it allows', async () => {
    const http = 'to: [{ operation: { methods: [GET] } }]';
    await inForce(policy('deny', `${selector('db')}\naction: DENY\nrules: [{ ${http} }]`));
    assert.equal(await exchangeRaw(friend['db']!, 'x', { halfClose: true }), '');
    await inForce(policy('allow', `${selector('db')}\nrules: [{ ${http} }]`));
    assert.equal(await exchangeRaw(friend['db']!, 'x', { halfClose: true }), '');
    await inForce(
      policy('allow', `${selector('db')}\nrules: [{ ${http} }, { from: [{ source: { namespaces: [shop] } }] }]`),
    );
    assert.equal(await exchangeRaw(friend['db']!, 'x', { halfClose: true }), 'hello\nXbye\n');
    assert.ok(
      (await mesh.diagnostics()).some(
        ({ code, object }) => code === 'LAT0020' && object === 'AuthorizationPolicy/shop/allow',
      ),
    );
  });

  it('that is refused leaves the last good one in force', async () => {
    await inForce(policy('nobody', `${selector('web')}`));
    assert.equal(await ask(friend), 403);
    mesh.write({ 'policies.yaml': policy('nobody', `${selector('web')}\naction: AUDIT`) });
    await eventually(
      async () => (await mesh.diagnostics()).some(({ code, path }) => code === 'LAT0002' && path === 'spec.action'),
      'the refusal',
    );
    assert.equal(await ask(friend), 403);
  });

  it('that changes under load holds for every request from when it is said to be in force, on the connections that are open', async () => {
    const everybody = policy('web', `${selector('web')}\nrules: [{}]`);
    const nobody = policy('web', `${selector('web')}\nrules: []`);
    await inForce(everybody);
    // One keep-alive connection, which no policy may close.
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<Socket>();
    agent.on('free', (socket: Socket) => sockets.add(socket));
    const probe = async () => (await request({ port: friend['web']!, path: '/status/200', agent })).status;
    // While a change is on its way either answer is right; `owed` counts the requests for which only one is.
    let expected: number | undefined = 200;
    let owed = 0;
    const wanted = new Map<number, number>();
    const load = new SteadyLoad(
      200,
      (i) => {
        if (expected !== undefined) {
          wanted.set(i, expected);
          owed++;
        }
        return { port: friend['web']!, path: '/status/200' };
      },
      ({ status }, i) => {
        const want = wanted.get(i);
        if (want === undefined) return status === 200 || status === 403 ? 'on its way' : String(status);
        owed--;
        return status === want ? 'as it should' : `${status} where ${want} was in force`;
      },
    );
    for (const [policies, status] of [
      [nobody, 403],
      [everybody, 200],
      [nobody, 403],
      [everybody, 200],
    ] as const) {
      const sent = wanted.size;
      await eventually(() => wanted.size > sent + 20, 'some requests under the old policy');
      expected = undefined;
      await eventually(() => owed === 0, 'their answers');
      await inForce(policies);
      expected = status;
      assert.deepEqual(await Promise.all([probe(), probe(), probe()]), [status, status, status]);
    }
    await eventually(() => owed > 0, 'requests under the last policy');
    const { outcomes } = await load.stop();
    agent.destroy();
    assert.deepEqual([...outcomes.keys()].toSorted(), ['as it should', 'on its way']);
    assert.equal(sockets.size, 1, 'one connection carried all of it');
  });
});
