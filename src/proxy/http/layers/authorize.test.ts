// What happens to requests that policies deny, and to connections on which policies change.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { policiesOf } from '../../../../test/harness/authorization.js';
import { closeProxies, forwarded, get, ok, proxy, type ProxyOptions } from '../../../../test/harness/memory-proxy.js';
import { settle } from '../../../../test/harness/memory-socket.js';
import { unknownParty } from '../../../telemetry/istio-labels.js';
import type { HttpSettings } from '../environment.js';
import { HttpFilter } from '../http-filter.js';
import type { NetworkFilter } from '../../listener/filter-chain.js';

afterEach(closeProxies);

const any = [{ any: true }];
const path = (matcher: JsonObject): JsonObject => ({ urlPath: { path: matcher } });
const denyAdmin = policiesOf({
  action: 'DENY',
  policies: { 'ns[shop]-policy[no-admin]-rule[0]': { permissions: [path({ prefix: '/admin' })], principals: any } },
})!;
const denyAll = policiesOf({ action: 'DENY', policies: { all: { permissions: any, principals: any } } })!;
const allowNobody = policiesOf({})!;
const inbound = (policies: Partial<HttpSettings>): Partial<HttpSettings> => ({
  direction: 'inbound',
  ...policies,
});
const proved = { security: 'mutual_tls', source: { ...unknownParty, principal: 'spiffe://a' } } as const;

