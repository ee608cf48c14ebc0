// Applications that are not ours and know nothing of the mesh: what they speak arrives as they mean it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exchangeRaw, request } from '../harness/http.js';
import { newFolder, TestMesh } from '../harness/mesh.js';

function has(program: string): boolean {
  try {
    execFileSync('/bin/sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const routes = (host: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${host} }
spec:
  hosts: [${host}]
  http:
    - match: [{ uri: { prefix: /renamed/ } }]
      rewrite: { uri: / }
      route: [{ destination: { host: ${host} } }]
    - match: [{ headers: { x-move: { exact: "1" } } }]
      redirect: { uri: /elsewhere }
    - match: [{ uri: { exact: /marked.txt } }]
      rewrite: { uri: /file.txt }
      headers: { response: { set: { x-marked: "yes" } } }
      route: [{ destination: { host: ${host} } }]
    - route: [{ destination: { host: ${host} } }]
`;

const content = 'x'.repeat(300_000);

/** The same facts about a server of static files, whoever wrote it. */
function servesFiles(portOf: () => number): void {
  it('a file arrives whole', async () => {
    const answer = await request({ port: portOf(), path: '/file.txt' });
    assert.equal(answer.status, 200);
    assert.equal(answer.body, content);
  });

  it('HEAD has the length and no body', async () => {
    const answer = await request({ port: portOf(), path: '/file.txt', method: 'HEAD' });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-length'], String(content.length));
    assert.equal(answer.body, '');
  });

  it('404 is passed on', async () => assert.equal((await request({ port: portOf(), path: '/none' })).status, 404));

  it('a prefix is rewritten, a header redirects, a response is marked', async () => {
    assert.equal((await request({ port: portOf(), path: '/renamed/file.txt' })).body, content);
    const moved = await request({ port: portOf(), path: '/file.txt', headers: { 'x-move': '1' } });
    assert.equal(moved.status, 301);
    assert.match(moved.headers.location ?? '', /\/elsewhere$/);
    assert.equal((await request({ port: portOf(), path: '/marked.txt' })).headers['x-marked'], 'yes');
  });

  it('a caller that speaks HTTP/1.0 gets an answer that ends with the connection', async () => {
    const answer = await exchangeRaw(portOf(), 'GET /file.txt HTTP/1.0\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /connection: close\r\n/);
    assert.doesNotMatch(answer, /transfer-encoding/);
    assert.ok(answer.endsWith(`\r\n\r\n${content}`));
  });

  it('two hundred requests over kept connections are all answered', async () => {
    const { Agent } = await import('node:http');
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => request({ port: portOf(), path: '/small.txt', agent })),
    );
    agent.destroy();
    assert.deepEqual(new Set(answers.map(({ status, body }) => `${status} ${body}`)), new Set(['200 small\n']));
  });
}

function siteFolder(): string {
  const directory = newFolder();
  chmodSync(directory, 0o755); // servers that give up their privileges must still read it
  mkdirSync(join(directory, 'site'));
  writeFileSync(join(directory, 'site/file.txt'), content);
  writeFileSync(join(directory, 'site/small.txt'), 'small\n');
  return directory;
}

describe(
  'python3 -m http.server, which speaks HTTP/1.0',
  { skip: has('python3') ? false : 'python3 is not installed' },
  () => {
    let mesh: TestMesh;

    before(async () => {
      mesh = await TestMesh.start(
        {
          'mesh.yaml':
            'services: { files: { port: 80, protocol: http, command: "exec python3 -u -m http.server --bind 127.0.0.1 --directory site $PORT" }, client: { command: sleep 1000 } }',
          'routes.yaml': routes('files'),
        },
        { directory: siteFolder() },
      );
    });
    after(() => mesh.close());

    servesFiles(() => mesh.workload('client-0').upstreams['files']!);
  },
);

describe('nginx', { skip: has('nginx') ? false : 'nginx is not installed' }, () => {
  let mesh: TestMesh;

  before(async () => {
    const directory = siteFolder();
    const command = `printf 'daemon off; pid nginx.pid; error_log stderr; events {} http { access_log off; client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp; server { listen 127.0.0.1:%s; root site; } }' "$PORT" > nginx.conf; exec nginx -p . -c nginx.conf`;
    mesh = await TestMesh.start(
      {
        'mesh.yaml': `services: { files: { port: 80, protocol: http, command: ${JSON.stringify(command)} }, client: { command: sleep 1000 } }`,
        'routes.yaml': routes('files'),
      },
      { directory },
    );
  });
  after(() => mesh.close());

  servesFiles(() => mesh.workload('client-0').upstreams['files']!);
});
