// Which of several services with one host a namespace sees.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { snapshotOf } from '../../test/harness/snapshots.js';
import { createSnapshot } from './snapshot.js';
import { visibleServices } from './visible-services.js';

const mesh = 'services: { reviews: { namespace: shop, port: 80, command: x } }';
const entry = (host: string, namespace: string, address: string, more = '') => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: e${address.replaceAll('.', '-')}, namespace: ${namespace} }
spec: { hosts: [${host}], resolution: STATIC, ports: [{ number: 80, name: http }], endpoints: [{ address: ${address} }]${more} }
`;

/** The endpoint of a host as a namespace sees it; `mesh` for a service of mesh.yaml. */
async function seen(objects: readonly string[], host: string, namespace: string): Promise<string | undefined> {
  const { services } = await snapshotOf(mesh, objects.join('---\n'));
  const service = visibleServices(services, namespace).byHost.get(host);
  return service === undefined ? undefined : (service.entry?.spec.endpoints?.[0]?.address ?? 'mesh');
}

describe('a namespace sees', () => {
  const both = [entry('api.example.com', 'one', '10.0.0.1'), entry('api.example.com', 'two', '10.0.0.2')];

  it('of several entries for a host its own, else the oldest', async () => {
    assert.equal(await seen(both, 'api.example.com', 'one'), '10.0.0.1');
    assert.equal(await seen(both, 'api.example.com', 'two'), '10.0.0.2');
    assert.equal(await seen(both, 'api.example.com', 'three'), '10.0.0.1');
  });

  it('only what is exported to it', async () => {
    const exported = [
      entry('api.example.com', 'one', '10.0.0.1', ', exportTo: [.]'),
      entry('api.example.com', 'two', '10.0.0.2', ', exportTo: [three]'),
    ];
    assert.equal(await seen(exported, 'api.example.com', 'one'), '10.0.0.1');
    assert.equal(await seen(exported, 'api.example.com', 'three'), '10.0.0.2');
    assert.equal(await seen(exported, 'api.example.com', 'four'), undefined);
  });

  it('a service of mesh.yaml before any entry of its host, also in the namespace of the entry', async () => {
    const host = 'reviews.shop.svc.cluster.local';
    assert.equal(await seen([entry(host, 'one', '10.0.0.1')], host, 'one'), 'mesh');
  });

  it('the same index everywhere while there are no entries', async () => {
    const { services } = await snapshotOf(mesh);
    assert.equal(visibleServices(services, 'one'), services);
  });
});

describe('services of entries', () => {
  it('stay the same values while what they are made of stays', async () => {
    const before = await snapshotOf(mesh, entry('api.example.com', 'one', '10.0.0.1'));
    const workloads = before.parts.workloads.map((workload) => ({ ...workload, ready: false }));
    assert.equal(createSnapshot({ ...before.parts, workloads }, before).services, before.services);
    const without = createSnapshot({ ...before.parts, objects: [] }, before);
    assert.deepEqual([...without.services.byHost.keys()], ['reviews.shop.svc.cluster.local']);
    assert.equal(without.services.all[0], before.services.all[0]);
  });
});
