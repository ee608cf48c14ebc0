// Two hundred changes of routes, endpoints and policies under load: every request is answered by somebody who should.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SteadyLoad } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';

const echo = JSON.stringify(app('echo.mjs'));
const changes = 200;

const routes = (change: number) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
    - match: [{ headers: { x-change: { exact: "${change}" } } }]
      route: [{ destination: { host: web, subset: v2 } }]
      retries: { attempts: 0 }
    - route:
        - { destination: { host: web, subset: s${change} }, weight: ${50 + (change % 50)} }
        - { destination: { host: web, subset: ${change % 2 === 0 ? 'v1' : 'v2'} }, weight: ${50 - (change % 50)} }
      headers: { response: { set: { x-seen: "${change}" } } }
      retries: { attempts: 0 }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web }
spec:
  host: web
  trafficPolicy: { loadBalancer: { simple: ${['LEAST_REQUEST', 'ROUND_ROBIN', 'RANDOM'][change % 3]} } }
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }
    # A subset of its own for every change: clusters come and go with the routes that name them.
    - { name: s${change}, labels: { version: ${change % 3 === 0 ? 'v2' : 'v1'} } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: ${change % 10 < 5 ? 'STRICT' : 'PERMISSIVE'} } }
`;

describe('changes under load', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `services: { web: { port: 8080, protocol: http, versions: { v1: { command: ${echo}, env: { NAME: v1 } }, v2: { command: ${echo}, env: { NAME: v2 } } } }, client: { command: sleep 1000 } }`,
      'routes.yaml': routes(0),
    });
  });
  after(() => mesh.close());

  it(`${changes} of them fail no request`, async () => {
    const port = mesh.workload('client-0').upstreams['web']!;
    let seen = -1;
    const load = new SteadyLoad(
      200,
      () => ({ port, path: '/' }),
      ({ status, headers }) => {
        seen = Math.max(seen, Number(headers['x-seen'] ?? -1));
        return String(status);
      },
    );
    for (let change = 1; change <= changes; change++) {
      mesh.write({ 'routes.yaml': routes(change) });
      await eventually(() => seen >= change, `change ${change} in force`);
    }
    const { outcomes, total } = await load.stop();
    assert.deepEqual([...outcomes], [['200', total]]);
    assert.equal((await mesh.diagnostics()).length, 0);
  });
});
