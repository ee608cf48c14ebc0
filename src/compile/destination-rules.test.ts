// Which DestinationRule holds for a host, and what several of them come to.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meshFileOf, objectOf } from '../../test/harness/objects.js';
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
      [undefined, ...one.subsets].map((subset) => policyOf(one, subset).loadBalancer?.simple),
      ['RANDOM', 'ROUND_ROBIN', 'RANDOM', 'RANDOM'],
    );
  });
});
