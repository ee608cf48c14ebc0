// Row 68 of the catalogue over HTTP/2: 64 open files for every process, more connections and more requests at once than that; what
// is too much is turned away and counted, and everything is served again when there is room.
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { after, before, describe, it } from 'node:test';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

describe('64 open files and HTTP/2', () => {
  let mesh: TestMesh;
  let port: number;
  const sessions: http2.ClientHttp2Session[] = [];

  before(async () => {
    mesh = await TestMesh.start(
      {
        'mesh.yaml': `services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }`,
      },
      { shell: 'ulimit -n 64' },
    );
    port = mesh.workload('client-0').upstreams['web']!;
  });
  after(async () => {
    for (const session of sessions) session.destroy();
    await mesh?.close();
  });

  const open = (): http2.ClientHttp2Session => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => undefined);
    sessions.push(session);
    return session;
  };

  it('100 requests at once over one connection: each is answered or refused, and then all are answered', async () => {
    const session = open();
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => statusOver(session, '/delay/200')));
    assert.deepEqual(
      outcomes.filter((outcome) => outcome !== 200 && outcome !== 503),
      [],
    );
    assert.ok(outcomes.filter((outcome) => outcome === 200).length >= 10, 'some are answered');
    await eventually(async () => {
      const later = await Promise.all(Array.from({ length: 5 }, () => statusOver(session, '/status/200')));
      return later.every((outcome) => outcome === 200);
    }, 'five at once are answered');
  });

  it('200 connections: most are turned away, which is counted, and those that were let in are served', async () => {
    const before = sessions.length;
    for (let i = 0; i < 200; i++) open();
    const those = sessions.slice(before);
    await eventually(() => those.filter((session) => session.destroyed).length > 100, 'most of them turned away');
    const refused = async () =>
      sumOf(await scrape(mesh.run.url), 'lateen_connections_refused_total', { reason: 'too many connections' });
    await eventually(async () => (await refused()) > 100, 'and counted');
    for (const session of those.slice(0, -1)) session.destroy();
    sessions[0]!.destroy();
    await eventually(async () => (await statusOver(open(), '/status/200')) === 200, 'room for a new one');
    assert.doesNotMatch(mesh.output, /EMFILE|it ended with/);
  });
});

function statusOver(session: http2.ClientHttp2Session, path: string): Promise<number | string> {
  return new Promise((resolve) => {
    if (session.destroyed) {
      resolve('no connection');
      return;
    }
    const stream = session.request({ ':path': path });
    stream.on('response', (headers) => resolve(headers[':status'] ?? 0));
    stream.on('error', (error) => resolve(error.message));
    stream.on('close', () => resolve('closed'));
    stream.resume();
  });
}
