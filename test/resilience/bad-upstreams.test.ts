// Servers that refuse, hear nothing, break off, dribble or fail all the time: the caller gets Envoy's answer in the time that was
// set, every attempt is one that was asked for, and the neighbours are served.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request, SteadyLoad } from '../harness/http.js';
import { app, eventually, root, TestMesh } from '../harness/mesh.js';

const listen = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

describe('a server that', () => {
  let mesh: TestMesh;
  let outbound: number;
  let full: ChildProcess;
  const fillers: Socket[] = [];
  const servers: Server[] = [];
  const counts = { resets: 0, storm: 0 };

  before(async () => {
    const serve = async (server: Server) => {
      servers.push(server);
      return listen(server);
    };
    const refusing = net.createServer();
    const refused = await listen(refusing);
    await new Promise((resolve) => refusing.close(resolve));
    const resetting = await serve(
      net.createServer((socket) => {
        counts.resets++;
        socket.on('error', () => undefined);
        socket.once('data', () => socket.resetAndDestroy());
      }),
    );
    const atOnce = await serve(net.createServer((socket) => socket.resetAndDestroy()));
    const dribbling = await serve(
      net.createServer((socket) => {
        socket.on('error', () => undefined);
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n');
        let sent = 0;
        const timer = setInterval(() => (sent++ < 6 ? socket.write('x') : clearInterval(timer)), 200);
        socket.on('close', () => clearInterval(timer));
      }),
    );
    const storm = await serve(
      http.createServer((_, response) => {
        counts.storm++;
        response.writeHead(503).end('storm');
      }),
    );
    full = spawn(process.execPath, [join(root, 'test/apps/full-backlog.mjs')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const deaf = Number(String(await new Promise((resolve) => full.stdout!.once('data', resolve))));
    await fillBacklog(deaf, fillers);
    const ports = { refused, deaf, resetting, 'at-once': atOnce, dribbling, patient: dribbling, storm };
    mesh = await TestMesh.start({
      'mesh.yaml': `
meshConfig: { accessLogFile: access.log }
services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }
`,
      'entries.yaml': Object.entries(ports)
        .map(([name, port]) => objectsFor(name, port))
        .join(''),
    });
    outbound = mesh.workload('client-0').outboundHttp.port;
  });
  after(async () => {
    for (const socket of fillers) socket.destroy();
    full?.kill('SIGKILL');
    await mesh?.close();
    for (const server of servers) server.close();
  });

  const call = (name: string) => request({ port: outbound, headers: { host: `${name}.example` }, path: `/${name}` });
  const logged = (pattern: RegExp) =>
    eventually(() => pattern.test(readFileSync(join(mesh.directory, 'access.log'), 'utf8')), `a line ${pattern}`);

  it('refuses: 503 UF at once', async () => {
    const { status, body } = await call('refused');
    assert.equal(status, 503);
    assert.match(
      body,
      /^upstream connect error or disconnect\/reset before headers\. reset reason: remote connection failure/,
    );
    await logged(
      /"GET \/refused HTTP\/1\.1" 503 UF upstream_reset_before_response_started\{remote_connection_failure\}/,
    );
  });

  it('hears nothing: 503 UF after the connect timeout, while others are served', async () => {
    const load = new SteadyLoad(50, () => ({ port: outbound, headers: { host: 'web' }, path: '/status/200' }));
    const answers = await Promise.all(Array.from({ length: 10 }, () => call('deaf')));
    for (const { status, body } of answers) {
      assert.equal(status, 503);
      assert.match(body, /reset reason: connection timeout\n/);
    }
    await logged(/"GET \/deaf HTTP\/1\.1" 503 UF upstream_reset_before_response_started\{connection_timeout\}/);
    const { outcomes } = await load.stop();
    assert.deepEqual([...outcomes.keys()], ['200']);
  });

  it('resets after it has taken the request: 503 UC, and the request is not sent again', async () => {
    const before = counts.resets;
    const { status } = await call('resetting');
    assert.equal(status, 503);
    assert.equal(counts.resets, before + 1);
    await logged(/"GET \/resetting HTTP\/1\.1" 503 UC /);
  });

  it('resets as soon as it has accepted: 503', async () => {
    assert.equal((await call('at-once')).status, 503);
    await logged(/"GET \/at-once HTTP\/1\.1" 503 U[CF] /);
  });

  it('dribbles: cut off by the timeout of the route, or whole where there is none', async () => {
    await assert.rejects(call('dribbling'), /aborted|cut off|hang up|ECONNRESET/);
    await logged(/"GET \/dribbling HTTP\/1\.1" 200 UT /);
    const { status, body } = await call('patient');
    assert.deepEqual([status, body], [200, 'xxxxxx']);
  });

  it('answers 503 all the time: every answer is passed on, and nobody multiplies the requests', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => call('storm')));
    assert.deepEqual(new Set(answers.map(({ status, body }) => `${status} ${body}`)), new Set(['503 storm']));
    assert.equal(counts.storm, 100);
    await logged(/"GET \/storm HTTP\/1\.1" 503 - via_upstream /);
  });
});

function objectsFor(name: string, port: number): string {
  return `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}.example]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}.example]
  http: [{ route: [{ destination: { host: ${name}.example } }], retries: { attempts: 0 }${name === 'dribbling' ? ', timeout: 500ms' : ''} }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name} }
spec: { host: ${name}.example, trafficPolicy: { connectionPool: { tcp: { connectTimeout: 400ms } } } }
`;
}

/** Opens connections until one is not taken any more. */
async function fillBacklog(port: number, fillers: Socket[]): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    fillers.push(socket);
    const isTaken = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 300);
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
    if (!isTaken) return;
  }
  throw new Error('the queue of the server that never accepts does not become full');
}
