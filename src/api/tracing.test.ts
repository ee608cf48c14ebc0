// Tracing as it is written in mesh.yaml: addresses, shares and tags are checked where they stand.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meshFileOf, meshFileRefusalsOf } from '../../test/harness/objects.js';
import { parseCollectorAddress } from './tracing.js';

const meshYaml = (tracing: string) =>
  `meshConfig: { defaultConfig: { tracing: ${tracing} } }\nservices: {a: {command: x}}`;
const tracingOf = (tracing: string) => meshFileOf(meshYaml(tracing)).meshConfig.defaultConfig!.tracing!;
const refusalOf = (tracing: string) => {
  const [said, ...more] = meshFileRefusalsOf(meshYaml(tracing));
  assert.deepEqual(more, []);
  return said?.replace(/^LAT\d+ \d+ meshConfig\.defaultConfig\.tracing\.?/, '');
};

describe('the address of a collector', () => {
  for (const [address, host, port] of [
    ['127.0.0.1:9411', '127.0.0.1', 9411],
    ['[::1]:1', '::1', 1],
    ['localhost:65535', 'localhost', 65535],
    ['zipkin.istio-system.svc.cluster.local:9411', 'zipkin.istio-system.svc.cluster.local', 9411],
    ['zipkin.:80', 'zipkin.', 80],
  ] as const)
    it(`${address} is one`, () => assert.deepEqual(parseCollectorAddress(address), { host, port }));
  for (const address of [
    '',
    'zipkin',
    ':9411',
    'zipkin:',
    'zipkin:0',
    'zipkin:65536',
    'zipkin:9411/api',
    'http://zipkin:9411',
    '::1:9411',
    '[127.0.0.1]:9411',
    '[::1]',
    '1.2.3:9411',
    '256.0.0.1:9411',
    '-a:9411',
    'a..b:9411',
    'a b:9411',
    '$(HOST_IP):9411',
    'a\r\nb:9411',
    `${'a'.repeat(254)}:9411`,
  ])
    it(`${JSON.stringify(address.slice(0, 30))} is none`, () =>
      assert.equal(parseCollectorAddress(address), undefined));
});

describe('tracing', () => {
  it('has defaults', () =>
    assert.deepEqual(tracingOf('{}'), { sampling: 1, maxPathTagLength: 256, enableIstioTags: true }));
  it('takes every share from none to all', () => {
    for (const sampling of [0, 0.01, 50, 100]) assert.equal(tracingOf(`{ sampling: ${sampling} }`).sampling, sampling);
    assert.equal(refusalOf('{ sampling: 100.5 }'), 'sampling: must be from 0 to 100');
    assert.equal(refusalOf('{ sampling: -1 }'), 'sampling: must be from 0 to 100');
  });
  it('says what an address must be', () =>
    assert.match(refusalOf('{ zipkin: { address: zipkin } }')!, /^zipkin\.address: must be host:port, such as/));
  it('needs the address of a collector that it names', () =>
    assert.match(refusalOf('{ zipkin: {} }')!, /^zipkin\.address/));
  it('takes tags of three kinds, one for each', () => {
    const tags = '{ a: { literal: { value: x } }, b: { header: { name: X-B } }, c: { environment: { name: C } } }';
    assert.deepEqual(tracingOf(`{ customTags: ${tags} }`).customTags, {
      a: { literal: { value: 'x' } },
      b: { header: { name: 'X-B', defaultValue: '' } },
      c: { environment: { name: 'C', defaultValue: '' } },
    });
    const both = '{ a: { literal: { value: x }, header: { name: X-B } } }';
    assert.match(refusalOf(`{ customTags: ${both} }`)!, /exactly one of literal, header and environment/);
    assert.match(refusalOf('{ customTags: { a: {} } }')!, /exactly one/);
    assert.match(refusalOf('{ customTags: { a: { literal: { value: "" } } } }')!, /must not be empty/);
    assert.match(refusalOf('{ customTags: { a: { header: { name: "a b" } } } }')!, /must be an HTTP header name/);
    assert.match(refusalOf('{ customTags: { a: { environment: { name: "A=B" } } } }')!, /environment variable/);
  });
  it('cuts paths where it is told', () => {
    assert.equal(tracingOf('{ maxPathTagLength: 10 }').maxPathTagLength, 10);
    for (const length of ['0', '1.5', '100000'])
      assert.match(refusalOf(`{ maxPathTagLength: ${length} }`)!, /^maxPath/);
  });
});
