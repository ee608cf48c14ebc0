// Service objects with names of their own: which workloads answer for them, at which ports, under which protocol.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { snapshotOf } from '../../test/harness/snapshots.js';
import { findProblems } from '../compile/findings.js';
import { placeOf } from './service-entries.js';
import { endpointsOf } from './snapshot.js';
import { visibleServices } from './visible-services.js';

const mesh = `
services:
  reviews: { namespace: shop, port: 9080, protocol: http, versions: { v1: { command: a }, v2: { command: b } } }
`;
const service = (name: string, spec: string, metadata = '') =>
  `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: shop${metadata} }\nspec: { ${spec} }\n`;
const canary = service('canary', 'selector: { version: v2 }, ports: [{ port: 80, name: http, targetPort: 9080 }]');

async function read(...documents: string[]) {
  const snapshot = await snapshotOf(mesh, documents.join('---\n'));
  const found = snapshot.services.byHost.get('canary.shop.svc.cluster.local');
  const places = found && endpointsOf(snapshot, found).map((endpoint) => placeOf(endpoint, found.ports[0]!));
  const said = findProblems(snapshot).map(({ code, path, message }) => `${code} ${path}: ${message}`);
  return { snapshot, found, places, said };
}

describe('a Service with a name of its own', () => {
  it('is answered for by the workloads that it selects, at its targetPort', async () => {
    const { snapshot, found, places, said } = await read(canary);
    assert.deepEqual(said, []);
    assert.deepEqual(places, [snapshot.workloads.get('shop/reviews-v2-0')!.ports[0]!.inbound]);
    assert.deepEqual(
      [found?.name, found?.namespace, found?.identities],
      ['canary', 'shop', ['spiffe://cluster.local/ns/shop/sa/reviews']],
    );
  });

  it('selects WorkloadEntries too, and in its own namespace alone', async () => {
    const entry = (namespace: string, address: string) =>
      `apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: vm, namespace: ${namespace} }\nspec: { address: ${address}, labels: { app: vm }, ports: { http: 8080 } }\n`;
    const select = canary.replace('version: v2', 'app: vm');
    const { places } = await read(select, entry('shop', '10.0.0.1'), entry('other', '10.0.0.2'));
    assert.deepEqual(places, [{ address: '10.0.0.1', port: 8080 }]);
  });

  it('has the protocol that its port says', async () => {
    const protocol = async (port: string) =>
      (await read(service('canary', `selector: { version: v2 }, ports: [{ ${port} }]`))).found?.ports[0]?.protocol;
    for (const [port, expected] of [
      ['port: 80, name: http', 'http'],
      ['port: 80, name: http-web', 'http'],
      ['port: 80, name: web', 'detect'],
      ['port: 80', 'detect'],
      ['port: 80, name: tcp-web, appProtocol: http', 'http'],
      ['port: 80, name: http, appProtocol: kubernetes.io/h2c', 'http2'],
      ['port: 80, name: http, appProtocol: kubernetes.io/ws', 'http'],
      ['port: 80, name: http, appProtocol: kubernetes.io/wss', 'https'],
      ['port: 80, name: http, appProtocol: example.com/own', 'detect'],
      ['port: 80, name: grpc', 'grpc'],
      ['port: 80, name: GRPC-x', 'grpc'],
      ['port: 80, name: http2-x', 'http2'],
      ['port: 80, name: grpc-web-x', 'grpc-web'],
      ['port: 80, name: grpc-website', 'grpc'],
      ['port: 80, name: mysql', 'tcp'],
      ['port: 443, name: https', 'https'],
      ['port: 443, name: tls-x', 'tls'],
      ['port: 25', 'tcp'],
      ['port: 53', 'tcp'],
      ['port: 27017', 'tcp'],
      ['port: 3306', 'tcp'],
      ['port: 3306, name: http', 'http'],
    ] as const)
      assert.equal(await protocol(port), expected, port);
  });

  it('is none without a selector, or with ports of UDP alone', async () => {
    for (const spec of [
      'ports: [{ port: 80 }]',
      'selector: { version: v2 }',
      'selector: { version: v2 }, ports: [{ port: 53, protocol: UDP }]',
    ]) {
      const { found, said } = await read(service('canary', spec));
      assert.equal(found, undefined);
      assert.match(
        said.find((text) => text.startsWith('IST0101'))!,
        /mesh\.yaml has no service canary in namespace shop/,
      );
    }
  });

  it('has its host before ServiceEntries, which is said', async () => {
    const entry = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: a, namespace: shop }
spec: { hosts: [canary.shop.svc.cluster.local], resolution: STATIC, ports: [{ number: 80, name: http }], endpoints: [{ address: 10.0.0.1 }] }
`;
    const { found, said } = await read(entry, canary);
    assert.equal(found?.object?.name, 'canary');
    assert.match(said[0]!, /LAT0010 spec\.hosts\[0\]: .* is a name of Service\/shop\/canary, which counts/);
  });

  it('is seen where its annotation says', async () => {
    const { snapshot } = await read(
      service(
        'canary',
        'selector: { version: v2 }, ports: [{ port: 80 }]',
        ', annotations: { networking.istio.io/exportTo: "., other" }',
      ),
    );
    const sees = (namespace: string) =>
      visibleServices(snapshot.services, namespace).byHost.has('canary.shop.svc.cluster.local');
    assert.deepEqual(['shop', 'other', 'third'].map(sees), [true, true, false]);
  });

  it('that selects nothing, or names a port of its workloads, is a finding', async () => {
    const { said } = await read(service('canary', 'selector: { version: v3 }, ports: [{ port: 80, targetPort: web }]'));
    assert.deepEqual(said, [
      'LAT0007 spec.ports[0].targetPort: names of ports are not looked up, so it is 80; write a number',
      'IST0127 spec.selector: no workload and no WorkloadEntry of namespace shop has these labels (version=v3); requests are answered with 503',
    ]);
  });
});
