// What is said of ServiceEntries and WorkloadEntries that are valid and do not do what their author thinks.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { snapshotOf, workloadOf } from '../../test/harness/snapshots.js';
import { compileWorkload } from './compile.js';
import { findProblems } from './findings.js';

const mesh = `
services:
  client: { command: client, outboundPort: 8001, upstreams: { "api.example.com:80": 5433 } }
  reviews: { port: 9080, protocol: http, versions: { v1: { command: a, replicas: 2 } } }
`;
const object = (kind: string, name: string, spec: string, namespace = 'default') =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {${spec}}\n`;
const fields = 'resolution: STATIC, location: MESH_INTERNAL, ports: [{number: 80, name: http, protocol: HTTP}]';
const named = 'endpoints: [{address: 10.0.0.1}]';
/** A ServiceEntry called after its host. */
const entry = (host: string, more = named, namespace?: string) =>
  object('ServiceEntry', host.replaceAll('*', 'all'), `hosts: ["${host}"], ${fields}, ${more}`, namespace);
const api = entry('api.example.com');

async function found(...documents: string[]): Promise<string[]> {
  return findProblems(await snapshotOf(mesh, documents.join('---\n'))).map(
    ({ severity, code, object: about, path, message }) => `${severity} ${code} ${about} ${path}: ${message}`,
  );
}

describe('nothing is said', () => {
  it('of entries that are in force, and of rules for them', async () => {
    assert.deepEqual(
      await found(
        api,
        entry('vm.mesh', 'workloadSelector: {labels: {app: vm}}'),
        object('WorkloadEntry', 'vm', 'address: 10.0.0.2, labels: {app: vm, version: v1}, ports: {http: 8080}'),
        entry('picked.mesh', 'workloadSelector: {labels: {version: v1}}').replace('number: 80', 'number: 9080'),
        object('DestinationRule', 'vm', 'host: vm.mesh, subsets: [{name: v1, labels: {version: v1}}]'),
        object('DestinationRule', 'api', 'host: "*.example.com"'),
        object(
          'VirtualService',
          'vm',
          'hosts: [vm.mesh], http: [{route: [{destination: {host: vm.mesh, subset: v1, port: {number: 80}}}]}]',
        ),
      ),
      [],
    );
  });
});

describe('it is said', () => {
  it('that a host belongs to mesh.yaml, by whatever name', async () => {
    for (const host of ['reviews.default', 'reviews', 'Reviews.default.svc.cluster.local'])
      assert.match(
        (await found(api, entry(host).replace(/name: \S+,/, 'name: mine,')))[0]!,
        /LAT0010 ServiceEntry\/default\/mine spec\.hosts\[0\]: .* is a name of service reviews .* of mesh\.yaml, which counts/,
      );
  });

  it('that an older entry has the host, in the same namespace', async () => {
    const again = object('ServiceEntry', 'again', `hosts: [api.example.com], ${fields}, ${named}`);
    assert.deepEqual(await found(api, again), [
      'warning LAT0007 ServiceEntry/default/again spec.hosts[0]: api.example.com is already defined by ServiceEntry/default/api.example.com (objects.yaml:1), which is older and counts; merge them',
    ]);
    assert.deepEqual(await found(api, entry('api.example.com', named, 'shop')), []);
  });

  it('that a host is too short for rules', async () => {
    assert.match((await found(api, entry('legacy')))[0]!, /spec\.hosts\[0\]: legacy is taken as it is, but/);
  });

  it('that a selector selects nothing, and that nobody selects a WorkloadEntry', async () => {
    assert.deepEqual(
      await found(
        api,
        entry('vm.mesh', 'workloadSelector: {labels: {app: vm}}'),
        object('WorkloadEntry', 'vm', 'address: 10.0.0.2, labels: {app: other}'),
        object('WorkloadEntry', 'far', 'address: 10.0.0.2, labels: {app: vm}', 'shop'),
      ),
      [
        'warning IST0127 ServiceEntry/default/vm.mesh spec.workloadSelector: no WorkloadEntry and no workload of namespace default has these labels (app=vm); requests are answered with 503',
        'warning IST0127 WorkloadEntry/default/vm spec.labels: no ServiceEntry and no Service of namespace default selects its labels (app=other), so it has no effect',
        'warning IST0127 WorkloadEntry/shop/far spec.labels: no ServiceEntry and no Service of namespace shop selects its labels (app=vm), so it has no effect',
      ],
    );
  });

  it('that ports lead nowhere', async () => {
    assert.deepEqual(
      await found(
        api,
        entry('vm.mesh', 'workloadSelector: {labels: {app: vm}}'),
        object('WorkloadEntry', 'vm', 'address: 10.0.0.2, labels: {app: vm}, ports: {https: 443}'),
        entry('picked.mesh', 'workloadSelector: {labels: {version: v1}}'),
      ),
      [
        'warning IST0101 ServiceEntry/default/picked.mesh spec.ports[0]: the selected workload reviews-v1-0 has no port 80, only 9080, so it does not answer for this one; set targetPort',
        'warning IST0101 WorkloadEntry/default/vm spec.ports.https: nothing that selects it has a port https, only http, so it has no effect',
      ],
    );
  });

  it('that names of certificates have no effect', async () => {
    const names = 'subjectAltNames: [api.example.com, "spiffe://a/ns/b/sa/c"]';
    assert.deepEqual(await found(entry('api.example.com', `${named}, ${names}`)), [
      'warning LAT0007 ServiceEntry/default/api.example.com spec.subjectAltNames[0]: only SPIFFE IDs are compared, so it has no effect',
    ]);
    assert.match(
      (await found(entry('api.example.com', `${named}, ${names}`).replace('MESH_INTERNAL', 'MESH_EXTERNAL')))[1]!,
      /subjectAltNames\[1\]: MESH_EXTERNAL is called in plaintext/,
    );
  });

  it('that an endpoint asks for mTLS and says not who it is', async () => {
    const labelled = 'endpoints: [{address: 10.0.0.1, labels: {security.istio.io/tlsMode: istio}}]';
    assert.match(
      (await found(entry('api.example.com', labelled)))[0]!,
      /LAT0007 .* spec\.endpoints\[0\]\.serviceAccount: is missing: the label .* every connection fails/,
    );
  });

  it('that an endpoint is an entrance of the mesh, and it is left out', async () => {
    for (const [address, port] of [
      ['127.0.0.1', 8001],
      ['::ffff:127.0.0.1', 8001],
      ['::ffff:7f00:1', 5433],
    ]) {
      const loop = entry(
        'loop.mesh',
        `endpoints: [{address: "${address}", ports: {http: ${port}}}, {address: 10.0.0.9}]`,
      );
      assert.match(
        (await found(api, loop))[0]!,
        /^error LAT0007 ServiceEntry\/default\/loop\.mesh spec\.endpoints\[0\]\.address: .* come back for ever/,
      );
      const snapshot = await snapshotOf(mesh, loop);
      const { endpoints } = compileWorkload(snapshot, workloadOf(snapshot, 'client-0')).resources;
      const bytes = Buffer.from(endpoints.get('outbound|80||loop.mesh')!.bytes).toString('latin1');
      assert.ok(bytes.includes('10.0.0.9') && !bytes.includes(String(address)));
    }
  });

  it('that a port of mesh.yaml is for a host that nobody has', async () => {
    assert.deepEqual(await found(), [
      'warning IST0101  services.client.upstreams["api.example.com:80"]: no service and no ServiceEntry has the host api.example.com, so nothing listens there',
    ]);
    assert.match((await found(api.replace('number: 80', 'number: 81')))[0]!, /api\.example\.com has no port 80,/);
  });

  it('that a destination is not exported to the rule that names it', async () => {
    const hidden = entry('hidden.mesh', `${named}, exportTo: [.]`, 'shop');
    const route = object(
      'VirtualService',
      'r',
      'hosts: [example.org], http: [{route: [{destination: {host: hidden.mesh}}]}]',
    );
    assert.match((await found(api, hidden, route))[0]!, /no service has the host hidden\.mesh/);
  });
});
