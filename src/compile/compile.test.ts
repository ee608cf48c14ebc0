// Compiling is pure and shares: the same input is compiled once, and a change touches only what depends on it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { objectsOf, snapshotOf, workloadOf } from '../../test/harness/snapshots.js';
import { createSnapshot, type Snapshot } from '../model/snapshot.js';
import { resourceTypes, type Resources } from '../xds/resources.js';
import { compileWorkload } from './compile.js';

const mesh = `
services:
  web: { namespace: shop, command: web, replicas: 2 }
  reviews: { namespace: shop, port: 9080, protocol: http, versions: { v1: { command: a }, v2: { command: b } } }
  ads: { port: 80, command: ads }
`;
const objects = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews, subset: v1}, weight: 9}, {destination: {host: reviews, subset: v2}, weight: 1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`;

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const item of value instanceof Map ? value.values() : Object.values(value)) freeze(item);
  return value;
}

/** Resources by `type name`. */
function all(resources: Resources) {
  return new Map(
    resourceTypes.flatMap((type) =>
      [...resources[type]].map(([name, resource]) => [`${type} ${name}`, resource] as const),
    ),
  );
}

const compile = (snapshot: Snapshot, workload: string) => compileWorkload(snapshot, workloadOf(snapshot, workload));

/** Names of resources whose bytes differ. */
function differences(before: Resources, after: Resources): string[] {
  const [a, b] = [all(before), all(after)];
  return [...new Set([...a.keys(), ...b.keys()])].filter((key) => a.get(key)?.version !== b.get(key)?.version);
}

describe('compiling', () => {
  it('changes nothing of what it is given', async () => {
    const snapshot = freeze({ ...(await snapshotOf(mesh, objects)) });
    for (const workload of snapshot.workloads.values()) assert.ok(compileWorkload(snapshot, workload));
  });

  it('of the same snapshot gives the same resources', async () => {
    const snapshot = await snapshotOf(mesh, objects);
    const [first, second] = [compile(snapshot, 'shop/web-0'), compile(snapshot, 'shop/web-0')];
    for (const [key, resource] of all(first.resources)) assert.equal(all(second.resources).get(key), resource, key);
  });

  it('of equal snapshots gives equal bytes', async () => {
    const [first, second] = [await snapshotOf(mesh, objects), await snapshotOf(mesh, objects)];
    for (const name of first.workloads.keys())
      assert.deepEqual(differences(compile(first, name).resources, compile(second, name).resources), []);
  });

  it('shares what goes out among the workloads of a namespace', async () => {
    const snapshot = await snapshotOf(mesh, objects);
    const [one, two] = [compile(snapshot, 'shop/web-0').resources, compile(snapshot, 'shop/reviews-v1-0').resources];
    assert.equal(one.routes, two.routes);
    assert.equal(one.endpoints, two.endpoints);
    assert.notEqual(compile(snapshot, 'ads-0').resources.routes, one.routes);
  });

  it('does not share routes among workloads with other labels where a rule asks for labels', async () => {
    const snapshot = await snapshotOf(
      mesh,
      objects.replace('- route:', '- match: [{sourceLabels: {version: v1}}]\n    route:'),
    );
    const [v1, v2] = [
      compile(snapshot, 'shop/reviews-v1-0').resources,
      compile(snapshot, 'shop/reviews-v2-0').resources,
    ];
    assert.notEqual(v1.routes, v2.routes);
    assert.equal(compile(snapshot, 'shop/web-0').resources.routes, compile(snapshot, 'shop/web-1').resources.routes);
  });

  it('refers only to resources that exist', async () => {
    const snapshot = await snapshotOf(mesh, objects);
    const { resources } = compile(snapshot, 'shop/web-0');
    for (const name of resources.endpoints.keys()) assert.ok(resources.cluster.has(name), name);
    for (const name of resources.cluster.keys())
      assert.ok(!name.startsWith('outbound|') || resources.endpoints.has(name), name);
  });
});

describe('a change', () => {
  const changed = (snapshot: Snapshot, change: Partial<Parameters<typeof createSnapshot>[0]>) =>
    createSnapshot(
      {
        meshConfig: snapshot.meshConfig,
        services: snapshot.services.all,
        workloads: [...snapshot.workloads.values()],
        objects: snapshot.objects,
        ...change,
      },
      snapshot,
    );

  it('of readiness touches the endpoints of that service alone', async () => {
    const before = await snapshotOf(mesh, objects);
    const after = changed(before, {
      workloads: [...before.workloads.values()].map((workload) =>
        workload.name === 'reviews-v2-0' ? { ...workload, ready: false } : workload,
      ),
    });
    assert.deepEqual(differences(compile(before, 'shop/web-0').resources, compile(after, 'shop/web-0').resources), [
      'endpoints outbound|9080||reviews.shop.svc.cluster.local',
      'endpoints outbound|9080|v2|reviews.shop.svc.cluster.local',
    ]);
  });

  it('of a weight touches the routes of that host alone', async () => {
    const before = await snapshotOf(mesh, objects);
    const after = changed(before, { objects: objectsOf(objects.replace('weight: 9', 'weight: 8')) });
    assert.deepEqual(differences(compile(before, 'shop/web-0').resources, compile(after, 'shop/web-0').resources), [
      'routes http_proxy',
      'routes reviews.shop.svc.cluster.local:9080',
    ]);
  });

  it('of a policy touches listeners and endpoints, and no routes', async () => {
    const before = await snapshotOf(mesh, objects);
    const after = changed(before, { objects: objectsOf(objects.replace('STRICT', 'DISABLE')) });
    const touched = differences(compile(before, 'ads-0').resources, compile(after, 'ads-0').resources);
    assert.deepEqual(new Set(touched.map((name) => name.split(' ')[0])), new Set(['listener', 'endpoints']));
  });
});
