// Holds the layers to what they promise together: what a server is asked for, and what is counted.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import {
  answered,
  closeProxies,
  forwarded,
  get,
  ok,
  proxy,
  requestSeries,
} from '../../../test/harness/memory-proxy.js';
import { settle } from '../../../test/harness/memory-socket.js';
import { unknownParty, type Party } from '../../telemetry/istio-labels.js';
import { requestLayout, type Series } from '../../telemetry/series.js';
import type { HttpSettings } from './environment.js';
import { createStack } from './stack.js';

afterEach(closeProxies);

describe('the list of layers', () => {
  const settings = { authority: undefined, normalizePath: false } as HttpSettings;
  it('has only what is configured', () => {
    const more = createStack({ ...settings, authority: 'a', normalizePath: true });
    assert.equal(more.request.length, createStack(settings).request.length + 2);
  });
  it('is run inwards for requests and outwards for answers', () => {
    const { request, response, complete } = createStack(settings);
    const order = (list: readonly object[]) => list.map((layer) => request.indexOf(layer as (typeof request)[number]));
    const inward = order(response).filter((at) => at >= 0);
    assert.deepEqual(
      inward,
      inward.toSorted((a, b) => b - a),
    );
    assert.ok('onComplete' in complete.at(-1)!, 'the record is last: it sees every outcome');
  });
});

describe('a request', () => {
  it('is forwarded with an id and how it was asked for', async () =>
    assert.deepEqual(await forwarded({}), [
      'GET / HTTP/1.1',
      'host: shop',
      'x-request-id: new-id',
      'x-forwarded-proto: http',
      '',
      '',
    ]));
  it('keeps its own id, and how it was asked for is still told', async () => {
    const lines = await forwarded({}, get('/', 'X-Request-Id: mine'));
    assert.deepEqual(lines.slice(2, 4), ['x-request-id: mine', 'x-forwarded-proto: http']);
  });
  it('that was forwarded before keeps how it was first asked for', async () => {
    const lines = await forwarded({}, get('/', 'X-Forwarded-Proto: https'));
    assert.deepEqual(
      lines.filter((line) => line.startsWith('x-forwarded-proto')),
      ['x-forwarded-proto: https'],
    );
  });
  it('cannot claim to come from somebody', async () => {
    const claims = ['X-Forwarded-Client-Cert: URI=a', 'X-Envoy-Peer-Metadata: a', 'X-Envoy-Peer-Metadata-Id: a'];
    const lines = await forwarded({}, get('/', 'A: b', ...claims, 'C: d', 'X-Lateen-Decided-By: a'));
    assert.deepEqual(lines.slice(2, 5), ['a: b', 'c: d', 'x-request-id: new-id']);
  });
  it('names the caller whom a certificate proves, where that is configured', async () => {
    const info = { forwardedClientCert: 'URI=spiffe://a' };
    const named = await forwarded({ info, settings: { setClientCert: true } }, get('/', 'X-Forwarded-Client-Cert: b'));
    assert.equal(named[2], 'x-forwarded-client-cert: URI=spiffe://a');
    assert.ok(!(await forwarded({ info })).some((line) => line.startsWith('x-forwarded-client-cert')));
  });
  it('on the port of a service is for that service', async () =>
    assert.equal(
      (await forwarded({ settings: { authority: 'svc.example' }, domains: ['svc.example'] }))[1],
      'host: svc.example',
    ));
  it('has its path in one form where that is configured', async () => {
    const options = { settings: { normalizePath: true }, routes: [{ match: { path: '/a' }, route: { cluster: 'c' } }] };
    assert.equal((await forwarded(options, get('/x/../%61?b=/../c')))[0], 'GET /a?b=/../c HTTP/1.1');
  });
  it('is forwarded with its body and trailers', async () => {
    const through = proxy();
    await through.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    const server = await through.connect();
    await through.send('2\r\nde\r\n0\r\nT: u\r\n\r\n');
    assert.ok(server.sent.endsWith('\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n'), server.sent);
  });
  it('of HTTP/1.0 without a host is forwarded', async () =>
    assert.deepEqual((await forwarded({}, 'GET / HTTP/1.0\r\n\r\n')).slice(0, 2), ['GET / HTTP/1.1', 'host: ']));
});

