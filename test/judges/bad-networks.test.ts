// Row 75 of the catalogue: toxiproxy between the two proxies, and between a proxy and its application. Where bytes only come late
// or in pieces the results are those of a direct call; where they are lost nothing looks complete that is not, and afterwards all
// is as before.
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { request, type RequestOptions } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { routeOnce, strictMtls } from './mesh-objects.js';
import { requireTools, skipWithout } from './peers.js';
import { Toxiproxy, type Toxic } from './toxiproxy.js';

const both = ['upstream', 'downstream'] as const;

/** What makes everything slower and nothing else. */
const slow: Readonly<Record<string, Toxic>> = {
  'latency of 60 ms with jitter': { type: 'latency', attributes: { latency: 60, jitter: 20 }, streams: both },
  'slices of one byte': { type: 'slicer', attributes: { average_size: 1, size_variation: 0, delay: 0 }, streams: both },
  'slices of 50 bytes with pauses': {
    type: 'slicer',
    attributes: { average_size: 50, size_variation: 20, delay: 50 },
    streams: both,
  },
  'a bandwidth of 200 KB/s': { type: 'bandwidth', attributes: { rate: 200 }, streams: both },
  'a close that comes 300 ms late': { type: 'slow_close', attributes: { delay: 300 }, streams: both },
};

/** What loses bytes. */
const lossy: Readonly<Record<string, Toxic>> = {
  'a reset at once': { type: 'reset_peer', attributes: { timeout: 0 }, streams: ['downstream'] },
  'a reset after 150 ms': { type: 'reset_peer', attributes: { timeout: 150 }, streams: ['downstream'] },
  'an end after 30,000 bytes': { type: 'limit_data', attributes: { bytes: 30_000 }, streams: ['downstream'] },
  'nothing that arrives': { type: 'timeout', attributes: { timeout: 0 }, streams: ['downstream'] },
};

interface Result {
  readonly status: number;
  readonly body: string;
  readonly trailers: unknown;
}

/** Requests whose results do not depend on how they came. */
const questions: readonly Omit<RequestOptions, 'port'>[] = [
  { path: '/status/204' },
  { path: '/status/404' },
  { path: '/bytes/20000' },
  { path: '/stream/10' },
  { path: '/trailers' },
  { path: '/size', method: 'POST', body: 'x'.repeat(20_000) },
  { path: '/size', method: 'PUT', headers: { 'transfer-encoding': 'chunked' }, body: 'y'.repeat(5000) },
  { path: '/close' },
];

const askAll = async (port: number, host: string): Promise<Result[]> =>
  Promise.all(
    questions.map(async (question) => {
      const { status, body, trailers } = await request({ ...question, port, headers: { ...question.headers, host } });
      return { status, body, trailers };
    }),
  );

it('a bad network: the judge is there', { skip: skipWithout('toxiproxy') }, () => requireTools('toxiproxy'));

describe('a bad network', { skip: skipWithout('toxiproxy') }, () => {
  let toxics: Toxiproxy;
  let mesh: TestMesh;
  let outbound: number;
  let direct: Result[];
  const h2c = http2.createServer((_, response) => response.end('h2 '.repeat(5000)));

  before(async () => {
    toxics = await Toxiproxy.start();
    await new Promise<void>((resolve) => h2c.listen(0, '127.0.0.1', resolve));
    // Where these lead is known when the mesh runs.
    const [between, beside, h2Beside] = await Promise.all([
      toxics.lead('between', 1),
      toxics.lead('beside', 1),
      toxics.lead('h2-beside', (h2c.address() as AddressInfo).port),
    ]);
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }
  beside: { port: 8080, protocol: http, address: "127.0.0.1:${beside}" }
  h2: { port: 8080, protocol: http2, address: "127.0.0.1:${h2Beside}" }
  client: { command: sleep 1000 }
`,
      'network.yaml': `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: between }
spec:
  hosts: [between.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${between} }, serviceAccount: web, labels: { security.istio.io/tlsMode: istio } }]
${['between.example', 'beside', 'h2'].map((host) => routeOnce(host, '20s')).join('')}`,
      'strict.yaml': strictMtls,
    });
    const web = mesh.workload('web-0');
    await toxics.redirect('between', web.inbound!.port);
    await toxics.redirect('beside', web.app!.port);
    outbound = mesh.workload('client-0').outboundHttp.port;
    direct = await askAll(web.app!.port, 'web');
  });
  after(async () => {
    toxics?.close();
    await mesh?.close();
    h2c.close();
  });

  it('is asked what has different answers', () => {
    assert.deepEqual(
      direct.map(({ status, body }) => [status, body.length]),
      [
        [204, 0],
        [404, 11],
        [200, 20_000],
        [200, 70],
        [200, 5],
        [200, 6],
        [200, 5],
        [200, 4],
      ],
    );
  });

  const places = {
    'between the proxies': ['between', 'between.example'],
    'beside the application': ['beside', 'beside'],
  };
  for (const [place, [name, host]] of Object.entries(places) as [string, [string, string]][]) {
    for (const [what, toxic] of Object.entries(slow))
      it(`${place}, ${what}: every result is that of a direct call`, async () => {
        await toxics.poison(name, toxic);
        try {
          assert.deepEqual(await askAll(outbound, host), direct);
        } finally {
          await toxics.cure(name);
        }
      });

    for (const [what, toxic] of Object.entries(lossy))
      it(`${place}, ${what}: an error or an answer that is visibly cut off, and then all is as before`, async () => {
        await toxics.poison(name, toxic);
        try {
          const outcome = await request({ port: outbound, path: '/bytes/2000000', headers: { host } }).then(
            ({ status, body }) => (status === 200 ? `200 with ${body.length} bytes` : status),
            () => 'cut off',
          );
          assert.ok(outcome === 'cut off' || outcome === 503 || outcome === 504, String(outcome));
        } finally {
          await toxics.cure(name);
        }
        await eventually(
          async () => (await request({ port: outbound, path: '/status/200', headers: { host } })).status === 200,
          'answers again',
        );
        assert.deepEqual(await askAll(outbound, host), direct);
      });
  }

  for (const [what, toxic] of Object.entries(slow))
    it(`HTTP/2 to the application, ${what}: every result is that of a direct call`, async () => {
      await toxics.poison('h2-beside', toxic);
      try {
        const answers = await Promise.all(
          Array.from({ length: 10 }, () => request({ port: outbound, headers: { host: 'h2' } })),
        );
        assert.deepEqual(
          new Set(answers.map(({ status, body }) => `${status} ${body.length}`)),
          new Set(['200 15000']),
        );
      } finally {
        await toxics.cure('h2-beside');
      }
    });

  it('HTTP/2 from the caller, between proxies with latency and slices: forty streams at once, all whole', async () => {
    await toxics.poison('between', slow['slices of 50 bytes with pauses']!);
    const session = http2.connect(`http://127.0.0.1:${outbound}`);
    try {
      const sizes = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          sizeOf(session, { ':authority': 'between.example', ':path': `/bytes/${2000 + i}` }),
        ),
      );
      assert.deepEqual(
        sizes,
        Array.from({ length: 40 }, (_, i) => 2000 + i),
      );
    } finally {
      session.destroy();
      await toxics.cure('between');
    }
  });
});

function sizeOf(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders): Promise<number> {
  return new Promise((resolve, reject) => {
    let size = 0;
    const stream = session.request(headers);
    session.once('error', reject);
    stream.on('error', reject);
    stream.on('data', (chunk: Buffer) => (size += chunk.length));
    stream.on('end', () => resolve(size));
  });
}
