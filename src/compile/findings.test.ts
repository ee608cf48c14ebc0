// What is valid but does not do what its author thinks is found and said; what is fine is not spoken of.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { snapshotOf } from '../../test/harness/snapshots.js';
import { findPlaintextWorkloads, findProblems } from './findings.js';

const mesh = `
services:
  web: { namespace: shop, command: web }
  reviews: { namespace: shop, port: 9080, protocol: http, versions: { v1: { command: a }, v2: { command: b } } }
  db: { namespace: shop, port: 5432, protocol: tcp, command: db }
`;
const document = (group: string, kind: string, name: string, spec: string, namespace = 'shop') =>
  `apiVersion: ${group}.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec:\n${spec.replace(/^/gm, '  ')}\n`;
const virtualService = (name: string, spec: string, namespace?: string) =>
  document('networking', 'VirtualService', name, spec, namespace);
const destinationRule = (name: string, spec: string, namespace?: string) =>
  document('networking', 'DestinationRule', name, spec, namespace);
const peerAuthentication = (name: string, spec: string, namespace?: string) =>
  document('security', 'PeerAuthentication', name, spec, namespace);
const to = (destination: string, hosts = 'reviews') =>
  `hosts: [${hosts}]\nhttp: [{route: [{destination: ${destination}}]}]`;

async function found(...documents: string[]): Promise<string[]> {
  const problems = findProblems(await snapshotOf(mesh, documents.join('---\n')));
  return problems.map(
    ({ severity, code, object, line, path, message }) => `${severity} ${code} ${object}:${line} ${path}: ${message}`,
  );
}

describe('nothing is said', () => {
  it('of a mesh without objects', async () => assert.deepEqual(await found(), []));

  it('of routes, subsets and policies that are in force', async () => {
    assert.deepEqual(
      await found(
        virtualService('reviews', to('{host: reviews, subset: v1, port: {number: 9080}}')),
        virtualService('outside', to('{host: reviews.shop.svc.cluster.local}', 'example.com'), 'default'),
        destinationRule('reviews', 'host: reviews\nsubsets: [{name: v1, labels: {version: v1}}, {name: all}]'),
        destinationRule('all', "host: '*.svc.cluster.local'"),
        peerAuthentication('reviews', 'selector: {matchLabels: {app: reviews}}\nmtls: {mode: STRICT}'),
      ),
      [],
    );
  });

  it('of one object that names a host short and in full', async () => {
    assert.deepEqual(
      await found(virtualService('a', to('{host: reviews}', 'reviews, reviews.shop.svc.cluster.local'))),
      [],
    );
  });
});

