// Which DestinationRule holds for a host, and what several of them come to.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meshFileOf, objectOf } from '../../test/harness/objects.js';
import { objectsOf } from '../../test/harness/snapshots.js';
import type { DestinationRule } from '../api/kinds.js';
import type { Service } from '../model/service.js';
import { createSnapshot } from '../model/snapshot.js';
import { effectiveDestinationRule, findSource, policyOf } from './destination-rules.js';

const { meshConfig } = meshFileOf('meshConfig: {rootNamespace: root}\nservices: {a: {command: x}}');
const service: Service = {
  name: 'reviews',
  namespace: 'shop',
  host: 'reviews.shop.svc.cluster.local',
  ports: [],
  identities: [],
};

/** A rule with a subset of its own name. */
const rule = (name: string, namespace: string, more = '', host = service.host): DestinationRule =>
  objectOf(
    'DestinationRule',
    `host: "${host}"\n${more.includes('subsets:') ? '' : `subsets: [{name: ${name}}]\n`}${more}`,
    { name, namespace },
  );

function effective(namespace: string, ...objects: DestinationRule[]) {
  return effectiveDestinationRule(
    createSnapshot({ meshConfig, services: [service], workloads: [], objects }),
    service,
    namespace,
  );
}
const sourcesOf = (namespace: string, ...objects: DestinationRule[]) =>
  effective(namespace, ...objects).sources.map(({ name }) => name);