describe('a route', () => {
  const route = (action: JsonObject, more: JsonObject = {}) => [
    { match: { prefix: '/a' }, route: { cluster: 'c', ...action }, ...more },
  ];
  it('rewrites path and authority, and tells the path that was asked for', async () => {
    const lines = await forwarded({ routes: route({ prefixRewrite: '/b', hostRewriteLiteral: 'h' }) }, get('/a/c?d'));
    assert.deepEqual(lines.slice(0, 2), ['GET /b/c?d HTTP/1.1', 'host: h']);
    assert.ok(lines.includes('x-envoy-original-path: /a/c?d'));
  });
  it('tells the path that was asked for once, whatever the caller claims', async () => {
    const lines = await forwarded({ routes: route({ prefixRewrite: '/b' }) }, get('/a', 'X-Envoy-Original-Path: /x'));
    assert.deepEqual(
      lines.filter((line) => line.startsWith('x-envoy-original-path')),
      ['x-envoy-original-path: /a'],
    );
  });
  it('always leaves a path', async () => {
    const routes = [{ match: { prefix: '/a/' }, route: { cluster: 'c', prefixRewrite: 'b' } }];
    assert.equal((await forwarded({ routes }, get('/a/c')))[0], 'GET /bc HTTP/1.1');
  });
  it('changes headers on the way in and on the way back', async () => {
    const set = (key: string) => [{ header: { key, value: '1' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }];
    const changes = {
      requestHeadersToAdd: set('in'),
      requestHeadersToRemove: ['gone'],
      responseHeadersToAdd: set('out'),
      responseHeadersToRemove: ['server'],
    };
    const through = proxy({ routes: route({}, changes) });
    await through.send(get('/a', 'Gone: x', 'In: x'));
    const server = await through.connect();
    assert.match(server.sent, /\r\nin: 1\r\n/);
    assert.doesNotMatch(server.sent, /gone/);
    server.receive(ok('', 'Server: x'));
    await settle();
    assert.match(through.caller.sent, /\r\nout: 1\r\n/);
    assert.doesNotMatch(through.caller.sent, /server/);
  });
  it('redirects without asking anybody, and the connection goes on', async () => {
    const routes = [{ match: { prefix: '/' }, redirect: { hostRedirect: 'h', responseCode: 'FOUND' } }];
    const through = proxy({ routes });
    for (let i = 0; i < 2; i++) {
      const answer = await through.send(get('/x'));
      assert.match(answer, /^HTTP\/1\.1 302 Found\r\nlocation: http:\/\/h\/x\r\n/);
      assert.doesNotMatch(answer, /connection: close/);
    }
    assert.equal(through.logged[0]!.responseCodeDetails, 'direct_response');
  });
  it('chooses among its destinations by weight', async () => {
    const clusters = [
      { name: 'c', weight: 1 },
      { name: 'd', weight: 3, hostRewriteLiteral: 'd' },
    ];
    const routes = [{ match: { prefix: '/' }, route: { weightedClusters: { clusters } } }];
    const hostAt = async (point: number) =>
      (await forwarded({ routes, random: () => point, clusters: { c: true, d: true } }))[1];
    assert.deepEqual([await hostAt(0.2), await hostAt(0.3)], ['host: shop', 'host: d']);
  });
});

describe('a CONNECT', () => {
  const routes = [{ match: { connectMatcher: {} }, route: { cluster: 'c' } }];
  const settings = { takesConnect: true };
  const connect = 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n';
  it('goes on in the listener of what was called, with the bytes that came along', async () => {
    const through = proxy({ routes, settings, internalListener: 'inner' });
    assert.equal(await through.send(`${connect}hello`), 'HTTP/1.1 200 OK\r\n\r\n');
    assert.deepEqual([through.accepted, through.logged.length], [['hello'], 1]);
    assert.deepEqual(through.requests(), [], 'it is counted where it goes on');
  });
  it('to a listener that is not there is 503 NC', async () => {
    const through = proxy({ routes, settings, internalListener: 'other' });
    assert.match(await through.send(connect), /^HTTP\/1\.1 503 /);
    assert.equal(through.logged[0]!.responseFlags, 'NC');
  });
});

describe('the record', () => {
  const self: Party = {
    ...unknownParty,
    workload: 'me',
    namespace: 'shop',
    principal: 'spiffe://me',
    canonicalService: 'me',
  };
  it('of a call that leaves says who calls what', async () => {
    const { through } = await answered(ok('hello'), { self });
    const [labels] = through.labels();
    assert.deepEqual(
      [
        labels!['reporter'],
        labels!['source_workload'],
        labels!['destination_service'],
        labels!['destination_workload'],
      ],
      ['source', 'me', 'c.example', 'unknown'],
    );
    assert.equal(labels!['source_principal'], 'unknown', 'over plaintext no certificate was shown');
  });
  it('of a call to nothing known has the host for the service', async () => {
    const through = proxy({ self, domains: ['b'] });
    await through.send(get());
    assert.equal(through.labels()[0]!['destination_service'], 'shop');
  });
  it('of a call that arrives says who calls us', async () => {
    const source: Party = { ...unknownParty, workload: 'caller', principal: 'spiffe://caller' };
    const info = { source, security: 'mutual_tls' } as const;
    const { through } = await answered(ok(), { self, info, settings: { direction: 'inbound' } });
    const [labels] = through.labels();
    assert.deepEqual(
      [
        labels!['reporter'],
        labels!['source_principal'],
        labels!['destination_principal'],
        labels!['destination_workload'],
      ],
      ['destination', 'spiffe://caller', 'spiffe://me', 'me'],
    );
    assert.equal(labels!['connection_security_policy'], 'mutual_tls');
  });
  it('counts bytes with heads, of both sides', async () => {
    const through = proxy();
    const request = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc';
    await through.send(request);
    (await through.connect()).receive(ok('hello'));
    await settle();
    const [{ values }] = requestSeries(through.registry) as [Series];
    assert.equal(values[requestLayout.requestBytesSum], request.length);
    assert.equal(values[requestLayout.responseBytesSum], through.caller.sent.length);
    const [logged] = through.logged;
    assert.deepEqual([logged!.bytesReceived, logged!.bytesSent, logged!.upstreamCluster], [3, 5, 'c']);
  });
});
