// Memory under what holds it (rows 34 and 69 of the catalogue): a thousand callers that do not read, ten thousand that say nothing,
// bodies of 100 MB. All with a heap of 64 MB for every process of the mesh: what grows beyond it ends the process.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { readFileSync } from 'node:fs';
import { after, before, describe, it, type TestContext } from 'node:test';
import { request } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { strictMtls } from './mesh-objects.js';
import { proportionalBytes, residentBytes } from './process-memory.js';

const megabyte = 1024 * 1024;
const large = 100 * megabyte;

describe('memory of the data plane', () => {
  let mesh: TestMesh;
  let port: number;
  let dataPlane: number;

  before(async () => {
    mesh = await TestMesh.start(
      {
        'mesh.yaml': `
services:
  large: { port: 8080, protocol: http, command: ${JSON.stringify(app('large.mjs'))} }
  client: { command: sleep 1000 }
`,
        'strict.yaml': strictMtls,
      },
      { env: { NODE_OPTIONS: '--max-old-space-size=64' } },
    );
    port = mesh.workload('client-0').upstreams['large']!;
    dataPlane = mesh.run.pids.data!;
    // What every process takes once, it has taken.
    for (let i = 0; i < 200; i++) await request({ port, path: '/20000' });
  });
  after(() => mesh?.close());

  /** Runs it and tells how many bytes more are resident at its end. */
  const grownBy = async (t: TestContext, what: () => Promise<void>): Promise<number> => {
    const before = residentBytes(dataPlane);
    await what();
    const grown = residentBytes(dataPlane) - before;
    const share = proportionalBytes(dataPlane);
    t.diagnostic(
      `${t.name}: ${mb(before)} MB resident before, ${mb(grown)} MB more at the end, ${mb(share)} MB proportional`,
    );
    return grown;
  };
  /** Windows and buffers have filled when two seconds add nothing. */
  const stopsGrowing = () =>
    eventually(
      async () => {
        const before = residentBytes(dataPlane);
        await new Promise((resolve) => setTimeout(resolve, 2000));
        return residentBytes(dataPlane) - before < 4 * megabyte;
      },
      'an end of growth while nobody reads',
      60_000,
    );
  const stillServes = async () => {
    assert.equal((await request({ port, path: '/10' })).body, 'a'.repeat(10));
    assert.equal(mesh.run.pids.data, dataPlane);
    assert.doesNotMatch(mesh.output, /data plane ended|it was ended by|it ended with|heap/);
  };

  for (const [name, transfer] of Object.entries({
    'HTTP/1.1': { download: downloadHttp1, upload: uploadHttp1 },
    'HTTP/2': { download: downloadHttp2, upload: uploadHttp2 },
  })) {
    it(`${name}: four downloads of 100 MB at once leave it flat`, async (t) => {
      const grown = await grownBy(t, async () => {
        const sizes = await Promise.all([1, 2, 3, 4].map(() => transfer.download(port, `/${large}`)));
        assert.deepEqual(sizes, [large, large, large, large]);
      });
      assert.ok(grown < 64 * megabyte, `${mb(grown)} MB`);
    });

    it(`${name}: four uploads of 100 MB at once leave it flat`, async (t) => {
      const grown = await grownBy(t, async () => {
        const answers = await Promise.all([1, 2, 3, 4].map(() => transfer.upload(port, large)));
        assert.deepEqual(new Set(answers), new Set([`${large}\n`]));
      });
      assert.ok(grown < 64 * megabyte, `${mb(grown)} MB`);
    });
  }

  it('10,000 idle connections, or as many as files may be open: a few kilobytes each, and each still serves', async (t) => {
    // A proxy takes half as many connections as it may have files: it may need one more for each.
    const count =
      Math.floor(Math.min(100, (openFilesLimit() - 2000) / 100, (openFilesLimit(dataPlane) / 2 - 500) / 100)) * 100;
    const sockets: Socket[] = [];
    const grown = await grownBy(t, async () => {
      for (let i = 0; i < count; i += 100)
        sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => idleConnection(port)))));
      await stillServes();
    });
    t.diagnostic(`${count} idle connections: ${(grown / count / 1024).toFixed(1)} KB each`);
    assert.ok(grown / count < 40 * 1024, `${(grown / count / 1024).toFixed(1)} KB each`);
    for (const socket of sockets.filter((_, i) => i % 97 === 0)) {
      const answer = once(socket, 'data') as Promise<[Buffer]>;
      socket.write('GET /3 HTTP/1.1\r\nHost: large\r\n\r\n');
      assert.match((await answer)[0].toString('latin1'), /^HTTP\/1\.1 200 /);
    }
    for (const socket of sockets) socket.destroy();
    await eventually(async () => {
      await stillServes();
      return true;
    }, 'it still serves');
  });

  it('1,000 callers over HTTP/1.1 that stop reading answers of 20 MB: bounded, and it does not grow', async (t) => {
    const sockets: Socket[] = [];
    const grown = await grownBy(t, async () => {
      for (let i = 0; i < 1000; i += 50)
        sockets.push(...(await Promise.all(Array.from({ length: 50 }, () => stalledReader(port, 20 * megabyte)))));
      await stopsGrowing();
      await stillServes();
    });
    assert.ok(grown < 400 * megabyte, `${mb(grown)} MB`);
    for (const socket of sockets) socket.destroy();
    await stillServes();
  });

  it('1,000 streams over ten HTTP/2 connections whose callers stop reading: bounded, and it does not grow', async (t) => {
    const sessions: http2.ClientHttp2Session[] = [];
    const grown = await grownBy(t, async () => {
      for (let i = 0; i < 10; i++) {
        const session = http2.connect(`http://127.0.0.1:${port}`);
        session.on('error', () => undefined);
        sessions.push(session);
        await Promise.all(Array.from({ length: 100 }, () => stalledStream(session, 20 * megabyte)));
      }
      await stopsGrowing();
      await stillServes();
    });
    assert.ok(grown < 400 * megabyte, `${mb(grown)} MB`);
    for (const session of sessions) session.destroy();
    await stillServes();
  });
});

