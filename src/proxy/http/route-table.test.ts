// Holds routing to Envoy's documented semantics: hosts, paths, order, weights, rewrites and redirects.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromJson, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { typeRegistry as registry } from '../../../test/harness/resources.js';
import type { AccessRecord } from '../../telemetry/access-log/record.js';
import { RouteConfigurationSchema } from '../../xds/messages.js';
import { UnsupportedConfig, type RoutedRequest } from './matchers.js';
import { pickDestination, RouteTable, type DirectAnswer, type ForwardAction, type RedirectTo } from './route-table.js';

const tableOf = (...virtualHosts: JsonObject[]) =>
  new RouteTable(fromJson(RouteConfigurationSchema, { name: 'r', virtualHosts }, { registry }));

const request = (path: string, changes: Partial<RoutedRequest> = {}): RoutedRequest => ({
  method: 'GET',
  path,
  authority: 'shop',
  scheme: 'http',
  headers: [],
  ...changes,
});

const oneHost = (...list: JsonObject[]) => tableOf({ name: 'any', domains: ['*'], routes: list });
const routes = (...list: JsonObject[]) => oneHost(...list.map((route) => ({ route: { cluster: 'c' }, ...route })));

/** Whether a route with that match takes the request. */
const taken = (match: JsonObject, path: string, changes: Partial<RoutedRequest> = {}) =>
  routes({ match }).findRoute(request(path, changes)) !== undefined;

const actionOf = (route: JsonObject) =>
  oneHost({ match: { prefix: '/' }, ...route }).findHost('any')!.routes[0]!.action;
const forwardOf = (route: JsonObject, match: JsonObject = { prefix: '/' }) =>
  actionOf({ match, route: 'weightedClusters' in route ? route : { cluster: 'c', ...route } }) as ForwardAction;

describe('hosts', () => {
  const table = tableOf(
    { name: 'exact', domains: ['Shop.example', 'shop.example:8080'] },
    { name: 'short suffix', domains: ['*.example'] },
    { name: 'long suffix', domains: ['*.a.example'] },
    { name: 'dashed suffix', domains: ['*-x.example'] },
    { name: 'prefix', domains: ['shop.*', 'shop.example:*'] },
    { name: 'any', domains: ['*'] },
  );
  for (const [host, name] of [
    ['shop.example', 'exact'],
    ['SHOP.EXAMPLE', 'exact'],
    ['shop.example:8080', 'exact'],
    ['other.example', 'short suffix'],
    ['x.y.example', 'short suffix'],
    ['b.a.example', 'long suffix'],
    ['B.A.Example', 'long suffix'],
    ['a-x.example', 'dashed suffix'],
    ['shop.other', 'prefix'],
    ['shop.example:9', 'prefix'],
    ['.example', 'any'],
    ['shop.', 'any'],
    ['elsewhere', 'any'],
    ['', 'any'],
  ] as const)
    it(`${JSON.stringify(host)} is found as ${name}`, () => assert.equal(table.findHost(host)?.name, name));

  it('an ending of a name outweighs its beginning', () => {
    const both = tableOf({ name: 'prefix', domains: ['shop.*'] }, { name: 'suffix', domains: ['*.example'] });
    assert.equal(both.findHost('shop.example')?.name, 'suffix');
  });
  it('what nobody takes is not found', () => {
    const none = tableOf({ name: 'a', domains: ['a'] });
    assert.equal(none.findHost('b'), undefined);
    assert.equal(none.findRoute(request('/', { authority: 'b' })), undefined);
  });
  for (const domain of ['shop', '*.shop', 'shop.*', '*'])
    it(`${domain} in two virtual hosts is refused`, () =>
      assert.throws(
        () => tableOf({ name: 'a', domains: [domain] }, { name: 'b', domains: ['x', domain.toUpperCase()] }),
        UnsupportedConfig,
      ));
});

