// Errors of the data plane itself, put into a running mesh: a request that can be blamed is answered 500 and the process goes
// on; what nobody can be blamed for ends the process, and another one takes its place.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, it } from 'node:test';
import { request, SteadyLoad } from '../harness/http.js';
import { app, eventually, root, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

/** Loaded into every process of the mesh: in the data plane a layer throws where the path says so. */
const faults = `
if (process.argv[2] === 'proxy') {
  const { pickRoute } = await import(${JSON.stringify(pathToFileURL(join(root, 'dist/src/proxy/http/layers/pick-route.js')).href)});
  const { onRequest } = pickRoute;
  pickRoute.onRequest = (exchange) => {
    if (exchange.request.path === '/throw') throw new Error('a fault that was put in');
    if (exchange.request.path === '/throw-in-timer') setTimeout(() => { throw new Error('a fault in a timer'); }, 1);
    if (exchange.request.path === '/reject') void Promise.reject(new Error('a fault in a promise'));
    return onRequest(exchange);
  };
}
`;

describe('an error of the data plane itself', () => {
  let mesh: TestMesh;
  let port: number;

  before(async () => {
    mesh = await TestMesh.start(
      {
        'mesh.yaml': `services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }`,
      },
      { env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(faults)}` } },
    );
    port = mesh.workload('client-0').upstreams['web']!;
  });
  after(() => mesh.close());

  it('in the handling of a request is answered 500, and its neighbours notice nothing', async () => {
    const { proxyPid } = mesh.workload('client-0');
    const load = new SteadyLoad(100, () => ({ port, path: '/delay/20' }));
    for (let i = 0; i < 20; i++) {
      const { status, body } = await request({ port, path: '/throw' });
      assert.equal(status, 500);
      assert.match(body, /^lateen: the proxy has an error of its own/);
    }
    await eventually(() => (load.outcomes.get('200') ?? 0) > 50, 'load');
    assert.deepEqual([...(await load.stop()).outcomes.keys()], ['200']);
    assert.equal(mesh.workload('client-0').proxyPid, proxyPid);
    await eventually(
      async () => sumOf(await scrape(mesh.run.url), 'lateen_internal_errors_total', { workload: 'client' }) === 20,
      'twenty errors counted',
    );
    assert.match(
      mesh.output,
      /error proxy {2}an error of the proxy itself; .*workload=client-0 {2}stack=Error: a fault that was put in/,
    );
  });

  for (const [where, path, told] of [
    ['a timer', '/throw-in-timer', /a fault in a timer/],
    ['a promise that nobody waits for', '/reject', /a fault in a promise/],
  ] as const)
    it(`in ${where} ends the process, and another one serves`, async () => {
      const { proxyPid } = mesh.workload('client-0');
      await request({ port, path }).catch(() => undefined);
      await eventually(() => {
        const { proxyPid: now, ready } = mesh.workload('client-0');
        return now !== null && now !== proxyPid && ready;
      }, 'another data plane');
      assert.match(mesh.output, told, 'its last words are kept');
      assert.match(mesh.output, /data plane: it ended with code 1; it is started again in/);
      await eventually(async () => (await request({ port, path: '/status/200' })).status === 200, 'traffic');
    });
});
