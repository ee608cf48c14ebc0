// Certificates of ten seconds: they are renewed again and again under load, and nobody notices.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { SteadyLoad } from '../harness/http.js';
import { app, TestMesh } from '../harness/mesh.js';
import { scrape } from '../harness/metrics.js';

const seconds = 60;
const perSecond = 300;

describe('certificates of ten seconds', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `
certificates: { workloadLifetime: 10s }
services:
  web: { port: 8080, protocol: http, versions: { v1: { command: ${JSON.stringify(app('echo.mjs'))}, replicas: 2 } } }
  db: { port: 5432, protocol: tcp, command: ${JSON.stringify(app('line-server.mjs'))} }
  client: { command: sleep 1000 }
`,
      'strict.yaml':
        'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: default, namespace: istio-system }\nspec: { mtls: { mode: STRICT } }\n',
      'routes.yaml':
        'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: web }\nspec: { hosts: [web], http: [{ route: [{ destination: { host: web } }], retries: { attempts: 0 } }] }\n',
    });
  });
  after(() => mesh.close());

  it(`at ${perSecond} requests a second for ${seconds} s no request fails, and a TCP connection lives through it`, async () => {
    const { upstreams } = mesh.workload('client-0');
    const connection = net.connect(upstreams['db']!, '127.0.0.1');
    let received = '';
    let ended = false;
    connection.on('data', (data) => (received += data.toString()));
    connection.on('close', () => (ended = true));
    const expiries = new Map<string, Set<number>>();
    const load = new SteadyLoad(perSecond, (i) => ({
      port: upstreams['web']!,
      path: '/size',
      method: i % 3 === 0 ? 'POST' : 'GET',
      body: i % 3 === 0 ? 'x'.repeat(100) : '',
    }));
    for (let second = 0; second < seconds; second++) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      connection.write(`second ${second}\n`);
      for (const { name, labels, value } of await scrape(mesh.run.url)) {
        if (name !== 'lateen_certificate_expiration_timestamp_seconds') continue;
        const workload = labels['workload']!;
        expiries.set(workload, (expiries.get(workload) ?? new Set()).add(value));
        assert.ok(value > Date.now() / 1000, `${workload} shows a certificate that has expired`);
      }
    }
    const { outcomes, total } = await load.stop();
    assert.deepEqual([...outcomes], [['200', total]]);
    assert.ok(total > seconds * perSecond * 0.9, `only ${total} requests were sent`);
    assert.equal(expiries.size, 4);
    for (const [workload, seen] of expiries)
      assert.ok(seen.size >= 8, `${workload} had ${seen.size} certificates in ${seconds} s`);
    assert.equal(ended, false, 'the TCP connection is open');
    assert.match(received, new RegExp(`SECOND ${seconds - 1}\n$`));
    connection.destroy();
  });
});
