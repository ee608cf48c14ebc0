// A limit of 64 open files for every process of a mesh: it starts, turns away what is too much and says so, does not spin, and
// serves again when there is room.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { request } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

for (const args of [[], ['--workers', '2']])
  describe(['64 open files', ...args].join(' '), () => {
    let mesh: TestMesh;
    let port: number;
    const sockets: net.Socket[] = [];
    let closed = 0;

    before(async () => {
      mesh = await TestMesh.start(
        {
          'mesh.yaml': `services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }`,
        },
        { shell: 'ulimit -n 64', args },
      );
      port = mesh.workload('client-0').upstreams['web']!;
    });
    after(async () => {
      for (const socket of sockets) socket.destroy();
      await mesh?.close();
    });

    const refused = async () =>
      sumOf(await scrape(mesh.run.url), 'lateen_connections_refused_total', { reason: 'too many connections' });

    it('are the limit of every process, and a mesh runs with it', async () => {
      const { pids } = mesh.run;
      for (const pid of [pids.supervisor, pids.control, pids.data!, ...mesh.workload('web-0').workerPids])
        assert.match(readFileSync(`/proc/${pid}/limits`, 'latin1'), /^Max open files +64 +64 /m);
      assert.equal((await request({ port, path: '/status/200' })).status, 200);
    });

    it('turn away connections beyond, which are counted, and the process does not spin', async () => {
      for (let i = 0; i < 200; i++) {
        const socket = net.connect(port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.on('close', () => closed++);
        sockets.push(socket);
      }
      await eventually(() => closed > 150, 'most of them turned away');
      await eventually(async () => (await refused()) >= closed, 'and counted');
      assert.ok(closed < 200, 'the control: some are held');
      const { data } = mesh.run.pids;
      const before = cpuSeconds(data!);
      const started = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 2000));
      const share = (cpuSeconds(data!) - before) / ((performance.now() - started) / 1000);
      assert.ok(share < 0.5, `it uses ${(share * 100).toFixed(0)} % of a processor while nothing happens`);
    });

    it('serve whoever was let in, and others as soon as there is room', async () => {
      const open = sockets.find((socket) => !socket.destroyed)!;
      const answer = new Promise<string>((resolve) => open.once('data', (data) => resolve(data.toString('latin1'))));
      for (const socket of sockets) if (socket !== open) socket.destroy();
      open.write('GET /status/200 HTTP/1.1\r\nHost: web\r\n\r\n');
      assert.match(await answer, /^HTTP\/1\.1 200 /);
      await eventually(async () => (await request({ port, path: '/status/200' })).status === 200, 'room');
      const before = await refused();
      for (let i = 0; i < 50; i++) assert.equal((await request({ port, path: '/status/200' })).status, 200);
      assert.equal(await refused(), before);
      assert.doesNotMatch(mesh.output, /EMFILE|it ended with/);
    });
  });

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
