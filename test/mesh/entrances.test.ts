// The ways in which an application reaches the mesh without redirection.
import assert from 'node:assert/strict';
import http from 'node:http';
import type net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { exchangeRaw, request, requestEcho, type Echo } from '../harness/http.js';
import { app, TestMesh } from '../harness/mesh.js';

const echo = JSON.stringify(app('echo.mjs'));

describe('entrances', () => {
  let mesh: TestMesh;
  let outbound: number;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  web:
    namespace: shop
    port: 8080
    protocol: http
    command: ${JSON.stringify(app('env.mjs'))}
    env: { OWN: "1", COUNT: 3 }
    outboundPort: 0
  my-db: { namespace: shop, port: 5432, protocol: tcp, command: ${JSON.stringify(app('line-server.mjs'))} }
  far: { namespace: away, port: 7000, protocol: http, command: ${echo}, env: { NAME: far } }
  two: { namespace: shop, ports: [{ name: api, port: 8000, protocol: http }, { name: raw, port: 8001, protocol: tcp }, { port: 8002 }], command: ${JSON.stringify(app('two-ports.mjs'))} }
`,
    });
    outbound = mesh.workload('web-0').outboundHttp.port;
  });
  after(() => mesh.close());

  it('an application finds its port, every service and the proxy in its environment', async () => {
    const web = mesh.workload('web-0');
    const env = JSON.parse((await request({ port: web.app!.port, path: '/env' })).body) as Record<string, string>;
    assert.equal(env['PORT'], String(web.app!.port));
    assert.equal(env['WEB_URL'], `http://127.0.0.1:${web.upstreams['web']}`);
    assert.equal(env['MY_DB_ADDR'], `127.0.0.1:${web.upstreams['my-db']}`);
    assert.equal(env['MY_DB_URL'], undefined);
    assert.equal(env['FAR_AWAY_URL'], `http://127.0.0.1:${web.upstreams['far.away']}`);
    assert.equal(env['FAR_URL'], undefined);
    assert.equal(env['TWO_URL'], `http://127.0.0.1:${web.upstreams['two']}`);
    assert.equal(env['TWO_RAW_ADDR'], `127.0.0.1:${web.upstreams['two:8001']}`);
    assert.equal(env['HTTP_PROXY'], `http://127.0.0.1:${outbound}`);
    assert.equal(env['http_proxy'], env['HTTP_PROXY']);
    assert.equal(env['NO_PROXY'], 'localhost,127.0.0.1,::1');
    assert.equal(env['NODE_USE_ENV_PROXY'], '1');
    assert.equal(env['OWN'], '1');
    assert.equal(env['COUNT'], '3');
  });

  it('no token or key is in the environment or the arguments of any process of the mesh', async () => {
    const { readFileSync } = await import('node:fs');
    const { pids } = mesh.run;
    for (const pid of [pids.supervisor, pids.control, pids.data!]) {
      const text = readFileSync(`/proc/${pid}/environ`, 'latin1') + readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      assert.doesNotMatch(text, /Bearer|PRIVATE KEY|token/i);
    }
  });

  it('a port of a service takes any Host, and the service sees its own name', async () => {
    const port = mesh.workload('web-0').upstreams['far.away']!;
    assert.equal((await requestEcho({ port, headers: { host: 'whatever.example' } })).headers['host'], 'far.away');
    assert.equal(
      (await requestEcho({ port: mesh.workload('far-0').upstreams['far']!, headers: { host: 'x' } })).headers['host'],
      'far',
    );
  });

  it('the port for every host takes the origin form and keeps the Host', async () => {
    assert.equal(
      (await requestEcho({ port: outbound, headers: { host: 'far.away:7000' } })).headers['host'],
      'far.away:7000',
    );
  });

  it('the absolute form names the host, whatever the Host header says', async () => {
    const answer = await exchangeRaw(
      outbound,
      'GET http://far.away:7000/abs?x=1 HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n',
    );
    const seen = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as Echo;
    assert.equal(seen.headers['host'], 'far.away:7000');
    assert.equal(seen.url, '/abs?x=1');
  });

  it('CONNECT to a service goes on as if its address had been called', async () => {
    const socket = await connectThrough(outbound, 'far.away:7000');
    const agent = new http.Agent({ keepAlive: true });
    (agent as unknown as { createConnection: () => net.Socket }).createConnection = () => socket;
    const seen = await requestEcho({ port: outbound, headers: { host: 'far.away' }, path: '/through', agent });
    assert.equal(seen.name, 'far');
    assert.equal(seen.url, '/through');
    agent.destroy();
    socket.destroy();
  });

  it('CONNECT carries bytes to a TCP service', async () => {
    const socket = await connectThrough(outbound, 'my-db:5432');
    const answer = new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    assert.equal(await answer, 'hello\n');
    socket.destroy();
  });

  it('CONNECT to a host outside the mesh answers 404, and on a port for one service 403', async () => {
    assert.match(
      await exchangeRaw(
        outbound,
        'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nConnection: close\r\n\r\n',
      ),
      /^HTTP\/1\.1 404 /,
    );
    const port = mesh.workload('web-0').upstreams['far.away']!;
    assert.match(
      await exchangeRaw(port, 'CONNECT far.away:7000 HTTP/1.1\r\nHost: far.away:7000\r\nConnection: close\r\n\r\n'),
      /^HTTP\/1\.1 403 /,
    );
  });

  it('a service with several ports is reached on each', async () => {
    const { upstreams } = mesh.workload('web-0');
    assert.equal((await request({ port: upstreams['two']! })).body, 'first');
    assert.equal((await request({ port: upstreams['two:8002']! })).body, 'third');
    assert.equal((await request({ port: outbound, headers: { host: 'two' } })).body, 'first');
    assert.equal((await request({ port: outbound, headers: { host: 'two:8002' } })).body, 'third');
    assert.equal(await exchangeRaw(upstreams['two:8001']!, '', { halfClose: true }), 'raw');
  });
});

/** A socket through the proxy, after its 200. */
function connectThrough(proxyPort: number, target: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request({ host: '127.0.0.1', port: proxyPort, method: 'CONNECT', path: target });
    outgoing.on('connect', (response, socket, head) => {
      socket.unshift(head); // a server that speaks first may be as fast as the 200
      if (response.statusCode === 200) resolve(socket as net.Socket);
      else reject(new Error(`status ${response.statusCode}`));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