describe('the rule of a host', () => {
  const inRoot = rule('root', 'root');
  const inService = rule('service', 'shop');
  const inClient = rule('client', 'default');

  it("is that of the caller's namespace, then the service's, then the root's", () => {
    assert.deepEqual(sourcesOf('default', inRoot, inService, inClient), ['client']);
    assert.deepEqual(sourcesOf('default', inRoot, inService), ['service']);
    assert.deepEqual(sourcesOf('default', inRoot), ['root']);
    assert.deepEqual(sourcesOf('shop', inRoot, inService, inClient), ['service']);
    assert.deepEqual(sourcesOf('other', inClient), []);
  });

  it('of a service of a ServiceEntry is looked up in the same order', () => {
    const entry = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: api, namespace: shop }
spec: { hosts: [api.example.com], resolution: STATIC, ports: [{ number: 80, name: http }], endpoints: [{ address: 10.0.0.1 }] }`;
    const rules = ['client', 'shop', 'root'].map((namespace) =>
      rule(`in-${namespace}`, namespace, '', 'API.example.com'),
    );
    const snapshot = createSnapshot({ meshConfig, services: [], workloads: [], objects: objectsOf(entry) });
    const [external] = snapshot.services.all;
    const decides = (from: string, ...objects: DestinationRule[]) =>
      effectiveDestinationRule(createSnapshot({ ...snapshot.parts, objects }), external!, from).sources[0]?.name;
    assert.equal(decides('client', ...rules.toReversed()), 'in-client');
    assert.equal(decides('other', ...rules.toReversed()), 'in-shop');
    assert.equal(decides('other', rules[0]!, rules[2]!), 'in-root');
    assert.equal(decides('other', rules[0]!), undefined);
  });

  it('is that of one namespace alone: nothing is merged across them', () => {
    assert.deepEqual(
      effective('default', inService, inClient).subsets.map(({ name }) => name),
      ['client'],
    );
  });

  it('of a nearer namespace counts even by a wildcard', () => {
    assert.deepEqual(sourcesOf('default', inService, rule('wild', 'default', '', '*.local')), ['wild']);
  });

  it('is the most specific in its namespace', () => {
    assert.deepEqual(
      sourcesOf('shop', rule('all', 'shop', '', '*'), rule('suffix', 'shop', '', '*.cluster.local'), inService),
      ['service'],
    );
    assert.deepEqual(sourcesOf('shop', rule('all', 'shop', '', '*'), rule('suffix', 'shop', '', '*.cluster.local')), [
      'suffix',
    ]);
  });

  it('names its host in its own namespace', () => {
    assert.deepEqual(sourcesOf('shop', rule('short', 'shop', '', 'reviews')), ['short']);
    assert.deepEqual(sourcesOf('default', rule('short', 'default', '', 'reviews')), []);
  });

  it('is passed over where it is not exported', () => {
    assert.deepEqual(sourcesOf('default', inRoot, rule('service', 'shop', 'exportTo: [.]')), ['root']);
    assert.deepEqual(sourcesOf('default', inRoot, rule('service', 'shop', 'exportTo: [default]')), ['service']);
    assert.deepEqual(sourcesOf('shop', rule('service', 'shop', 'exportTo: ["~"]'), inRoot), ['root']);
  });
});

describe('several rules of one host in one namespace', () => {
  const first = rule('first', 'shop', 'subsets: [{name: a, labels: {n: "1"}}]');
  const second = rule(
    'second',
    'shop',
    'subsets: [{name: a, labels: {n: "2"}}, {name: b}]\ntrafficPolicy: {loadBalancer: {simple: RANDOM}}',
  );
  const third = rule('third', 'shop', 'trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}');
  const all = effective('shop', first, second, third);

  it('add their subsets; of equal names the oldest counts', () => {
    assert.deepEqual(
      all.subsets.map(({ name, labels }) => [name, labels?.['n']]),
      [
        ['a', '1'],
        ['b', undefined],
        ['third', undefined],
      ],
    );
  });

  it('have the policy of the oldest that has one', () => {
    assert.equal(all.policy?.loadBalancer?.simple, 'RANDOM');
  });

  it('are named for what came from each', () => {
    assert.deepEqual(
      [undefined, ...all.subsets].map((subset) => findSource(all, subset)?.name),
      ['second', 'first', 'second', 'third'],
    );
    assert.equal(findSource(effective('shop', first), undefined)?.name, 'first');
    assert.equal(findSource(effective('shop'), undefined), undefined);
  });
});

describe('the policy of a subset', () => {
  it("is its own, block by block, and the host's for the rest", () => {
    const one = effective(
      'shop',
      rule(
        'r',
        'shop',
        'trafficPolicy: {loadBalancer: {simple: RANDOM}}\nsubsets: [{name: own, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}, {name: none}, {name: empty, trafficPolicy: {}}]',
      ),
    );
    assert.deepEqual(
      [undefined, ...one.subsets].map((subset) => policyOf(one, subset, 80, undefined).loadBalancer?.simple),
      ['RANDOM', 'ROUND_ROBIN', 'RANDOM', 'RANDOM'],
    );
  });

  const pool = (max: number) => `connectionPool: {tcp: {maxConnections: ${max}}}`;
  const ejects = (count: number) => `outlierDetection: {consecutive5xxErrors: ${count}}`;
  const [top, atPort, own, ownAtPort] = [
    `${pool(1)}, ${ejects(1)}, loadBalancer: {simple: RANDOM}, retryBudget: {percent: 1}`,
    `{port: {number: 80}, ${pool(2)}}`,
    pool(3),
    `{port: {number: 80}, ${ejects(4)}}`,
  ];
  /** Blocks of the host and of its subset at a port, each as the number that it was given. */
  const blocks = (spec: string, port: number, defaults?: Parameters<typeof policyOf>[3]) => {
    const one = effective('shop', rule('r', 'shop', spec));
    return [undefined, one.subsets[0]].map((subset) => {
      const policy = policyOf(one, subset, port, defaults);
      return [
        policy.connectionPool?.tcp?.maxConnections,
        policy.outlierDetection?.consecutive5xxErrors,
        policy.loadBalancer?.simple,
        policy.retryBudget?.percent,
      ];
    });
  };

  it('at a port with settings of its own is those alone: what they leave out has its default', () => {
    const spec = `trafficPolicy: {${top}, portLevelSettings: [${atPort}]}\nsubsets: [{name: s}]`;
    const replaced = [2, undefined, undefined, 1];
    assert.deepEqual(blocks(spec, 80), [replaced, replaced]);
    const whole = [1, 1, 'RANDOM', 1];
    assert.deepEqual(blocks(spec, 81), [whole, whole]);
  });

  it('has blocks of the subset before settings of the host for the port', () => {
    assert.deepEqual(
      blocks(
        `trafficPolicy: {${top}, portLevelSettings: [${atPort}]}\nsubsets: [{name: s, trafficPolicy: {${own}}}]`,
        80,
      ),
      [
        [2, undefined, undefined, 1],
        [3, undefined, undefined, 1],
      ],
    );
  });

  it('has settings of the subset for the port before everything', () => {
    const spec = `trafficPolicy: {${top}}\nsubsets: [{name: s, trafficPolicy: {${own}, portLevelSettings: [${ownAtPort}]}}]`;
    assert.deepEqual(blocks(spec, 80)[1], [undefined, 4, undefined, 1]);
    assert.deepEqual(blocks(spec, 81)[1], [3, 1, 'RANDOM', 1]);
  });

  it('has from MeshConfig the pool and the outlier detection that nobody gives', () => {
    const defaults = { connectionPool: { tcp: { maxConnections: 7 } }, outlierDetection: { consecutive5xxErrors: 7 } };
    assert.deepEqual(blocks(`trafficPolicy: {${own}}\nsubsets: [{name: s}]`, 80, defaults)[0], [
      3,
      7,
      undefined,
      undefined,
    ]);
    assert.deepEqual(blocks(`trafficPolicy: {portLevelSettings: [${ownAtPort}]}`, 80, defaults)[0], [
      7,
      4,
      undefined,
      undefined,
    ]);
  });
});
