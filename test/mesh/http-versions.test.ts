// In which version of HTTP applications are spoken to: that of their port, or their caller's where nothing is declared.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { ProxyConfigView } from '../../src/admin/proxy-config-view.js';
import { request } from '../harness/http.js';
import { TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

/** Applications that say in which version they were called; one for each version, so that the wrong one fails. */
const [only1, only2] = [
  http.createServer((incoming, response) => response.end(incoming.httpVersion)),
  http2.createServer((incoming, response) => response.end(incoming.httpVersion)),
];

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** One request in HTTP/2 by prior knowledge. */
async function request2(port: number): Promise<{ status: number; body: string }> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({ ':path': '/' });
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader];
    let body = '';
    for await (const chunk of stream) body += String(chunk);
    return { status: headers[':status']!, body };
  } finally {
    session.close();
  }
}

describe('the version of HTTP towards an application', () => {
  let mesh: TestMesh;
  let upstreams: Readonly<Record<string, number>>;

  before(async () => {
    const [port1, port2] = [await listen(only1), await listen(only2)];
    const at = (port: number) => `address: "127.0.0.1:${port}"`;
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  plain: { port: 81, protocol: http, ${at(port1)} }
  second: { port: 82, protocol: http2, ${at(port2)} }
  remote: { port: 83, protocol: grpc, ${at(port2)} }
  detected1: { port: 84, ${at(port1)} }
  detected2: { port: 85, ${at(port2)} }
  upgraded: { port: 86, protocol: http, ${at(port1)} }
  bytes1: { port: 89, protocol: tcp, ${at(port1)} }
  bytes2: { port: 90, protocol: tcp, ${at(port2)} }
  guessed: { port: 88, ${at(port2)} }
  callers: { port: 87, protocol: http, ${at(port2)} }
  client: { command: sleep 1000 }
`,
      'rules.yaml': `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: upgraded }
spec: { host: upgraded, trafficPolicy: { connectionPool: { http: { h2UpgradePolicy: UPGRADE } } } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: guessed }
spec: { host: guessed, trafficPolicy: { connectionPool: { http: { h2UpgradePolicy: UPGRADE } } } }
---
apiVersion: v1
kind: Service
metadata: { name: read1, namespace: default }
spec: { selector: { app: bytes1 }, ports: [{ name: http, port: 80, targetPort: 89 }] }
---
apiVersion: v1
kind: Service
metadata: { name: read2, namespace: default }
spec: { selector: { app: bytes2 }, ports: [{ name: grpc, port: 80, targetPort: 90 }] }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: callers }
spec: { host: callers, trafficPolicy: { connectionPool: { http: { useClientProtocol: true } } } }
`,
    });
    upstreams = mesh.workload('client-0').upstreams;
  });
  after(async () => {
    await mesh.close();
    only1.close();
    only2.close();
  });

  const answers = async (service: string) => [
    (await request({ port: upstreams[service]! })).body,
    (await request2(upstreams[service]!)).body,
  ];

  it('is that of its declared port, whatever its callers speak', async () => {
    assert.deepEqual(await answers('plain'), ['1.1', '1.1']);
    assert.deepEqual(await answers('second'), ['2.0', '2.0']);
    assert.deepEqual(await answers('remote'), ['2.0', '2.0']);
  });

  it("is its caller's where nothing is declared, and that is known of the port then", async () => {
    assert.equal((await request({ port: upstreams['detected1']! })).body, '1.1');
    assert.deepEqual(await request2(upstreams['detected2']!), { status: 200, body: '2.0' });
    const { listeners } = (await mesh.fetchJson('/api/proxy-config/default/client-0')) as ProxyConfigView;
    const learned = (port: number) => listeners.find((one) => one.port === port && one.address !== null)?.learned;
    assert.deepEqual([learned(84), learned(85), learned(81)], ['http', 'http2', null]);
  });

  it('is 2 where its rule upgrades a port that is not declared, and no other where it is', async () => {
    assert.deepEqual(await answers('guessed'), ['2.0', '2.0']);
    assert.deepEqual(await answers('upgraded'), ['1.1', '1.1']);
  });

  it('is that which its caller knows where its own proxy carries bytes', async () => {
    const { port } = mesh.workload('client-0').outboundHttp;
    for (const [host, version] of [
      ['read1', '1.1'],
      ['read2', '2.0'],
    ] as const) {
      const { status, body } = await request({ port, headers: { host } });
      assert.deepEqual([status, body], [200, version]);
    }
  });

  it("is its caller's where its rule says so", async () => {
    assert.deepEqual(await request2(upstreams['callers']!), { status: 200, body: '2.0' });
  });

  it('is no matter for metrics: requests are counted in all', async () => {
    const samples = await scrape(mesh.run.url);
    for (const service of ['plain', 'second', 'detected2'])
      assert.ok(
        sumOf(samples, 'istio_requests_total', { destination_service_name: service, reporter: 'destination' }) > 0,
        service,
      );
  });
});
