// Retries over two layers of a mesh, with counts of what reached the last: client -> web -> backend, where backend fails every time
// and both routes ask for many retries. Without a budget every request would become sixteen.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const attempts = 3;
const routes = ['web.shop', 'backend.data'].map(
  (host) => `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${host.split('.')[0]}, namespace: ${host.split('.')[1]} }
spec:
  hosts: [${host}.svc.cluster.local]
  http: [{ route: [{ destination: { host: ${host}.svc.cluster.local } }], retries: { attempts: ${attempts}, retryOn: "5xx,reset" } }]
`,
);

describe('retries in two layers', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  backend: { namespace: data, port: 9080, protocol: http, command: ${JSON.stringify(app('flaky.mjs'))} }
  web: { namespace: shop, port: 8080, protocol: http, command: ${JSON.stringify(`NEXT_URL=$BACKEND_DATA_URL ${app('passing.mjs')}`)} }
  client: { namespace: shop, command: sleep 1000 }
`,
      'routes.yaml': routes.join(''),
    });
  });
  after(() => mesh?.close());

  const call = async (path: string) =>
    (await request({ port: mesh.workload('client-0').upstreams['web']!, path })).status;
  const reached = async (key: string): Promise<number> => {
    const { body } = await request({ port: mesh.workload('backend-0').app!.port, path: '/counts' });
    return (JSON.parse(body) as Record<string, number>)[key] ?? 0;
  };
  const retries = async (outcome: string) => sumOf(await scrape(mesh.run.url), 'lateen_retries_total', { outcome });

  it('of one request multiply, which the control shows', async () => {
    assert.equal(await call('/fail/one/1000000/503'), 503);
    assert.equal(await reached('one'), (1 + attempts) ** 2);
  });

  for (const [what, path] of [
    ['answers 503', 'fail'],
    ['cuts every connection', 'reset'],
  ] as const)
    it(`of many requests stay within the budget where the last ${what}`, async () => {
      const [tried, refused] = [await retries('tried'), await retries('budget_exceeded')];
      const total = 200;
      const key = `many-${path}`;
      const statuses = await Promise.all(Array.from({ length: total }, () => call(`/${path}/${key}/1000000/503`)));
      assert.deepEqual([...new Set(statuses)], [503]);
      const arrived = await reached(key);
      await eventually(async () => (await retries('budget_exceeded')) > refused, 'retries that the budget refused');
      assert.ok((await retries('tried')) > tried, 'the control: some were tried again');
      assert.ok(arrived > total, `${arrived} attempts`);
      assert.ok(
        arrived <= total * 3,
        `${arrived} attempts for ${total} requests, of which unbounded retries make ${total * 16}`,
      );
    });
});