const mb = (bytes: number) => Math.round(bytes / megabyte);

function openFilesLimit(pid: number | 'self' = 'self'): number {
  const limit = /^Max open files +(\d+|unlimited)/m.exec(readFileSync(`/proc/${pid}/limits`, 'latin1'))?.[1];
  return limit === undefined || limit === 'unlimited' ? Infinity : Number(limit);
}

/** Bodies that are made while they are sent. */
function bytes(size: number): Readable {
  const piece = Buffer.alloc(64 * 1024, 0x62);
  let left = size;
  return new Readable({
    read() {
      const next = Math.min(left, piece.length);
      left -= next;
      this.push(next === 0 ? null : piece.subarray(0, next));
    },
  });
}

function downloadHttp1(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
        let size = 0;
        response.on('data', (chunk: Buffer) => (size += chunk.length));
        response.on('error', reject);
        response.on('end', () => resolve(size));
      })
      .on('error', reject);
  });
}

function uploadHttp1(port: number, size: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request({ host: '127.0.0.1', port, method: 'POST', agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('error', reject);
      response.on('end', () => resolve(body));
    });
    outgoing.on('error', reject);
    bytes(size).pipe(outgoing);
  });
}

async function overHttp2<T>(port: number, use: (session: http2.ClientHttp2Session) => Promise<T>): Promise<T> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  try {
    return await Promise.race([use(session), once(session, 'error').then(([error]) => Promise.reject(error as Error))]);
  } finally {
    session.destroy();
  }
}

function downloadHttp2(port: number, path: string): Promise<number> {
  return overHttp2(port, async (session) => {
    let size = 0;
    for await (const chunk of session.request({ ':path': path })) size += (chunk as Buffer).length;
    return size;
  });
}

function uploadHttp2(port: number, size: number): Promise<string> {
  return overHttp2(port, async (session) => {
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    bytes(size).pipe(stream);
    let body = '';
    for await (const chunk of stream) body += (chunk as Buffer).toString();
    return body;
  });
}

/** Has read the beginning of its answer and reads no more. */
async function stalledReader(port: number, size: number): Promise<Socket> {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`GET /${size} HTTP/1.1\r\nHost: large\r\n\r\n`);
  await once(socket, 'readable');
  return socket;
}

async function stalledStream(session: http2.ClientHttp2Session, size: number): Promise<void> {
  const stream = session.request({ ':path': `/${size}` });
  stream.on('error', () => undefined);
  await once(stream, 'response');
}

async function idleConnection(port: number): Promise<Socket> {
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  return socket;
}
