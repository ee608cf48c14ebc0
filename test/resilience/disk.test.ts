// A disk that is full or cannot be written: traffic goes on, what is lost is counted and said, and all is well when it has room.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { request, requestEcho } from '../harness/http.js';
import { app, eventually, newFolder, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf } from '../harness/metrics.js';

const echo = JSON.stringify(app('echo.mjs'));
const routes = (subset: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec: { hosts: [web], http: [{ route: [{ destination: { host: web, subset: ${subset} } }], retries: { attempts: 0 } }] }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web }
spec: { host: web, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
`;
const files = {
  'mesh.yaml': `
meshConfig: { accessLogFile: access.log, accessLogEncoding: JSON }
services:
  web: { port: 8080, protocol: http, versions: { v1: { command: ${echo}, env: { NAME: v1 } }, v2: { command: ${echo}, env: { NAME: v2 } } } }
  client: { command: sleep 1000 }
`,
  'routes.yaml': routes('v1'),
};

const dropped = async (mesh: TestMesh) => sumOf(await scrape(mesh.run.url), 'lateen_access_log_lines_dropped_total');

async function assertAnswered(port: number, name: string): Promise<void> {
  for (let i = 0; i < 20; i++) assert.equal((await requestEcho({ port })).name, name);
}

/** Whether a small file system in memory can be mounted here. */
function canMount(): boolean {
  const folder = newFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('a disk of its own', { skip: canMount() ? false : 'mounting needs root' }, () => {
  const directory = newFolder();
  let mesh: TestMesh;
  let port: number;

  before(async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
    mesh = await TestMesh.start(files, { directory });
    port = mesh.workload('client-0').upstreams['web']!;
  });
  after(async () => {
    await mesh?.stop();
    execFileSync('umount', ['-l', directory]);
    rmSync(directory, { recursive: true, force: true });
  });

  /** Changes the route without needing more room. */
  function routeTo(subset: string): void {
    const file = openSync(join(directory, 'routes.yaml'), 'r+');
    writeSync(file, routes(subset));
    closeSync(file);
  }

  it('that is full: every request is answered, lost log lines are counted, and both are said', async () => {
    await assertAnswered(port, 'v1');
    fill(join(directory, 'filler'));
    await eventually(async () => {
      await assertAnswered(port, 'v1');
      return (await dropped(mesh)) > 20;
    }, 'lines of the log that are dropped and counted');
    assert.match(mesh.output, /error proxy {2}cannot write the access log; .*reason=.*ENOSPC/);
    routeTo('v2');
    await eventually(async () => (await requestEcho({ port })).name === 'v2', 'a change of routes in force');
    await assertAnswered(port, 'v2');
    await eventually(
      () => /cannot save the last good configuration; it is kept in memory only .*ENOSPC/.test(mesh.output),
      'what cannot be saved is said',
    );
  });

  it('that is full: a data plane that is killed comes back with a certificate and serves', async () => {
    const { proxyPid } = mesh.workload('client-0');
    process.kill(proxyPid!, 'SIGKILL');
    await mesh.waitForOutput(/cannot write run\.json: .*ENOSPC/);
    await eventually(async () => (await request({ port, path: '/status/200' })).status === 200, 'traffic');
    await assertAnswered(port, 'v2');
  });

  it('that has room again: lines are written, whole ones only', async () => {
    rmSync(join(directory, 'filler'));
    appendFileSync(join(directory, 'access.log'), ''); // it is there
    await eventually(async () => {
      await request({ port, path: '/after' });
      return readFileSync(join(directory, 'access.log'), 'utf8').includes('"/after"');
    }, 'a line in the log');
    const lines = readFileSync(join(directory, 'access.log'), 'utf8').split('\n').slice(0, -1);
    const broken = lines.filter((line) => !isJson(line));
    assert.ok(broken.length <= 2, `lines that the full disk cut off stand alone: ${broken.join('\n')}`);
    for (const line of lines.slice(-2)) assert.ok(isJson(line), line);
    const before = await dropped(mesh);
    await assertAnswered(port, 'v2');
    assert.equal(await dropped(mesh), before);
  });
});

describe('a folder that can only be read', { skip: canMount() ? false : 'mounting needs root' }, () => {
  it('is refused by `up` in one sentence', async () => {
    const directory = newFolder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
    try {
      writeFileSync(join(directory, 'mesh.yaml'), files['mesh.yaml']);
      execFileSync('mount', ['-o', 'remount,ro', directory]);
      const mesh = TestMesh.spawn({}, { directory });
      assert.equal(await mesh.exited(), 1);
      assert.match(mesh.output, /^lateen: .*read-only file system.*\n$/i);
    } finally {
      execFileSync('umount', ['-l', directory]);
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('a limit of file sizes', () => {
  let mesh: TestMesh | undefined;
  afterEach(async () => mesh?.close());

  it('that the access log reaches: every request is answered, lost lines are counted and said', async () => {
    mesh = await TestMesh.start(files, { shell: 'ulimit -f 64' }); // blocks of 512 bytes or of 1024
    const port = mesh.workload('client-0').upstreams['web']!;
    writeFileSync(join(mesh.directory, 'access.log'), ' '.repeat(64 * 1024));
    await eventually(async () => {
      await assertAnswered(port, 'v1');
      return (await dropped(mesh!)) > 0;
    }, 'lines of the log that are dropped and counted');
    assert.match(mesh.output, /cannot write the access log; .*reason=.*EFBIG/);
    await assertAnswered(port, 'v1');
  });
});

function fill(path: string): void {
  for (const size of [64 * 1024, 4096, 512, 1])
    for (;;)
      try {
        appendFileSync(path, Buffer.alloc(size));
      } catch {
        break;
      }
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
