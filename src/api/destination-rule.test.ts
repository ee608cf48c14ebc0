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
trafficPolicy:
  loadBalancer: {simple: ROUND_ROBIN}
  connectionPool: &pool
    tcp:
      maxConnections: 100
      connectTimeout: 500ms
      tcpKeepalive: {time: 75s}
      maxConnectionDuration: 1h
      idleTimeout: 5m
    http:
      http1MaxPendingRequests: 1
      http2MaxRequests: 2
      maxRequestsPerConnection: 3
      maxRetries: 4
      idleTimeout: 0s
      maxConcurrentStreams: 5
      useClientProtocol: false
      h2UpgradePolicy: UPGRADE
  outlierDetection: &outlier
    consecutive5xxErrors: 0
    consecutiveGatewayErrors: 2
    splitExternalLocalOriginErrors: true
    consecutiveLocalOriginFailures: 3
    interval: 1s
    baseEjectionTime: 3m
    maxEjectionPercent: 100
    minHealthPercent: 10
  retryBudget: {percent: 12.5, minRetryConcurrency: 0}
  portLevelSettings:
  - port: {number: 80}
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool: *pool
    outlierDetection: *outlier
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

/** What an item of a list needs. */
const firstField: Record<string, string> = { 'subsets[]': 'name: v1', 'portLevelSettings[]': 'port: {number: 80}' };

describe('what a DestinationRule cannot have yet', () => {
  for (const { path, refused } of fieldsOf(destinationRuleSpec)) {
    if (refused === undefined) continue;
    it(`is ${path}, which says so with its line`, () => {
      const lines = ['host: a'];
      const steps = path.split('.');
      for (const [depth, step] of steps.entries()) {
        const indent = '  '.repeat(depth + steps.slice(0, depth).filter((before) => before.endsWith('[]')).length);
        lines.push(`${indent}${step.replace('[]', '')}:${depth === steps.length - 1 ? ' {}' : ''}`);
        if (step.endsWith('[]')) lines.push(`${indent}  - ${firstField[step]}`);
      }
      const expected = `LAT0002 ${lines.length} ${path.replaceAll('[]', '[0]')}: is not supported yet`;
      assert.deepEqual(
        refusals(lines.join('\n')).map((text) => text.replace(/; .*/, '')),
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

  it('has a limit that is none, or a time that is too short', () => {
    const said = (fields: string) =>
      refusals(`host: a\ntrafficPolicy: {connectionPool: ${fields}}`).map((text) =>
        text.replace(/^.*connectionPool/, ''),
      );
    assert.deepEqual(said('{}'), [': needs tcp or http']);
    assert.deepEqual(said('{tcp: {maxConnections: -1}}'), ['.tcp.maxConnections: must not be negative']);
    assert.deepEqual(said('{tcp: {maxConnections: 1.5}}'), ['.tcp.maxConnections: must be a whole number']);
    assert.deepEqual(said('{http: {maxRetries: 4294967296}}'), ['.http.maxRetries: must be at most 2147483647']);
    for (const time of ['0s', '10us', 'soon'])
      assert.match(said(`{tcp: {connectTimeout: ${time}}}`)[0]!, /^\.tcp\.connectTimeout: must be/);
  });

  it('has an upgrade policy that does not exist', () => {
    assert.deepEqual(refusals('host: a\ntrafficPolicy: {connectionPool: {http: {h2UpgradePolicy: ALWAYS}}}'), [
      'IST0106 2 trafficPolicy.connectionPool.http.h2UpgradePolicy: must be one of DEFAULT, DO_NOT_UPGRADE, UPGRADE',
    ]);
  });

  it('counts failures to connect without counting them apart', () => {
    const set = (fields: string) => `host: a\ntrafficPolicy: {outlierDetection: {${fields}}}`;
    assert.deepEqual(refusals(set('consecutiveLocalOriginFailures: 1')), [
      'IST0106 2 trafficPolicy.outlierDetection.consecutiveLocalOriginFailures: needs splitExternalLocalOriginErrors: true',
    ]);
    assert.deepEqual(refusals(set('maxEjectionPercent: 101')), [
      'IST0106 2 trafficPolicy.outlierDetection.maxEjectionPercent: must be from 0 to 100',
    ]);
    assert.ok(objectOf('DestinationRule', set('')));
  });

  it('names a port twice, or none', () => {
    const of = (...settings: string[]) => `host: a\ntrafficPolicy: {portLevelSettings: [${settings.join(', ')}]}`;
    assert.deepEqual(refusals(of('{port: {number: 1}}', '{port: {number: 1}}')), [
      'IST0106 2 trafficPolicy.portLevelSettings[1].port.number: names port 1 twice',
    ]);
    assert.match(refusals(of('{}'))[0]!, /portLevelSettings\[0\]\.port: is missing/);
  });
});
