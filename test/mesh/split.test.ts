// Ten thousand requests are divided as the weights say, and every one of them is counted on both sides.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';
import { request } from '../harness/http.js';
import { app, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const total = 10_000;
const share = 0.05;

describe('a 95/5 split', () => {
  let mesh: TestMesh;
  const byApp = new Map<string, number>();
  const byStatus = new Map<number, number>();

  before(async () => {
    const echo = JSON.stringify(app('echo.mjs'));
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  reviews:
    port: 9080
    versions: { v1: { command: ${echo}, env: { NAME: v1 } }, v2: { command: ${echo}, env: { NAME: v2 } } }
  client: { command: sleep 1000 }
`,
      'routes.yaml': `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
    - route:
        - { destination: { host: reviews, subset: v1 }, weight: 95 }
        - { destination: { host: reviews, subset: v2 }, weight: 5 }
      retries: { attempts: 0 }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`,
    });
    const port = mesh.workload('client-0').upstreams['reviews']!;
    const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
    let left = total;
    const worker = async () => {
      while (left-- > 0) {
        const answer = await request({ port, path: '/status/200', agent });
        byStatus.set(answer.status, (byStatus.get(answer.status) ?? 0) + 1);
        const name = String(answer.headers['x-app']);
        byApp.set(name, (byApp.get(name) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    agent.destroy();
  });
  after(() => mesh.close());

  it('every request is answered with 200', () => assert.deepEqual([...byStatus], [[200, total]]));

  it('the small share lies within five standard deviations of 5 %', () => {
    const deviation = Math.sqrt(total * share * (1 - share));
    const v2 = byApp.get('v2') ?? 0;
    assert.ok(Math.abs(v2 - total * share) < 5 * deviation, `${v2} of ${total} went to v2`);
    assert.equal((byApp.get('v1') ?? 0) + v2, total);
  });

  it('both sides count exactly what each version answered', async () => {
    const samples = await scrape(mesh.run.url);
    for (const [version, count] of byApp)
      for (const reporter of ['source', 'destination'])
        assert.equal(
          sumOf(samples, 'istio_requests_total', {
            reporter,
            destination_version: version,
            response_code: '200',
            source_workload: 'client',
          }),
          count,
          `${reporter} of ${version}`,
        );
  });

  it('the histograms hold as many observations as there were requests', async () => {
    const samples = await scrape(mesh.run.url);
    for (const family of ['istio_request_duration_milliseconds', 'istio_request_bytes', 'istio_response_bytes'])
      for (const reporter of ['source', 'destination']) {
        assert.equal(sumOf(samples, `${family}_count`, { reporter }), total);
        assert.equal(sumOf(samples, `${family}_bucket`, { reporter, le: '+Inf' }), total);
      }
  });
});