describe('paths', () => {
  for (const [what, match, path, expected] of [
    ['a prefix takes what begins with it', { prefix: '/a' }, '/abc', true],
    ['a prefix takes itself with a query', { prefix: '/a' }, '/a?b', true],
    ['a prefix does not take what only contains it', { prefix: '/a' }, '/b/a', false],
    ['a prefix does not reach into the query', { prefix: '/a?b' }, '/a?b', false],
    ['a prefix minds the case of letters', { prefix: '/A' }, '/a', false],
    ['a prefix ignores the case of letters where asked', { prefix: '/A', caseSensitive: false }, '/aB', true],
    ['an exact path takes itself', { path: '/a' }, '/a', true],
    ['an exact path takes itself with a query', { path: '/a' }, '/a?b=c', true],
    ['an exact path takes nothing longer', { path: '/a' }, '/a/', false],
    ['an exact path minds the case of letters', { path: '/A' }, '/a', false],
    ['an exact path ignores the case of letters where asked', { path: '/A', caseSensitive: false }, '/a', true],
    ['a prefix of whole segments takes itself', { pathSeparatedPrefix: '/a' }, '/a?x', true],
    ['a prefix of whole segments takes what is below', { pathSeparatedPrefix: '/a' }, '/a/b', true],
    ['a prefix of whole segments does not take half of one', { pathSeparatedPrefix: '/a' }, '/ab', false],
    ['an expression takes the whole path', { safeRegex: { regex: '/a.' } }, '/ab', true],
    ['an expression takes no part of a path', { safeRegex: { regex: '/a.' } }, '/abc', false],
    ['an expression does not see the query', { safeRegex: { regex: '/a' } }, '/a?b', true],
    ['any path is taken by /', { prefix: '/' }, '/a', true],
  ] as const)
    it(what, () => assert.equal(taken(match, path), expected));

  it('CONNECT is taken by its own matcher alone', () => {
    const connect = { method: 'CONNECT' };
    assert.equal(taken({ connectMatcher: {} }, '', connect), true);
    assert.equal(taken({ connectMatcher: {} }, '/'), false);
    for (const match of [{ prefix: '/' }, { prefix: '' }, { path: '' }, { safeRegex: { regex: '.*' } }])
      assert.equal(taken(match, '', connect), false);
  });
});

describe('conditions', () => {
  it('all must hold', () => {
    const match = {
      prefix: '/a',
      headers: [
        { name: ':method', stringMatch: { exact: 'POST' } },
        { name: ':authority', stringMatch: { prefix: 'shop' } },
        { name: ':scheme', stringMatch: { exact: 'http' } },
        { name: 'x', presentMatch: true },
      ],
      queryParameters: [{ name: 'q', stringMatch: { exact: '1' } }],
    };
    const good = { method: 'POST', headers: ['x', ''] };
    assert.equal(taken(match, '/a?q=1', good), true);
    assert.equal(taken(match, '/b?q=1', good), false);
    assert.equal(taken(match, '/a?q=2', good), false);
    assert.equal(taken(match, '/a?q=1', { ...good, method: 'GET' }), false);
    assert.equal(taken(match, '/a?q=1', { ...good, headers: [] }), false);
    assert.equal(taken(match, '/a?q=1', { ...good, authority: 'other' }), false);
    assert.equal(taken(match, '/a?q=1', { ...good, scheme: 'https' }), false);
  });
  it('a header that must not be there (withoutHeaders) keeps others out', () => {
    const match = {
      prefix: '/',
      headers: [{ name: 'x', stringMatch: { exact: 'a' }, invertMatch: true, treatMissingHeaderAsEmpty: true }],
    };
    assert.equal(taken(match, '/', { headers: ['x', 'a'] }), false);
    assert.equal(taken(match, '/', { headers: ['x', 'b'] }), true);
    assert.equal(taken(match, '/'), true);
  });
  it('the first route that matches wins', () => {
    const table = routes(
      { name: '1', match: { path: '/a' } },
      { name: '2', match: { prefix: '/a' } },
      { name: '3', match: { prefix: '/' } },
    );
    assert.deepEqual(
      ['/a', '/ab', '/b'].map((path) => table.findRoute(request(path))?.name),
      ['1', '2', '3'],
    );
  });
  it('a host without a matching route does not fall back to another host', () => {
    const table = tableOf(
      { name: 'a', domains: ['shop'], routes: [{ match: { path: '/x' }, route: { cluster: 'c' } }] },
      { name: 'b', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] },
    );
    assert.equal(table.findRoute(request('/y')), undefined);
  });
});