describe('it is said', () => {
  it('that rules and matches are never reached', async () => {
    const rule = (match: string) => `{match: [${match}], route: [{destination: {host: reviews}}]}`;
    const never = async (...rules: string[]) =>
      (await found(virtualService('a', `hosts: [reviews]\nhttp: [${rules.join(', ')}]`))).map((text) =>
        text.replace('warning IST0130 VirtualService/shop/a:1 spec.', ''),
      );
    const why = (taker: string) =>
      `is never reached: spec.${taker} takes every request; put it before that, or remove it`;
    assert.deepEqual(await never(rule('{uri: {exact: /}}, {uri: {prefix: /}}, {uri: {exact: /a}}'), rule('')), [
      `http[0].match[2]: ${why('http[0].match[1]')}`,
      `http[1]: ${why('http[0].match[1]')}`,
    ]);
    assert.deepEqual(await never(rule(''), rule('{uri: {exact: /a}}')), [`http[1]: ${why('http[0]')}`]);
    for (const some of ['{port: 9080}', '{sourceLabels: {app: web}}', '{sourceNamespace: shop}', '{gateways: [edge]}'])
      assert.deepEqual(await never(rule(some), rule('')), [], some);
    assert.equal((await never(rule('{gateways: [mesh], sourceNamespace: other}'), rule(''))).length, 1);
  });

  it('that what is answered here is not forwarded', async () => {
    assert.deepEqual(
      await found(
        virtualService('a', 'hosts: [reviews]\nhttp: [{redirect: {uri: /}, timeout: 1s, mirror: {host: reviews}}]'),
        virtualService('b', 'hosts: [b.c]\nhttp: [{directResponse: {status: 200}, fault: {abort: {httpStatus: 500}}}]'),
      ),
      [
        'warning LAT0007 VirtualService/shop/a:1 spec.http[0].timeout: has no effect beside redirect: nothing is forwarded; remove it',
        'warning LAT0007 VirtualService/shop/a:1 spec.http[0].mirror: has no effect beside redirect: nothing is forwarded; remove it',
        'warning LAT0007 VirtualService/shop/b:8 spec.http[0].fault: has no effect beside directResponse: nothing is forwarded; remove it',
      ],
    );
  });

  it('that copies are sent to what does not exist', async () => {
    const rule = 'route: [{destination: {host: reviews}}]';
    assert.deepEqual(
      (
        await found(
          virtualService('one', `hosts: [reviews]\nhttp: [{${rule}, mirror: {host: review}}]`),
          virtualService(
            'many',
            `hosts: [a.b]\nhttp: [{${rule}, mirrors: [{destination: {host: reviews, subset: v3}}]}]`,
          ),
        )
      ).map((text) => text.slice(0, text.indexOf(': '))),
      [
        'warning IST0101 VirtualService/shop/one:1 spec.http[0].mirror',
        'warning IST0101 VirtualService/shop/many:8 spec.http[0].mirrors[0].destination',
      ],
    );
  });

  it('that two VirtualServices claim one host', async () => {
    assert.deepEqual(
      await found(
        virtualService('a', to('{host: reviews}')),
        virtualService('b', to('{host: reviews}', 'web, reviews.shop.svc.cluster.local')),
      ),
      [
        'warning IST0109 VirtualService/shop/b:8 spec.hosts[1]: reviews.shop.svc.cluster.local is already claimed by VirtualService/shop/a (objects.yaml:1), which is older and counts; for callers that see both and for whom that one has a rule this one has no effect for the host; merge them',
      ],
    );
  });

  it('that a destination does not exist, with the one that was meant', async () => {
    const said = async (destination: string, namespace?: string) =>
      (await found(virtualService('a', to(destination, 'example.com'), namespace))).map((line) =>
        line.replace(/^.*?: /, ''),
      );
    assert.deepEqual(await said('{host: reviws}'), [
      'no service has the host reviws.shop.svc.cluster.local; requests that are sent there are answered with 503; did you mean reviews.shop.svc.cluster.local?',
    ]);
    assert.match(
      (await said('{host: reviews}', 'default'))[0]!,
      /host reviews\.default\.svc\.cluster\.local;.*did you mean reviews\.shop\.svc\.cluster\.local\?$/,
    );
    assert.match((await said('{host: reviews.shop}'))[0]!, /did you mean reviews\.shop\.svc\.cluster\.local\?$/);
    assert.match((await said('{host: payments}'))[0]!, /answered with 503$/);
    assert.deepEqual(await said('{host: reviews, port: {number: 80}}'), [
      'reviews.shop.svc.cluster.local has no port 80, only 9080; requests that are sent there are answered with 503',
    ]);
  });

  it('that a subset does not exist, with the one that was meant', async () => {
    const said = await found(
      virtualService('a', to('{host: reviews, subset: v11}')),
      destinationRule('r', 'host: reviews\nsubsets: [{name: v1, labels: {version: v1}}]'),
    );
    assert.deepEqual(said, [
      'warning IST0101 VirtualService/shop/a:1 spec.http[0].route[0].destination: no DestinationRule that is seen from namespace shop gives reviews.shop.svc.cluster.local a subset v11; requests that are sent there are answered with 503; did you mean v1?',
    ]);
  });

  it('that a DestinationRule is for no service', async () => {
    assert.deepEqual(await found(destinationRule('r', 'host: reviews', 'default')), [
      'warning IST0174 DestinationRule/default/r:1 spec.host: no service has the host reviews.default.svc.cluster.local, so the rule has no effect; did you mean reviews.shop.svc.cluster.local?',
    ]);
  });

  it('that a subset selects no workload', async () => {
    assert.deepEqual(
      await found(
        destinationRule(
          'r',
          'host: reviews\nsubsets: [{name: v1, labels: {version: v1}}, {name: v3, labels: {version: v3, app: reviews}}]',
        ),
      ),
      [
        'warning IST0173 DestinationRule/shop/r:1 spec.subsets[1]: no workload of reviews.shop.svc.cluster.local has the labels of subset v3 (version=v3, app=reviews); requests to it are answered with 503',
      ],
    );
  });

  it('that settings are for a port that the host does not have', async () => {
    const settings = 'trafficPolicy: {portLevelSettings: [{port: {number: 9080}}, {port: {number: 80}}]}';
    assert.deepEqual(
      await found(destinationRule('r', `host: reviews\n${settings}\nsubsets: [{name: a, ${settings}}]`)),
      [
        'warning IST0101 DestinationRule/shop/r:1 spec.trafficPolicy.portLevelSettings[1].port.number: reviews.shop.svc.cluster.local has no port 80, only 9080, so these settings have no effect',
        'warning IST0101 DestinationRule/shop/r:1 spec.subsets[0].trafficPolicy.portLevelSettings[1].port.number: reviews.shop.svc.cluster.local has no port 80, only 9080, so these settings have no effect',
      ],
    );
  });

  it('that a PeerAuthentication selects no workload, or selects in the root namespace', async () => {
    const spec = 'selector: {matchLabels: {app: nobody}}\nmtls: {mode: STRICT}';
    assert.deepEqual(await found(peerAuthentication('p', spec)), [
      'warning IST0127 PeerAuthentication/shop/p:1 spec.selector: no workload of namespace shop has these labels (app=nobody), so it has no effect',
    ]);
    assert.match(
      (await found(peerAuthentication('p', spec, 'istio-system')))[0]!,
      /^warning LAT0007 PeerAuthentication\/istio-system\/p:1 spec\.selector: objects with a selector in the root namespace istio-system have no effect/,
    );
  });

  it('that a host is no full name', async () => {
    assert.deepEqual(await found(virtualService('a', to('{host: reviews}', 'reviews.shop'))), [
      'warning LAT0007 VirtualService/shop/a:1 spec.hosts[0]: reviews.shop is no full name, and only names without dots are completed, so the object has no effect for it; write reviews.shop.svc.cluster.local',
    ]);
  });

  it('that routes are for a service without HTTP', async () => {
    assert.deepEqual(await found(virtualService('a', to('{host: db}', 'db'))), [
      'warning LAT0007 VirtualService/shop/a:1 spec.hosts[0]: no port of db.shop.svc.cluster.local carries HTTP, so its HTTP rules have no effect',
    ]);
  });

  it('that a port is of UDP', async () => {
    const object = (kind: string, version: string, spec: string) =>
      `apiVersion: ${version}\nkind: ${kind}\nmetadata: {name: udp, namespace: shop}\nspec: {${spec}}\n`;
    assert.deepEqual(
      await found(
        object(
          'Service',
          'v1',
          'selector: {version: v2}, ports: [{port: 9080}, {port: 53, protocol: UDP}, {port: 54, name: udp-x}]',
        ),
        object(
          'ServiceEntry',
          'networking.istio.io/v1',
          'hosts: [a.b], resolution: STATIC, ports: [{number: 53, name: dns, protocol: UDP}], endpoints: [{address: 10.0.0.1}]',
        ),
      ),
      [
        'Service/shop/udp:1 spec.ports[1]: port 53',
        'Service/shop/udp:1 spec.ports[2]: port 54',
        'ServiceEntry/shop/udp:6 spec.ports[0]: port 53',
      ].map((where) => `warning LAT0007 ${where} is of UDP, which the mesh does not carry`),
    );
  });

  it('not that gRPC and HTTP/2 have no routes', async () => {
    const problems = findProblems(
      await snapshotOf('services: {a: {ports: [{port: 1, protocol: grpc}, {port: 2, protocol: http2}], command: x}}'),
    );
    assert.deepEqual(problems, []);
  });
});

describe('workloads that take plaintext', () => {
  const names = async (...documents: string[]) =>
    findPlaintextWorkloads(await snapshotOf(mesh, documents.join('---\n'))).map(({ name }) => name);

  it('are all that have a port, where no policy says otherwise', async () => {
    assert.deepEqual(await names(), ['reviews-v1-0', 'reviews-v2-0', 'db-0']);
  });

  it('are none under a STRICT mesh', async () => {
    assert.deepEqual(await names(peerAuthentication('p', 'mtls: {mode: STRICT}', 'istio-system')), []);
  });

  it('are those with one open port', async () => {
    assert.deepEqual(
      await names(
        peerAuthentication('p', 'mtls: {mode: STRICT}', 'istio-system'),
        peerAuthentication(
          'q',
          'selector: {matchLabels: {version: v2}}\nmtls: {mode: STRICT}\nportLevelMtls: {9080: {mode: PERMISSIVE}}',
        ),
      ),
      ['reviews-v2-0'],
    );
  });
});
