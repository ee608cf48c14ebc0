// What happens when services fail, with counts of what reached them: retries, their budget, limits, ejection, and copies.
import assert from 'node:assert/strict';
import http from 'node:http';
import type { Duplex } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { request, SteadyLoad } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const flaky = JSON.stringify(app('flaky.mjs'));
const twoVersions = (env = '') => `
      v1: { command: ${flaky}, env: { NAME: v1 } }
      v2: { command: ${flaky}, env: { NAME: v2${env} } }`;

const files = {
  'mesh.yaml': `
meshConfig: { accessLogFile: access.log }
services:
  plain: { port: 8001, protocol: http, command: ${flaky} }
  tried: { port: 8002, protocol: http, command: ${flaky} }
  never: { port: 8003, protocol: http, command: ${flaky} }
  timed: { port: 8004, protocol: http, command: ${flaky} }
  narrow: { port: 8005, protocol: http, command: ${flaky} }
  ejected:
    port: 8006
    protocol: http
    versions: ${twoVersions(', STATUS: "500"')}
  copied:
    port: 8007
    protocol: http
    versions: ${twoVersions()}
  spread:
    port: 8008
    protocol: http
    versions: ${twoVersions()}
  client: { command: sleep 1000 }
`,
  'routes.yaml': `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: tried }
spec:
  hosts: [tried]
  http: [{ route: [{ destination: { host: tried } }], retries: { attempts: 3, retryOn: "5xx,reset" } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: never }
spec:
  hosts: [never]
  http: [{ route: [{ destination: { host: never } }], retries: { attempts: 0 } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: timed }
spec:
  hosts: [timed]
  http: [{ route: [{ destination: { host: timed } }], retries: { attempts: 2, perTryTimeout: 300ms, retryOn: reset } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: narrow }
spec:
  host: narrow
  trafficPolicy:
    connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ejected }
spec:
  host: ejected
  trafficPolicy:
    loadBalancer: { simple: ROUND_ROBIN }
    outlierDetection: { consecutive5xxErrors: 3, interval: 500ms, baseEjectionTime: 2s, maxEjectionPercent: 50 }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: copied }
spec:
  host: copied
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: copied }
spec:
  hosts: [copied]
  http:
    - route: [{ destination: { host: copied, subset: v1 } }]
      mirrors: [{ destination: { host: copied, subset: v2 }, percentage: { value: 100 } }]
`,
};