it('the clusters of a table are those of destinations and of copies', () => {
  const table = routes({
    match: { prefix: '/' },
    route: {
      weightedClusters: {
        clusters: [
          { name: 'a', weight: 1 },
          { name: 'b', weight: 1 },
        ],
      },
      requestMirrorPolicies: [{ cluster: 'copies' }],
    },
  });
  assert.deepEqual([...table.clusters], ['a', 'b', 'copies']);
});

it('a fixed answer is text or bytes, as long as the configuration takes', () => {
  const direct = (body: JsonObject, limit?: number) =>
    new RouteTable(
      fromJson(RouteConfigurationSchema, {
        ...(limit === undefined ? {} : { maxDirectResponseBodySizeBytes: limit }),
        virtualHosts: [
          { name: 'a', domains: ['*'], routes: [{ match: { prefix: '/' }, directResponse: { status: 418, body } }] },
        ],
      }),
    ).findHost('a')!.routes[0]!.action as DirectAnswer;
  assert.deepEqual([direct({ inlineString: 'a' }).status, direct({ inlineString: 'a' }).body], [418, 'a']);
  assert.deepEqual(Buffer.from(direct({ inlineBytes: 'AP8=' }).body), Buffer.from([0, 255]));
  assert.equal(direct({ inlineString: 'x'.repeat(5000) }, 5000).body.length, 5000);
  assert.throws(() => direct({ inlineString: 'é'.repeat(2500) }, 4999), UnsupportedConfig);
});

describe('what is not understood is refused', () => {
  for (const [what, route] of [
    ['a route without a match', { match: undefined }],
    ['a match without a path', { match: {} }],
    ['a fraction', { match: { prefix: '/', runtimeFraction: { defaultValue: { numerator: 1 } } } }],
    ['gRPC only', { match: { prefix: '/', grpc: {} } }],
    ['a template of paths', { match: { pathMatchPolicy: { name: 'x' } } }],
    [
      'a fixed answer that is not in the message',
      { directResponse: { status: 200, body: { filename: '/etc/passwd' } } },
    ],
    ['a fixed answer that is too long', { directResponse: { status: 200, body: { inlineString: 'x'.repeat(4097) } } }],
    [
      'a filter that is not here',
      {
        typedPerFilterConfig: { x: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } },
      },
    ],
    ['a cluster named by a header', { route: { clusterHeader: 'x' } }],
    ['cross-origin rules', { route: { cluster: 'c', cors: {} } }],
    ['hashing', { route: { cluster: 'c', hashPolicy: [{ header: { headerName: 'x' } }] } }],
    ['a host taken from a header', { route: { cluster: 'c', hostRewriteHeader: 'x' } }],
    ['a redirect that rewrites a prefix', { redirect: { prefixRewrite: '/x' } }],
    [
      'a group that an expression does not have',
      { route: { cluster: 'c', regexRewrite: { pattern: { regex: '/a' }, substitution: '\\1' } } },
    ],
  ] as [string, Record<string, JsonValue | undefined>][])
    it(what, () => {
      const given = Object.entries({ match: { prefix: '/' }, ...route }).filter(([, value]) => value !== undefined);
      const complete = 'redirect' in route || 'directResponse' in route ? {} : { route: { cluster: 'c' } };
      const json = { ...complete, ...Object.fromEntries(given) } as JsonObject;
      assert.throws(() => tableOf({ name: 'a', domains: ['*'], routes: [json] }), UnsupportedConfig);
    });
});

for (const host of [
  { requireTls: 'ALL' },
  { retryPolicy: {} },
  { requestMirrorPolicies: [{ cluster: 'd' }] },
  { cors: {} },
  { typedPerFilterConfig: { x: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } } },
])
  it(`a virtual host with ${Object.keys(host)[0]} is refused`, () =>
    assert.throws(() => tableOf({ name: 'a', domains: ['*'], ...host } as JsonObject), UnsupportedConfig));

