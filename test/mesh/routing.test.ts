// Requests go where VirtualServices and DestinationRules say, and look as they say when they arrive.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request, requestEcho } from '../harness/http.js';
import { app, TestMesh } from '../harness/mesh.js';

const meshFile = `
services:
  reviews:
    namespace: shop
    port: 9080
    protocol: http
    versions:
      v1: { command: ${JSON.stringify(app('echo.mjs'))}, env: { NAME: v1 } }
      v2: { command: ${JSON.stringify(app('echo.mjs'))}, env: { NAME: v2 } }
      v3: { command: ${JSON.stringify(app('echo.mjs'))}, env: { NAME: v3 } }
  ratings: { namespace: shop, port: 8000, protocol: http, command: ${JSON.stringify(app('echo.mjs'))}, env: { NAME: ratings } }
  other: { namespace: other, port: 7000, protocol: http, command: ${JSON.stringify(app('echo.mjs'))}, env: { NAME: other } }
  client: { namespace: shop, command: sleep 1000, labels: { tier: gold } }
  plain: { namespace: shop, command: sleep 1000 }
  outsider: { namespace: other, command: sleep 1000 }
`;

const objects = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: shop }
spec:
  hosts: [reviews]
  http:
    - name: by-header
      match: [{ headers: { x-user: { exact: bob } } }]
      route: [{ destination: { host: reviews, subset: v2 } }]
    - match: [{ headers: { X-Prefix: { prefix: abc } } }, { headers: { x-regex: { regex: "[0-9]+" } } }, { headers: { x-present: {} } }]
      route: [{ destination: { host: reviews, subset: v2 } }]
    - match: [{ withoutHeaders: { x-any: {} }, uri: { exact: /without } }]
      route: [{ destination: { host: reviews, subset: v3 } }]
    - match: [{ method: { exact: DELETE } }]
      route: [{ destination: { host: reviews, subset: v3 } }]
    - match: [{ queryParams: { v: { exact: "3" } } }]
      route: [{ destination: { host: reviews, subset: v3 } }]
    - match: [{ uri: { exact: /Exact } }]
      route: [{ destination: { host: reviews, subset: v2 } }]
    - match: [{ uri: { prefix: /CASE }, ignoreUriCase: true }]
      route: [{ destination: { host: reviews, subset: v2 } }]
    - match: [{ uri: { regex: "/items/[0-9]+" } }]
      route: [{ destination: { host: reviews, subset: v3 } }]
    - match: [{ uri: { exact: /gold }, sourceLabels: { tier: gold } }]
      route: [{ destination: { host: reviews, subset: v3 } }]
    - match: [{ uri: { exact: /from-other }, sourceNamespace: other }]
      route: [{ destination: { host: reviews, subset: v3 } }]
    - match: [{ uri: { exact: /port }, port: 1234 }]
      route: [{ destination: { host: reviews, subset: v3 } }]
    - match: [{ authority: { prefix: "reviews.shop" }, uri: { exact: /authority } }]
      route: [{ destination: { host: reviews, subset: v3 } }]
    - match: [{ uri: { prefix: /old/ } }]
      rewrite: { uri: /new/, authority: rewritten.example }
      route: [{ destination: { host: reviews, subset: v1 } }]
    - match: [{ uri: { prefix: /regex-rewrite } }]
      rewrite: { uriRegexRewrite: { match: "^/regex-rewrite/([^/]+)/([^/]+)$", rewrite: '/\\2/\\1' } }
      route: [{ destination: { host: reviews, subset: v1 } }]
    - match: [{ uri: { exact: /moved } }]
      redirect: { uri: /here, authority: elsewhere.example, redirectCode: 302 }
    - match: [{ uri: { exact: /https } }]
      redirect: { scheme: https, port: 8443 }
    - match: [{ uri: { exact: /default-code } }]
      redirect: { uri: /there }
    - match: [{ uri: { prefix: /delay } }]
      timeout: 200ms
      route: [{ destination: { host: reviews, subset: v1 } }]
    - match: [{ uri: { exact: /headers } }]
      headers:
        request: { set: { x-set: new }, add: { x-add: more }, remove: [x-remove] }
        response: { set: { x-answer: "yes" }, remove: [x-app] }
      route:
        - destination: { host: reviews, subset: v1 }
          headers: { request: { set: { x-destination: v1 } }, response: { add: { x-from: v1 } } }
    - match: [{ uri: { exact: /to-ratings } }]
      route: [{ destination: { host: ratings } }]
    - match: [{ uri: { exact: /nowhere } }]
      route: [{ destination: { host: nowhere } }]
    - match: [{ uri: { exact: /no-subset } }]
      route: [{ destination: { host: reviews, subset: v9 } }]
    - match: [{ uri: { exact: /empty } }]
      route: [{ destination: { host: reviews, subset: empty } }]
    - match: [{ uri: { exact: /zero-weight } }]
      route: [{ destination: { host: reviews, subset: v1 }, weight: 0 }, { destination: { host: reviews, subset: v2 }, weight: 1 }]
    - match: [{ uri: { exact: /sole } }]
      route: [{ destination: { host: reviews, subset: v3 }, weight: 0 }]
    - route: [{ destination: { host: reviews, subset: v1 } }]
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: { name: reviews, namespace: shop }
spec:
  host: reviews.shop.svc.cluster.local
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }
    - { name: v3, labels: { version: v3 } }
    - { name: empty, labels: { version: none } }
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: { name: front, namespace: shop }
spec:
  hosts: [www.example.com, "*.wild.example.com"]
  http:
    - match: [{ uri: { prefix: /reviews } }]
      rewrite: { uri: / }
      route: [{ destination: { host: reviews, subset: v2 } }]
    - match: [{ uri: { exact: /ratings } }]
      route: [{ destination: { host: ratings.shop.svc.cluster.local, port: { number: 8000 } } }]
