// DestinationRule: what is taken, and what each refusal says.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { objectOf, refusalsOf } from '../../test/harness/objects.js';
import { fieldsOf } from '../../test/harness/schema-walk.js';
import { destinationRuleSpec } from './destination-rule.js';

const refusals = (spec: string) => refusalsOf('DestinationRule', spec);

describe('a DestinationRule', () => {
  it('may have every field that is supported', () => {
    const { spec } = objectOf(
      'DestinationRule',
      `host: reviews
exportTo: [., shop]
trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
subsets:
- name: v1
  labels: {version: v1}
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
- name: all
`,
    );
    assert.deepEqual(
      spec.subsets?.map(({ name }) => name),
      ['v1', 'all'],
    );
  });

  it('describes every field for the reference', () => {
    assert.deepEqual(
      fieldsOf(destinationRuleSpec).filter(({ description }) => description === undefined),
      [],
    );
  });

  it('knows the older names of balancers', () => {
    for (const simple of ['LEAST_REQUEST', 'ROUND_ROBIN', 'RANDOM', 'UNSPECIFIED', 'LEAST_CONN'])
      assert.ok(objectOf('DestinationRule', `host: a\ntrafficPolicy: {loadBalancer: {simple: ${simple}}}`));
  });
});

describe('what a DestinationRule cannot have yet', () => {
  for (const { path, refused } of fieldsOf(destinationRuleSpec)) {
    if (refused === undefined) continue;
    it(`is ${path}, which says so with its line`, () => {
      const steps = path.replace('subsets[]', 'subsets').split('.');
      const lines = ['host: a'];
      let indent = '';
      for (const step of steps) {
        lines.push(`${indent}${step}:${step === steps.at(-1) ? ' {}' : ''}`);
        indent += '  ';
        if (step === 'subsets') {
          lines.push(`${indent}- name: v1`);
          indent += '  ';
        }
      }
      const expected = `LAT0002 ${lines.length} ${path.replace('[]', '[0]')}: is not supported yet`;
      assert.deepEqual(
        refusals(lines.join('\n')).map((text) => text.replace(/; leave it out.*/, '')),
        [expected],
      );
    });
  }

  it('is the balancer PASSTHROUGH', () => {
    assert.deepEqual(refusals('host: a\ntrafficPolicy:\n  loadBalancer: {simple: PASSTHROUGH}'), [
      'LAT0002 3 trafficPolicy.loadBalancer.simple: PASSTHROUGH is not supported yet',
    ]);
  });
});

describe('a refused DestinationRule', () => {
  it('has no host', () => {
    assert.deepEqual(refusals("host: ''"), ['IST0106 1 host: must not be empty']);
    assert.deepEqual(refusals('subsets: []'), ['IST0106 0 host: is missing; it must be a string']);
  });

  it('names a subset twice', () => {
    assert.deepEqual(refusals('host: a\nsubsets:\n- name: v1\n- name: v2\n- name: v1'), [
      'IST0106 5 subsets[2].name: names v1 twice',
    ]);
  });

  it('has a subset without a name, or with one that no cluster can carry', () => {
    assert.deepEqual(refusals('host: a\nsubsets:\n- labels: {}'), [
      'IST0106 3 subsets[0].name: is missing; it must be a string',
    ]);
    for (const name of ['', 'a|b', 'a b', '-a', 'a/b'])
      assert.deepEqual(refusals(`host: a\nsubsets:\n- name: ${JSON.stringify(name)}`), [
        'IST0106 3 subsets[0].name: must be a name of letters, digits, dashes, dots and underscores',
      ]);
  });

  it('has a balancer that does not exist', () => {
    assert.deepEqual(refusals('host: a\ntrafficPolicy: {loadBalancer: {simple: FASTEST}}'), [
      'IST0106 2 trafficPolicy.loadBalancer.simple: must be one of LEAST_REQUEST, ROUND_ROBIN, RANDOM, UNSPECIFIED, LEAST_CONN, PASSTHROUGH',
    ]);
  });

  it('has labels that are no texts', () => {
    assert.deepEqual(refusals('host: a\nsubsets:\n- name: v1\n  labels:\n    version: 1'), [
      'IST0106 5 subsets[0].labels.version: must be a string, not a number; quote it',
    ]);
  });
});