describe('weights', () => {
  const weighted = (...weights: number[]) =>
    forwardOf({
      weightedClusters: { clusters: weights.map((weight, i) => ({ name: `${i}`, weight })) },
    });
  const at = (action: ForwardAction, point: number) => pickDestination(action, () => point)?.cluster;

  it('divide the whole range in their order', () => {
    const action = weighted(50, 30, 20);
    assert.deepEqual(
      [0, 0.4999, 0.5, 0.7999, 0.8, 0.9999].map((point) => at(action, point)),
      ['0', '0', '1', '1', '2', '2'],
    );
  });
  it('of zero are never chosen, wherever they stand', () => {
    const almostOne = 1 - 2 ** -53;
    fc.assert(
      fc.property(
        fc.array(fc.nat(100), { minLength: 2, maxLength: 6 }).filter((weights) => weights.some((weight) => weight > 0)),
        fc.oneof(fc.constantFrom(0, almostOne), fc.double({ min: 0, max: almostOne, noNaN: true })),
        (weights, point) => assert.ok(weights[Number(at(weighted(...weights), point))]! > 0),
      ),
    );
  });
  it('give shares that are exact over all points', () =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 2, maxLength: 5 }), (weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        fc.pre(total > 0);
        const action = weighted(...weights);
        const counts = weights.map(() => 0);
        for (let i = 0; i < total; i++) counts[Number(at(action, (i + 0.5) / total))]!++;
        assert.deepEqual(counts, weights);
      }),
    ));
  it('clusters of all hosts and destinations are named', () =>
    assert.deepEqual(
      [
        ...tableOf(
          { name: 'a', domains: ['a'], routes: [{ match: { prefix: '/' }, route: { cluster: 'x' } }] },
          {
            name: 'b',
            domains: ['*.b', 'b.*', '*'],
            routes: [
              { match: { path: '/r' }, redirect: {} },
              {
                match: { prefix: '/' },
                route: { weightedClusters: { clusters: [{ name: 'y', weight: 1 }, { name: 'z' }] } },
              },
            ],
          },
        ).clusters,
      ].sort(),
      ['x', 'y', 'z'],
    ));
});

describe('forwarding', () => {
  it('times out after 15 s where nothing is said, as in Envoy, and never where 0 is', () => {
    assert.equal(forwardOf({}).timeoutMs, 15_000);
    assert.equal(forwardOf({ timeout: '0s' }).timeoutMs, 0);
    assert.equal(forwardOf({ timeout: '0.25s' }).timeoutMs, 250);
  });
  it('a time beyond what a timer can count is not taken for none', () => {
    const { timeoutMs } = forwardOf({ timeout: '3600000s' });
    assert.ok(timeoutMs > 86_400_000 && timeoutMs < 2 ** 31, String(timeoutMs));
  });
  it('honours deadlines of gRPC callers from the end of their requests or from the beginning, as it is told', () => {
    assert.equal(forwardOf({ timeout: '1s' }).grpcDeadline, undefined);
    assert.deepEqual(forwardOf({ timeout: '1s', maxGrpcTimeout: '2s' }).grpcDeadline, { from: 'end', mostMs: 2000 });
    const { timeoutMs, longestMs, grpcDeadline } = forwardOf({
      timeout: '1s',
      maxStreamDuration: { maxStreamDuration: '3s', grpcTimeoutHeaderMax: '2s' },
    });
    assert.deepEqual([timeoutMs, longestMs, grpcDeadline], [0, 3000, { from: 'begin', mostMs: 2000 }]);
    assert.equal(forwardOf({ maxStreamDuration: {} }).grpcDeadline, undefined);
    for (const action of [{ grpcTimeoutOffset: '1s' }, { maxStreamDuration: { grpcTimeoutHeaderOffset: '1s' } }])
      assert.throws(() => forwardOf(action), UnsupportedConfig);
  });
  it('a cluster that is not there gives the status that is configured', () => {
    assert.equal(forwardOf({}).notFoundStatus, 503);
    assert.equal(forwardOf({ clusterNotFoundResponseCode: 'NOT_FOUND' }).notFoundStatus, 404);
    assert.equal(forwardOf({ clusterNotFoundResponseCode: 'INTERNAL_SERVER_ERROR' }).notFoundStatus, 500);
  });
  it('the authority of the destination outweighs that of the route', () => {
    const action = forwardOf({
      hostRewriteLiteral: 'route',
      weightedClusters: {
        clusters: [
          { name: 'a', weight: 1, hostRewriteLiteral: 'own' },
          { name: 'b', weight: 1 },
        ],
      },
    });
    assert.deepEqual(
      action.destinations.map(({ authority }) => authority),
      ['own', 'route'],
    );
    assert.equal(forwardOf({}).destinations[0]!.authority, undefined);
  });
});

