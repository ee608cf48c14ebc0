// Two libraries that nobody here wrote speak WebSocket to each other through a pair of proxies, each as client and as server:
// `ws` of npm and `websockets` of Python.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { WebSocket, type ClientOptions } from 'ws';
import { app, TestMesh } from '../harness/mesh.js';
import { request } from '../harness/http.js';
import { strictMtls } from './mesh-objects.js';
import { cacheEnvironment, runTool, script, requireTools, skipWithout } from './peers.js';

/** Facts that `ws_client.py` says of a server. */
const pythonFacts = [
  'text',
  'binary',
  'fragmented both ways',
  'ping and pong',
  'close codes',
  'our close',
  'server first',
  'deflated',
  'fifty at once',
];

it('WebSocket through the pair: the judge is there', { skip: skipWithout('python3') }, () => requireTools('python3'));

describe('WebSocket through the pair', { skip: skipWithout('python3') }, () => {
  let mesh: TestMesh;
  const open: WebSocket[] = [];

  before(async () => {
    const python = JSON.stringify(`exec python3 ${script('ws_server.py')}`);
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  ws: { port: 8080, protocol: http, command: ${JSON.stringify(app('ws-server.mjs'))} }
  python: { port: 8080, protocol: http, command: ${python}, env: { PYTHONPATH: ${JSON.stringify(cacheEnvironment.PYTHONPATH)} } }
  undeclared: { port: 8081, command: ${JSON.stringify(app('ws-server.mjs'))} }
  client: { command: sleep 1000 }
`,
      'strict.yaml': strictMtls,
    });
  });
  after(async () => {
    for (const socket of open) socket.terminate();
    await mesh?.close();
  });

  const portOf = (service: string) => mesh.workload('client-0').upstreams[service]!;
  const connect = (service: string, path: string, options: ClientOptions = {}): WebSocket => {
    const socket = new WebSocket(`ws://127.0.0.1:${portOf(service)}${path}`, options);
    socket.on('error', () => undefined);
    open.push(socket);
    return socket;
  };

  for (const service of ['ws', 'python', 'undeclared'])
    it(`Python's client finds every fact of the server ${service}`, async (t) => {
      const url = `ws://${service}`;
      const { stdout, stderr } = await runTool('python3', [script('ws_client.py'), url, String(portOf(service))], {
        withinMs: 120_000,
      });
      const lines = stdout.trim().split('\n');
      assert.equal(lines.length, pythonFacts.length, stderr);
      for (const [i, fact] of pythonFacts.entries()) await t.test(fact, () => assert.equal(lines[i], `ok ${fact}`));
    });

  for (const service of ['ws', 'python']) {
    it(`messages of ws come back from ${service}: text, binary, a megabyte`, async () => {
      const socket = connect(service, '/echo');
      await once(socket, 'open');
      for (const message of ['hello', '', 'x'.repeat(70_000), Buffer.alloc(1024 * 1024, 7)]) {
        const answer = once(socket, 'message');
        socket.send(message);
        const [data, isBinary] = await answer;
        assert.equal(isBinary, typeof message !== 'string');
        assert.ok(Buffer.from(message).equals(data as Buffer));
      }
      socket.close();
    });

    it(`fragments of ws reach ${service} as one message`, async () => {
      const socket = connect(service, '/echo');
      await once(socket, 'open');
      const answer = once(socket, 'message');
      socket.send('one ', { fin: false });
      socket.send('two ', { fin: false });
      socket.send('three', { fin: true });
      assert.equal(String((await answer)[0]), 'one two three');
    });

    it(`close codes and reasons come through, from ${service} and from ws`, async () => {
      for (const code of [1000, 1001, 1011, 3000, 4999]) {
        const [received, reason] = await once(connect(service, `/close/${code}`), 'close');
        assert.deepEqual([received, String(reason)], [code, 'as asked']);
      }
      const socket = connect(service, '/echo');
      await once(socket, 'open');
      const closed = once(socket, 'close');
      socket.close(4001, 'ours');
      assert.equal((await closed)[0], 4001);
    });

    it(`permessage-deflate is between ws and ${service}: asked for it is used, otherwise not`, async () => {
      const deflated = connect(service, '/echo', { perMessageDeflate: true });
      await once(deflated, 'open');
      assert.match(deflated.extensions, /permessage-deflate/);
      const answer = once(deflated, 'message');
      deflated.send('z'.repeat(100_000));
      assert.equal(String((await answer)[0]).length, 100_000);
      const plain = connect(service, '/echo', { perMessageDeflate: false });
      await once(plain, 'open');
      assert.equal(plain.extensions, '');
    });

    it(`what ${service} says first arrives, also in the packet of the handshake`, async () => {
      const socket = connect(service, '/greet');
      const words: string[] = [];
      await new Promise<void>((resolve, reject) => {
        socket.on('close', () => reject(new Error(`closed after ${words.join(' ')}`)));
        socket.on('message', (data) => words.push(String(data)) === 2 && resolve());
      });
      assert.deepEqual(words, ['hello', 'world']);
    });
  }

  it('pings of the server are answered by the client', async () => {
    const socket = connect('ws', '/ping');
    assert.equal(String((await once(socket, 'message'))[0]), 'pong are you there');
  });

  it('a connection that breaks off is 1006 at the other end', async () => {
    assert.equal((await once(connect('ws', '/cut'), 'close'))[0], 1006);
  });

  it('the same server answers plain requests beside it', async () => {
    assert.equal((await request({ port: portOf('ws'), path: '/x' })).body, 'plain /x\n');
  });

  it('an upgrade to what is not WebSocket is answered as a plain request', async () => {
    const headers = { connection: 'Upgrade', upgrade: 'something-else' };
    const { status, body } = await request({ port: portOf('ws'), path: '/y', headers });
    assert.deepEqual([status, body], [200, 'plain /y\n']);
  });
});

/** The arguments of the next such event; a socket that ends before has failed. */
function once(socket: WebSocket, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} within 20 s`)), 20_000);
    const settle = (end: () => void) => {
      clearTimeout(timer);
      end();
    };
    socket.once(event, (...args: unknown[]) => settle(() => resolve(args)));
    if (event !== 'close')
      socket.once('close', (code: number) => settle(() => reject(new Error(`closed with ${code} before ${event}`))));
  });
}
