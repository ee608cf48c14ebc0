// What a Service object adds to the services of mesh.yaml, and what is said where the two differ.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meshConfigSchema } from '../api/mesh-config.js';
import { validateFile } from '../api/validate.js';
import { findProblems } from '../compile/findings.js';
import { Store } from './store.js';
import type { Workload } from './workload.js';

const workload = (name: string, labels: Record<string, string>): Workload => ({
  uid: `shop/${name}`,
  name,
  namespace: 'shop',
  workloadName: name,
  serviceHost: 'web.shop.svc.cluster.local',
  serviceAccount: 'web',
  spiffeId: 'spiffe://cluster.local/ns/shop/sa/web',
  labels,
  ready: true,
  ports: [],
  outboundHttp: { address: '127.0.0.1', port: 1 },
  upstreams: [],
});

function storeWith(yaml: string): Store {
  const store = new Store(meshConfigSchema.parse({}));
  store.apply({
    services: [
      {
        name: 'web',
        namespace: 'shop',
        host: 'web.shop.svc.cluster.local',
        ports: [{ name: 'http', port: 80, protocol: 'http' }],
        identities: [],
      },
    ],
    workloads: [workload('web-v1', { app: 'web', version: 'v1' })],
    objects: objectsOf(yaml),
  });
  return store;
}

function objectsOf(yaml: string) {
  return validateFile('service.yaml', yaml).map((result) => {
    assert.ok('object' in result, JSON.stringify(result));
    return result.object;
  });
}

const service = (fields: string) =>
  `apiVersion: v1\nkind: Service\nmetadata: { name: web, namespace: shop, ${fields}\n`;

describe('a Service object beside mesh.yaml', () => {
  it('adds its labels to the workloads of the service', () => {
    const { snapshot } = storeWith(
      service('labels: { team: a } }\nspec: { ports: [{ port: 80, targetPort: 8080 }], type: ClusterIP }'),
    );
    assert.deepEqual(snapshot.workloads.get('shop/web-v1')?.labels, { team: 'a', app: 'web', version: 'v1' });
    assert.deepEqual(findProblems(snapshot), []);
  });

  it('never overrides mesh.yaml: a label with another value is a diagnostic', () => {
    const { snapshot } = storeWith(service('labels: { version: v9 } }'));
    assert.equal(snapshot.workloads.get('shop/web-v1')?.labels['version'], 'v1');
    const [problem, ...more] = findProblems(snapshot);
    assert.deepEqual(more, []);
    assert.equal(problem?.code, 'LAT0010');
    assert.equal(problem.path, 'metadata.labels.version');
    assert.match(problem.message, /says v9 where mesh\.yaml says v1, which counts/);
  });

  it('with another port is a diagnostic', () => {
    const [problem] = findProblems(storeWith(service('}\nspec: { ports: [{ port: 81 }] }')).snapshot);
    assert.equal(problem?.path, 'spec.ports[0].port');
    assert.match(problem.message, /says 81 where mesh\.yaml says 80, which counts/);
  });

  it('of no service in mesh.yaml is a diagnostic', () => {
    const [problem] = findProblems(storeWith(service('}').replace('name: web', 'name: wbe')).snapshot);
    assert.match(problem!.message, /mesh\.yaml has no service wbe in namespace shop, so nothing runs for it/);
  });

  it('leaves workloads the same values while nothing changes', () => {
    const store = storeWith(service('labels: { team: a } }'));
    const before = store.snapshot.workloads.get('shop/web-v1');
    store.apply({ meshConfig: meshConfigSchema.parse({ trustDomain: 'other.example' }) });
    assert.equal(store.snapshot.workloads.get('shop/web-v1'), before);
  });
});
