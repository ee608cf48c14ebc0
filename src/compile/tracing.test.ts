// Tracing is compiled where it is in force, and costs nothing where it is not; the messages are in testdata/tracing.json.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jsonOf } from '../../test/harness/resources.js';
import { snapshotOf, workloadOf } from '../../test/harness/snapshots.js';
import { compileWorkload } from './compile.js';
import { findProblems } from './findings.js';

const services = `
services:
  web: { port: 80, versions: { v1: { command: a, replicas: 2 }, v2: { command: b } } }
  reviews: { port: 80, command: reviews }
`;

const compile = async (meshConfig: string, ...names: string[]) => {
  const snapshot = await snapshotOf(`meshConfig: ${meshConfig}${services}`);
  return names.map((name) => compileWorkload(snapshot, workloadOf(snapshot, name)).resources);
};
const withZipkin = (address: string) => `{ defaultConfig: { tracing: { zipkin: { address: '${address}' } } } }`;
const connect = 'connect|80|reviews.default.svc.cluster.local';

describe('tracing', () => {
  for (const [what, meshConfig] of [
    ['is not configured', '{}'],
    ['is turned off', `{ enableTracing: false, defaultConfig: { tracing: { zipkin: { address: 'a:1' } } } }`],
  ] as const)
    it(`that ${what} leaves no trace`, async () => {
      const [one, other] = await compile(meshConfig, 'web-v1-0', 'reviews-0');
      for (const name of one!.listener.keys())
        assert.doesNotMatch(JSON.stringify(jsonOf(one!, 'listener', name)), /"tracing"/);
      assert.ok(!one!.cluster.has('zipkin'));
      assert.equal(one!.listener.get(connect), other!.listener.get(connect), 'what all share stays shared');
    });

  it('is in every listener of HTTP, and shared by workloads whose spans say the same', async () => {
    const [one, twin, other] = await compile(withZipkin('a:1'), 'web-v1-0', 'web-v1-1', 'web-v2-0');
    for (const name of one!.listener.keys())
      assert.match(JSON.stringify(jsonOf(one!, 'listener', name)), /"tracing"/, name);
    assert.equal(one!.listener.get(connect), twin!.listener.get(connect));
    assert.notEqual(one!.listener.get(connect)!.version, other!.listener.get(connect)!.version);
  });

  it('without a collector has no provider, and no cluster for it', async () => {
    const [one] = await compile('{ defaultConfig: { tracing: {} } }', 'web-v1-0');
    const listener = JSON.stringify(jsonOf(one!, 'listener', connect));
    assert.match(listener, /"tracing"/);
    assert.doesNotMatch(listener, /"provider"/);
    assert.ok(!one!.cluster.has('zipkin'));
  });

  it('goes without the tags of Istio where they are not wanted', async () => {
    const [one] = await compile('{ defaultConfig: { tracing: { enableIstioTags: false } } }', 'web-v1-0');
    assert.doesNotMatch(JSON.stringify(jsonOf(one!, 'listener', connect)), /istio\.canonical/);
  });

  it('warns of a collector that is a service of the mesh, to which spans find no way', async () => {
    for (const name of ['reviews.default', 'Reviews.default.svc', 'reviews.default.svc.cluster.local']) {
      const problems = findProblems(await snapshotOf(`meshConfig: ${withZipkin(`${name}:9411`)}${services}`));
      const [said, ...more] = problems.map(({ code, file, path, message }) => `${code} ${file} ${path}: ${message}`);
      assert.match(
        said!,
        /^LAT0007 mesh\.yaml meshConfig\.defaultConfig\.tracing\.zipkin\.address: names the service reviews of the mesh, .*; write the address/,
      );
      assert.deepEqual(more, []);
    }
    assert.deepEqual(findProblems(await snapshotOf(`meshConfig: ${withZipkin('reviews:9411')}${services}`)), []);
  });

  for (const [address, type, host, port] of [
    ['10.0.0.1:9411', 'STATIC', '10.0.0.1', 9411],
    ['[::1]:9411', 'STATIC', '::1', 9411],
    ['localhost:1', 'STATIC', '127.0.0.1', 1],
    ['zipkin.example.com:9411', 'STRICT_DNS', 'zipkin.example.com', 9411],
  ] as const)
    it(`sends to ${address} by a cluster of type ${type}`, async () => {
      const [one] = await compile(withZipkin(address), 'web-v1-0');
      const cluster = jsonOf(one!, 'cluster', 'zipkin') as Record<string, unknown>;
      assert.equal(cluster['type'] ?? 'STATIC', type);
      assert.deepEqual(cluster['loadAssignment'], {
        clusterName: 'zipkin',
        endpoints: [
          { lbEndpoints: [{ endpoint: { address: { socketAddress: { address: host, portValue: port } } } }] },
        ],
      });
    });
});