`;

describe('routing on a running mesh', () => {
  let mesh: TestMesh;
  let port: number;
  let outbound: number;

  before(async () => {
    mesh = await TestMesh.start({ 'mesh.yaml': meshFile, 'routes.yaml': objects });
    port = mesh.workload('client-0').upstreams['reviews']!;
    outbound = mesh.workload('client-0').outboundHttp.port;
  });
  after(() => mesh.close());

  const nameFor = async (path: string, headers: Record<string, string> = {}, method = 'GET', at = port) =>
    (await requestEcho({ port: at, path, headers, method })).name;

  it('a request that no match takes goes to the rule without a match', async () =>
    assert.equal(await nameFor('/'), 'v1'));

  it('a header is matched exactly, by prefix, by expression and by presence', async () => {
    assert.equal(await nameFor('/', { 'X-User': 'bob' }), 'v2');
    assert.equal(await nameFor('/', { 'x-user': 'bobby' }), 'v1');
    assert.equal(await nameFor('/', { 'x-prefix': 'abcdef' }), 'v2');
    assert.equal(await nameFor('/', { 'x-regex': '123' }), 'v2');
    assert.equal(await nameFor('/', { 'x-regex': '123a' }), 'v1');
    assert.equal(await nameFor('/', { 'x-present': 'anything' }), 'v2');
  });

  it('a header that must be absent is', async () => {
    assert.equal(await nameFor('/without'), 'v3');
    assert.equal(await nameFor('/without', { 'x-any': '1' }), 'v1');
  });

  it('method and query parameters are matched', async () => {
    assert.equal(await nameFor('/', {}, 'DELETE'), 'v3');
    assert.equal(await nameFor('/?a=1&v=3'), 'v3');
    assert.equal(await nameFor('/?v=33'), 'v1');
  });

  it('paths are matched exactly, without case, and by a whole expression, never with their query', async () => {
    assert.equal(await nameFor('/Exact?x=1'), 'v2');
    assert.equal(await nameFor('/exact'), 'v1');
    assert.equal(await nameFor('/Case/x'), 'v2');
    assert.equal(await nameFor('/items/42?x=/'), 'v3');
    assert.equal(await nameFor('/items/42/more'), 'v1');
  });

  it('routes are matched on the normalised path', async () => {
    assert.equal(await nameFor('/a/../Exact'), 'v2');
    assert.equal(await nameFor('/%45xact'), 'v2');
  });

  it('labels and namespace of the caller choose rules', async () => {
    assert.equal(await nameFor('/gold'), 'v3');
    assert.equal(await nameFor('/gold', {}, 'GET', mesh.workload('plain-0').upstreams['reviews']), 'v1');
    assert.equal(await nameFor('/from-other'), 'v1');
    assert.equal(await nameFor('/from-other', {}, 'GET', mesh.workload('outsider-0').upstreams['reviews.shop']), 'v3');
  });

  it('a match for another port does not hold', async () => assert.equal(await nameFor('/port'), 'v1'));

  it('authority is matched as the application wrote it on the port for every host', async () => {
    assert.equal(
      (await requestEcho({ port: outbound, path: '/authority', headers: { host: 'reviews.shop:9080' } })).name,
      'v3',
    );
    assert.equal((await requestEcho({ port: outbound, path: '/authority', headers: { host: 'reviews' } })).name, 'v1');
  });

  it('a prefix is rewritten with the query kept, and the authority with it', async () => {
    const echo = await requestEcho({ port, path: '/old/a/b?c=d' });
    assert.equal(echo.url, '/new/a/b?c=d');
    assert.equal(echo.headers['host'], 'rewritten.example');
    assert.equal(echo.headers['x-envoy-original-path'], '/old/a/b?c=d');
  });

  it('a path is rewritten by expression', async () =>
    assert.equal((await requestEcho({ port, path: '/regex-rewrite/one/two?q' })).url, '/two/one?q'));

  it('redirects name host, path, scheme, port and code', async () => {
    const moved = await request({ port, path: '/moved?x=1' });
    assert.equal(moved.status, 302);
    assert.equal(moved.headers.location, 'http://elsewhere.example/here?x=1');
    const secure = await request({ port, path: '/https' });
    assert.equal(secure.status, 301);
    assert.equal(secure.headers.location, 'https://reviews:8443/https');
    assert.equal((await request({ port, path: '/default-code' })).status, 301);
  });

  it('a timeout answers 504 with Envoy text and our sentence', async () => {
    const answer = await request({ port, path: '/delay/2000' });
    assert.equal(answer.status, 504);
    assert.match(
      answer.body,
      /^upstream request timeout\nlateen: .*200 ms \(decided by VirtualService\/shop\/reviews spec\.http\[\d+\]\.match\[0\]\)\n$/,
    );
    assert.equal((await request({ port, path: '/delay/20' })).status, 200);
  });

  it('headers are set, added and removed on request and response, for route and destination', async () => {
    const answer = await request({
      port,
      path: '/headers',
      headers: { 'x-set': 'old', 'x-add': 'one', 'x-remove': 'gone' },
    });
    const { headers } = JSON.parse(answer.body) as { headers: Record<string, string> };
    assert.equal(headers['x-set'], 'new');
    assert.equal(headers['x-add'], 'one, more');
    assert.equal(headers['x-remove'], undefined);
    assert.equal(headers['x-destination'], 'v1');
    assert.equal(answer.headers['x-answer'], 'yes');
    assert.equal(answer.headers['x-app'], undefined);
    assert.equal(answer.headers['x-from'], 'v1');
  });

  it('a rule may send to another service', async () => assert.equal(await nameFor('/to-ratings'), 'ratings'));

  it('an unknown service or subset answers 503 and says so', async () => {
    const unknown = await request({ port, path: '/nowhere' });
    assert.equal(unknown.status, 503);
    assert.match(
      unknown.body,
      /lateen: the request is sent to nowhere\.shop\.svc\.cluster\.local, which does not exist/,
    );
    const subset = await request({ port, path: '/no-subset' });
    assert.equal(subset.status, 503);
    assert.match(subset.body, /subset v9 of reviews\.shop/);
  });

  it('a subset without workloads answers 503 no healthy upstream', async () => {
    const answer = await request({ port, path: '/empty' });
    assert.equal(answer.status, 503);
    assert.match(answer.body, /^no healthy upstream\nlateen: no instance of subset empty/);
  });

  it('weight 0 beside others takes nothing, a sole destination takes everything', async () => {
    for (let i = 0; i < 20; i++) assert.equal(await nameFor('/zero-weight'), 'v2');
    assert.equal(await nameFor('/sole'), 'v3');
  });

  it('hosts of VirtualServices that are no service are served on the port for every host', async () => {
    for (const host of ['www.example.com', 'www.example.com:8080', 'a.wild.example.com', 'WWW.Example.COM']) {
      const echo = await requestEcho({ port: outbound, path: '/reviews', headers: { host } });
      assert.equal(echo.name, 'v2');
      assert.equal(echo.url, '/');
    }
    assert.equal(
      (await requestEcho({ port: outbound, path: '/ratings', headers: { host: 'www.example.com' } })).name,
      'ratings',
    );
  });

  it('a host with rules none of which matches answers 404, and so does a host that nobody has', async () => {
    const unmatched = await request({ port: outbound, path: '/other', headers: { host: 'www.example.com' } });
    assert.equal(unmatched.status, 404);
    assert.match(unmatched.body, /no rule for the host www\.example\.com matches GET \/other/);
    const unknown = await request({ port: outbound, path: '/', headers: { host: 'wild.example.com' } });
    assert.equal(unknown.status, 404);
    assert.match(unknown.body, /has the host wild\.example\.com/);
  });

  it('services are called by short name in their namespace, and by longer names everywhere', async () => {
    for (const host of [
      'ratings',
      'ratings:8000',
      'ratings.shop',
      'ratings.shop.svc',
      'ratings.shop.svc.cluster.local',
      'ratings.shop.svc.cluster.local:8000',
      'other.other',
    ])
      assert.equal(
        (await requestEcho({ port: outbound, headers: { host } })).name,
        host.startsWith('other') ? 'other' : 'ratings',
      );
    assert.equal((await request({ port: outbound, headers: { host: 'other' } })).status, 404);
    assert.equal((await request({ port: outbound, headers: { host: 'ratings:9999' } })).status, 404);
  });
});