describe('a service that fails', () => {
  let mesh: TestMesh;
  let upstreams: Readonly<Record<string, number>>;

  before(async () => {
    mesh = await TestMesh.start(files);
    ({ upstreams } = mesh.workload('client-0'));
  });
  after(() => mesh.close());

  const call = (service: string, path: string, method = 'GET', body?: string) =>
    request({ port: upstreams[service]!, path, method, ...(body === undefined ? {} : { body }) });
  /** How often an application was reached for a key, asked without the mesh. */
  const reached = async (workload: string, key: string): Promise<number> => {
    const { body } = await request({ port: mesh.workload(workload).app!.port, path: '/counts' });
    return (JSON.parse(body) as Record<string, number>)[key] ?? 0;
  };
  const flagged = async (service: string, flags: string) =>
    sumOf(await scrape(mesh.run.url), 'istio_requests_total', {
      reporter: 'source',
      destination_service_name: service,
      response_flags: flags,
    });

  it('with 503 is not asked again by default: the answer is the service’s own', async () => {
    assert.equal((await call('plain', '/fail/a/1/503')).status, 503);
    assert.equal(await reached('plain-0', 'a'), 1);
  });

  it('is asked again where the route says so, and the caller sees only the good answer', async () => {
    assert.equal((await call('tried', '/fail/b/2/503')).status, 200);
    assert.equal(await reached('tried-0', 'b'), 3);
  });

  it('by cutting connections is asked again on reset, with the same body', async () => {
    const { status } = await call('tried', '/reset/c/2', 'POST', 'x'.repeat(1000));
    assert.equal(status, 200);
    assert.equal(await reached('tried-0', 'c'), 3);
  });

  it('every time answers as it does, after as many attempts as the route allows, with the flag URX', async () => {
    assert.equal((await call('tried', '/fail/d/9/502')).status, 502);
    assert.equal(await reached('tried-0', 'd'), 4);
    assert.equal(await flagged('tried', 'URX'), 1);
  });

  it('is asked once where attempts is 0', async () => {
    assert.equal((await call('never', '/fail/e/1/503')).status, 503);
    assert.equal((await call('never', '/reset/f/1')).status, 503);
    assert.equal(await reached('never-0', 'e'), 1);
    assert.equal(await reached('never-0', 'f'), 1);
  });

  it('by not answering is given up after the time for one try, and asked again', async () => {
    assert.equal((await call('timed', '/hang/g/1')).status, 200);
    assert.equal(await reached('timed-0', 'g'), 2);
    assert.equal((await call('timed', '/hang/h/9')).status, 504);
    assert.equal(await reached('timed-0', 'h'), 3);
    assert.equal(await flagged('timed', 'UT,URX'), 1);
  });

  it('by being slow is protected: beyond its connections and the requests that may wait, callers get 503 UO', async () => {
    assert.equal((await call('narrow', '/get/warm')).status, 200); // opens the one connection
    const answers = await Promise.all(Array.from({ length: 6 }, () => call('narrow', '/slow/i/400')));
    const statuses = answers.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, 200, 503, 503, 503, 503]);
    const refused = answers.find(({ status }) => status === 503)!;
    assert.equal(refused.headers['x-envoy-overloaded'], 'true');
    assert.match(
      refused.body,
      /^upstream connect error or disconnect\/reset before headers\. reset reason: overflow\n/,
    );
    assert.equal(await flagged('narrow', 'UO'), 4);
    assert.equal(await reached('narrow-0', 'i'), 2, 'what was refused never reached it');
  });

  it('in one of its versions is ejected there, and asked again later', async () => {
    const errors = async (): Promise<number> => {
      let count = 0;
      for (let i = 0; i < 10; i++) if ((await call('ejected', '/get/x')).status === 500) count++;
      return count;
    };
    await eventually(async () => (await errors()) === 0, 'ten answers without an error');
    const before = await reached('ejected-v2-0', 'x');
    await eventually(async () => (await errors()) > 0, 'the version to be asked again');
    assert.ok((await reached('ejected-v2-0', 'x')) > before);
  });

  it('beside its copy: the copy gets every request, and nobody waits for its answers', async () => {
    for (let i = 0; i < 20; i++) {
      const { status, headers } = await call('copied', '/fail/j/0/200', 'POST', 'copy me');
      assert.deepEqual([status, headers['x-app']], [200, 'v1']);
    }
    await eventually(async () => (await reached('copied-v2-0', 'j')) === 20, 'twenty copies');
    assert.equal(await reached('copied-v1-0', 'j'), 20);
  });

  it('by dying under load: its default retries find the other instance for whoever could not connect', async () => {
    const load = new SteadyLoad(100, () => ({
      port: upstreams['spread']!,
      path: '/x',
      headers: { connection: 'close' },
    }));
    await eventually(() => (load.outcomes.get('200') ?? 0) > 50, 'load');
    process.kill(mesh.workload('spread-v2-0').pid!, 'SIGSTOP');
    process.kill(mesh.workload('spread-v2-0').pid!, 'SIGKILL');
    await eventually(() => (load.outcomes.get('200') ?? 0) > 300, 'load without the instance');
    const { outcomes, total } = await load.stop();
    // What was at the instance when it died may fail; what could not connect may not.
    const lost = total - (outcomes.get('200') ?? 0);
    assert.ok(lost <= 5, JSON.stringify([...outcomes]));
  });

  it('or not, WebSocket passes through both proxies, and lives on while routes change', async () => {
    const { socket, status } = await new Promise<{ socket: Duplex; status: number }>((resolve, reject) => {
      const outgoing = http.request({
        host: '127.0.0.1',
        port: upstreams['plain']!,
        headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'x' },
      });
      outgoing.on('upgrade', (response, upgraded) => resolve({ socket: upgraded, status: response.statusCode! }));
      outgoing.on('error', reject);
      outgoing.end();
    });
    assert.equal(status, 101);
    let received = '';
    socket.on('data', (data: Buffer) => (received += data.toString()));
    socket.write('one');
    await eventually(() => received === 'one', 'the first echo');
    mesh.write({ 'more.yaml': files['routes.yaml'].split('---')[0]!.replaceAll('tried', 'plain') });
    await eventually(
      async () =>
        ((await mesh.fetchJson('/api/proxies')) as { inForce: boolean }[]).every(({ inForce }) => inForce) &&
        JSON.stringify(await mesh.fetchJson('/api/objects/virtualservices')).includes('"plain"'),
      'the new route',
    );
    socket.write('two');
    await eventually(() => received === 'onetwo', 'the second echo');
    socket.end();
    await eventually(() => received === 'onetwobye', 'the end of the other side');
  });
});