describe('header changes', () => {
  const set = (value: string) => ({
    requestHeadersToAdd: [{ header: { key: 'x', value } }],
    responseHeadersToRemove: [`${value}-out`],
  });
  const changedBy = (route: JsonObject, host: JsonObject, all: JsonObject): [string[], string[]] => {
    const virtualHosts = [{ name: 'a', domains: ['*'], routes: [{ match: { prefix: '/' }, ...route }], ...host }];
    const { action } = new RouteTable(fromJson(RouteConfigurationSchema, { virtualHosts, ...all })).findRoute(
      request('/'),
    )!;
    const onRequest: string[] = [];
    const onResponse = ['destination-out', '', 'route-out', '', 'host-out', '', 'all-out', ''];
    const record = {} as AccessRecord;
    if (action.kind !== 'forward') action.responseHeaders?.(onResponse, record);
    else {
      action.destinations[0]!.requestHeaders?.(onRequest, record);
      action.destinations[0]!.responseHeaders?.(onResponse, record);
    }
    return [onRequest, onResponse];
  };
  const clusters = [{ name: 'c', weight: 1, ...set('destination') }];

  it('of destination, route, virtual host and all are done in this order', () =>
    assert.deepEqual(
      changedBy({ route: { weightedClusters: { clusters } }, ...set('route') }, set('host'), set('all')),
      [['x', 'destination', 'x', 'route', 'x', 'host', 'x', 'all'], []],
    ));
  it('of the virtual host alone are done', () =>
    assert.deepEqual(changedBy({ route: { cluster: 'c' } }, set('host'), {})[0], ['x', 'host']));
  it('of all scopes are done to redirects', () =>
    assert.deepEqual(changedBy({ redirect: {}, ...set('route') }, set('host'), set('all'))[1], [
      'destination-out',
      '',
    ]));
  it('in the other order are refused', () =>
    assert.throws(
      () => changedBy({ route: { cluster: 'c' } }, {}, { mostSpecificHeaderMutationsWins: true }),
      UnsupportedConfig,
    ));
});

