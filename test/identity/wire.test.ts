// What an eavesdropper on the machine's network reads: everything between application and proxy, nothing between proxies.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exchangeRaw, requestEcho } from '../harness/http.js';
import { app, newFolder, TestMesh } from '../harness/mesh.js';

const canCapture = process.getuid?.() === 0 && spawnSync('tcpdump', ['--version']).status === 0;
const marker = 'MARKER-F3A9C1';

/** Records loopback packets of some ports while `action` runs. */
async function capture(ports: readonly number[], action: () => Promise<void>): Promise<Buffer> {
  const file = join(newFolder(), 'capture.pcap');
  const tcpdump = spawn(
    'tcpdump',
    ['-i', 'lo', '-U', '--immediate-mode', '-s', '0', '-w', file, ports.map((port) => `tcp port ${port}`).join(' or ')],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  await new Promise<void>((resolve) =>
    tcpdump.stderr.on('data', (text: Buffer) => text.toString().includes('listening on') && resolve()),
  );
  try {
    await action();
    await new Promise((resolve) => setTimeout(resolve, 300)); // the last packets are on their way to the file
  } finally {
    const ended = new Promise((resolve) => tcpdump.once('exit', resolve));
    tcpdump.kill('SIGINT');
    await ended;
  }
  return readFileSync(file);
}

describe('the wire', { skip: canCapture ? false : 'needs root and tcpdump' }, () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }
  db: { port: 5432, protocol: tcp, command: ${JSON.stringify(app('line-server.mjs'))} }
  client: { command: sleep 1000 }
`,
      'strict.yaml':
        'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: default, namespace: istio-system }\nspec: { mtls: { mode: STRICT } }\n',
    });
  });
  after(() => mesh.close());

  it('a marker in header, path and body is on both legs of the application and nowhere between', async () => {
    const web = mesh.workload('web-0');
    const port = mesh.workload('client-0').upstreams['web']!;
    const act = async () => {
      const echo = await requestEcho({
        port,
        path: `/${marker}-path`,
        headers: { 'x-marker': `${marker}-header` },
        method: 'POST',
        body: `${marker}-body`,
      });
      assert.equal(echo.body, `${marker}-body`);
    };
    const legs = await capture([port, web.app!.port], act);
    for (const part of ['path', 'header', 'body'])
      assert.ok(legs.includes(`${marker}-${part}`), `the control: ${part} can be read beside the application`);
    const between = await capture([web.inbound!.port], act);
    assert.ok(between.length > 1000, 'the control: there were packets between the proxies');
    assert.equal(between.includes(marker), false);
  });

  it('bytes of a TCP service are encrypted too', async () => {
    const db = mesh.workload('db-0');
    const port = mesh.workload('client-0').upstreams['db']!;
    const act = async () =>
      assert.match(await exchangeRaw(port, `${marker}\n`, { halfClose: true }), new RegExp(marker));
    assert.ok((await capture([port, db.app!.port], act)).includes(marker), 'the control');
    const between = await capture([db.inbound!.port], act);
    assert.ok(between.length > 1000);
    assert.equal(between.includes(marker), false);
  });
});
