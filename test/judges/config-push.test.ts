// Row 70 of the catalogue: ten thousand objects arrive at once while requests are served; none fails, and few wait.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';

const objects = 10_000;

describe(`${objects} objects at once`, () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }`,
    });
  });
  after(() => mesh?.close());

  it('come into force while requests are served, none of which fails or waits for long', async (t) => {
    const { outboundHttp, upstreams } = mesh.workload('client-0');
    const waits: number[] = [];
    const failures: string[] = [];
    const state = { isLoading: true };
    const load = (async () => {
      while (state.isLoading) {
        const started = performance.now();
        await request({ port: upstreams['web']!, path: '/status/200' }).then(
          ({ status }) => (status === 200 ? waits.push(performance.now() - started) : failures.push(String(status))),
          (error: Error) => failures.push(error.message),
        );
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    const started = performance.now();
    mesh.write({
      'many.yaml': Array.from({ length: objects }, (_, i) => entry(i, mesh.workload('web-0').app!.port)).join('---\n'),
    });
    for (const i of [0, objects / 2, objects - 1])
      await eventually(
        async () =>
          (await request({ port: outboundHttp.port, path: '/status/200', headers: { host: `host-${i}.example` } }))
            .status === 200,
        `host-${i}.example`,
        240_000,
      );
    const took = (performance.now() - started) / 1000;
    state.isLoading = false;
    await load;
    const sorted = waits.sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!;
    t.diagnostic(
      `${objects} objects in force after ${took.toFixed(1)} s; ${sorted.length} requests meanwhile: median ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(0)} ms, longest ${at(1).toFixed(0)} ms`,
    );
    assert.deepEqual(failures, []);
    assert.ok(at(0.99) < 1000, `p99 ${at(0.99)} ms`);
    assert.ok(at(1) < 10_000, `longest ${at(1)} ms`);
  });
});

function entry(i: number, port: number): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: e${i} }
spec:
  hosts: [host-${i}.example]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
`;
}