describe('rewriting a path', () => {
  const prefix = (from: string, to: string, path: string, kind = 'prefix') =>
    forwardOf({ prefixRewrite: to }, { [kind]: from }).rewritePath!(path);
  for (const [from, to, path, expected] of [
    ['/a', '/b', '/a/c', '/b/c'],
    ['/a', '/b', '/a', '/b'],
    ['/a', '/b', '/ac', '/bc'],
    ['/a', '/', '/a/c', '//c'], // as Envoy documents it
    ['/a/', '/', '/a/c', '/c'],
    ['/a/', '/b', '/a/c', '/bc'],
    ['/a/', '/b/', '/a/', '/b/'],
    ['/', '/b/', '/c', '/b/c'],
    ['/a', '/b', '/a?x=/a', '/b?x=/a'],
  ] as const)
    it(`prefix ${from} to ${to}: ${path} becomes ${expected}`, () => assert.equal(prefix(from, to, path), expected));

  it('replaces only the matched segments of a prefix of segments', () =>
    assert.equal(prefix('/a', '/b', '/a/a?c', 'pathSeparatedPrefix'), '/b/a?c'));
  it('replaces an exact path whole and keeps the query', () =>
    assert.equal(prefix('/a', '/b', '/a?c', 'path'), '/b?c'));
  it('replaces as many letters in another case', () =>
    assert.equal(
      forwardOf({ prefixRewrite: '/b' }, { prefix: '/LONG', caseSensitive: false }).rewritePath!('/long/x'),
      '/b/x',
    ));
  it('is not done where nothing is said', () => assert.equal(forwardOf({}).rewritePath, undefined));

  const regex = (pattern: string, substitution: string, path: string) =>
    forwardOf({ regexRewrite: { pattern: { regex: pattern }, substitution } }).rewritePath!(path);
  for (const [pattern, substitution, path, expected] of [
    ['^/service/([^/]+)(/.*)$', '\\2/instance/\\1', '/service/foo/v1/api', '/v1/api/instance/foo'],
    ['one', 'two', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/two/zzz'],
    ['^(.*?)one(.*)$', '\\1two\\2', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/one/zzz'],
    ['(?i)/xxx/', '/yyy/', '/aaa/XxX/bbb', '/aaa/yyy/bbb'],
    ['^/a', '/b\\0', '/a/c?a', '/b/a/c?a'],
    ['/a', '/$1', '/a', '/$1'],
    ['/a', '/$&', '/a', '/$&'],
    ['/a', '/\\\\b', '/a', '/\\b'],
    ['(/a)', '\\10', '/a', '/a0'],
    ['/a(b)?', '/c\\1', '/a', '/c'],
    ['/x', '/y', '/a?b=/x', '/a?b=/x'],
  ] as const)
    it(`${pattern} to ${substitution}: ${path} becomes ${expected}`, () =>
      assert.equal(regex(pattern, substitution, path), expected));
});

describe('redirects', () => {
  const location = (redirect: JsonObject, path = '/a?b', changes: Partial<RoutedRequest> = {}) =>
    (actionOf({ redirect }) as RedirectTo).locationOf(request(path, changes));
  const statusOf = (responseCode: string) => (actionOf({ redirect: { responseCode } }) as RedirectTo).status;

  for (const [what, redirect, expected] of [
    ['keeps what it does not change', {}, 'http://shop/a?b'],
    ['to another host', { hostRedirect: 'new' }, 'http://new/a?b'],
    ['to another path keeps the query', { pathRedirect: '/n' }, 'http://shop/n?b'],
    ['to another path with a query drops the old one', { pathRedirect: '/n?c' }, 'http://shop/n?c'],
    ['without the query', { stripQuery: true }, 'http://shop/a'],
    ['to another path without the query', { pathRedirect: '/n', stripQuery: true }, 'http://shop/n'],
    ['to https', { httpsRedirect: true }, 'https://shop/a?b'],
    ['to another scheme', { schemeRedirect: 'https' }, 'https://shop/a?b'],
    ['to another port', { portRedirect: 81 }, 'http://shop:81/a?b'],
  ] as const)
    it(what, () => assert.equal(location(redirect), expected));

  it('a port that was asked for stays, is replaced, or goes with its scheme', () => {
    assert.equal(location({}, '/', { authority: 'a:8080' }), 'http://a:8080/');
    assert.equal(location({ portRedirect: 81 }, '/', { authority: 'a:8080' }), 'http://a:81/');
    assert.equal(location({ httpsRedirect: true }, '/', { authority: 'a:80' }), 'https://a/');
    assert.equal(location({ httpsRedirect: true }, '/', { authority: 'a:8080' }), 'https://a:8080/');
    assert.equal(location({ schemeRedirect: 'http' }, '/', { authority: 'a:443', scheme: 'https' }), 'http://a/');
    assert.equal(location({ portRedirect: 81 }, '/', { authority: '[::1]' }), 'http://[::1]:81/');
    assert.equal(location({ portRedirect: 81 }, '/', { authority: '[::1]:80' }), 'http://[::1]:81/');
  });
  it('has the status that is configured', () =>
    assert.deepEqual(
      ['MOVED_PERMANENTLY', 'FOUND', 'SEE_OTHER', 'TEMPORARY_REDIRECT', 'PERMANENT_REDIRECT'].map(statusOf),
      [301, 302, 303, 307, 308],
    ));
});

it('a route says which object wrote it', () => {
  const metadata = { filterMetadata: { 'lateen.dev': { object: 'VirtualService/shop/a', path: 'spec.http[0]' } } };
  assert.deepEqual(routes({ match: { prefix: '/' }, metadata }).findRoute(request('/'))!.provenance, {
    object: 'VirtualService/shop/a',
    path: 'spec.http[0]',
  });
});