describe('a denied request', () => {
  it('is answered as Envoy does, logged by policy, and not forwarded', async () => {
    const through = proxy({ settings: inbound({ policies: denyAdmin }) });
    const answer = await through.send(get('/admin/x?y'));
    assert.match(answer, /^HTTP\/1\.1 403 Forbidden\r\ncontent-type: text\/plain\r\n/);
    assert.match(answer, /\r\ncontent-length: 19\r\n\r\nRBAC: access denied$/);
    const [logged] = through.logged;
    assert.deepEqual(
      [logged!.responseCode, logged!.responseFlags, logged!.responseCodeDetails, logged!.routeName],
      [403, '-', 'rbac_access_denied_matched_policy[ns[shop]-policy[no-admin]-rule[0]]', undefined],
    );
    assert.deepEqual(through.requests(), [['403', 1]]);
    assert.equal(through.servers.length, 0);
  });

  it('leaves its connection to the next', async () => {
    const through = proxy({ settings: inbound({ policies: denyAdmin }) });
    assert.doesNotMatch(await through.send(get('/admin')), /connection: close/);
    await through.send(get('/open'));
    (await through.connect()).receive(ok('open'));
    await settle();
    assert.match(through.caller.sent, /HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nopen$/);
  });

  it('with a body is answered before the body is there, which nobody reads', async () => {
    const through = proxy({ settings: inbound({ policies: denyAdmin }) });
    const answer = await through.send('POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 403 /);
    assert.match(answer, /\r\nconnection: close\r\n/);
  });

  it('tells who decided only to callers with a certificate', async () => {
    const decidedBy = async (options: ProxyOptions) => {
      const answer = await proxy(options).send(get('/admin'));
      return /\r\nx-lateen-decided-by: (.*)\r\n/.exec(answer)?.[1];
    };
    const settings = inbound({ policies: denyAdmin });
    assert.equal(await decidedBy({ settings, info: proved }), 'AuthorizationPolicy/shop/no-admin');
    assert.equal(await decidedBy({ settings }), undefined);
    assert.equal(await decidedBy({ settings: inbound({ policies: allowNobody }), info: proved }), undefined);
  });

  it('is explained to the own workload alone', async () => {
    const answerOf = async (direction: 'inbound' | 'outbound') =>
      (await proxy({ settings: { direction, policies: denyAdmin } }).send(get('/admin'))).split('\r\n\r\n')[1]!;
    assert.equal(await answerOf('inbound'), 'RBAC: access denied');
    assert.match(
      await answerOf('outbound'),
      /^RBAC: access denied\nlateen: AuthorizationPolicy\/shop\/no-admin denies it/,
    );
  });

  it('is counted by policy', async () => {
    const self = { ...unknownParty, workload: 'api', namespace: 'shop' };
    const through = proxy({ settings: inbound({ policies: denyAdmin }), self });
    await through.send(get('/admin'));
    await through.send(get('/admin/b'));
    const series = through.registry.all.find(({ name }) => name === 'lateen_authorization_denied_total');
    assert.deepEqual(series!.labels, [
      'workload',
      'api',
      'namespace',
      'shop',
      'policy',
      'ns[shop]-policy[no-admin]-rule[0]',
      'protocol',
      'http',
    ]);
    assert.equal(series!.values[0], 2);
  });

  it('is denied before anything is said of its route', async () => {
    const through = proxy({ settings: inbound({ policies: allowNobody }), routes: [] });
    assert.match(await through.send(get('/nowhere')), /^HTTP\/1\.1 403 /);
  });
});

describe('policies', () => {
  it('see headers as the application does: without claims, with the caller who is proved', async () => {
    const named = (value: string) =>
      policiesOf({
        policies: {
          p: {
            permissions: any,
            principals: [{ header: { name: 'x-forwarded-client-cert', stringMatch: { exact: value } } }],
          },
        },
      })!;
    const claim = get('/', 'X-Forwarded-Client-Cert: URI=spiffe://admin');
    const spoofed = proxy({ settings: inbound({ policies: named('URI=spiffe://admin'), setClientCert: true }) });
    assert.match(await spoofed.send(claim), /^HTTP\/1\.1 403 /);
    const info = { ...proved, forwardedClientCert: 'URI=spiffe://web' };
    const settings = inbound({ policies: named('URI=spiffe://web'), setClientCert: true });
    assert.equal((await forwarded({ settings, info }, claim))[0], 'GET / HTTP/1.1');
  });

  it('that change hold for the next request of an open connection, which stays open', async () => {
    const through = proxy({ settings: inbound({ policies: undefined }) });
    const allowed = async () => {
      const before = through.caller.sent.length;
      await through.send(get());
      const server = through.servers.at(-1) ?? (await through.connect());
      server.receive(ok());
      await settle();
      return through.caller.sent.slice(before);
    };
    assert.match(await allowed(), /^HTTP\/1\.1 200 /);
    assert.equal(through.takePolicies(denyAll), true);
    assert.match(await through.send(get()), /^HTTP\/1\.1 403 /);
    assert.equal(through.takePolicies(denyAdmin), true);
    assert.match(await allowed(), /^HTTP\/1\.1 200 /);
    through.takePolicies(undefined);
    await through.send(get('/admin'));
    through.servers.at(-1)!.receive(ok());
    await settle();
    assert.deepEqual(through.requests(), [
      ['200', 3],
      ['403', 1],
    ]);
    assert.doesNotMatch(through.caller.sent, /connection: close/);
  });

  it('that change leave a request alone that is under way', async () => {
    const through = proxy({ settings: inbound({ policies: denyAdmin }) });
    await through.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
    const server = await through.connect();
    through.takePolicies(denyAll);
    await through.send('cd');
    server.receive(ok());
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 200 /);
  });

  it('are taken from filters of the same kind only', () => {
    const other = { handle: () => assert.fail('not under test'), takePolicies: () => false } satisfies NetworkFilter;
    assert.equal(HttpFilter.prototype.takePolicies.call(Object.create(HttpFilter.prototype), other), false);
  });
});

describe('a connection that policies deny', () => {
  it('is closed without a word', async () => {
    const through = proxy({ settings: inbound({ connectionPolicies: allowNobody }) });
    assert.equal(await through.send(get()), '');
    assert.equal(through.caller.destroyed, true);
    const series = through.registry.all.find(({ name }) => name === 'lateen_authorization_denied_total');
    assert.deepEqual([series!.labels.at(-1), series!.values[0]], ['tcp', 1]);
    assert.deepEqual(through.logged, []);
  });
});
