// What people's own programs do to a mesh: they fail, hang, fork, and run twice; the rest goes on.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request, requestEcho } from '../harness/http.js';
import { TestMesh, app, eventually, isAlive, newFolder } from '../harness/mesh.js';

const echo = JSON.stringify(app('echo.mjs'));

describe('commands that misbehave', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `
services:
  good: { port: 8000, protocol: http, command: ${echo}, env: { NAME: good } }
  deaf: { port: 8001, command: sleep 1000 }
  exits: { port: 8002, command: "echo about to fail; exit 3" }
  missing: { port: 8003, command: [/no/such/program] }
  forks: { port: 8004, protocol: http, command: "NAME=forked setsid ${app('echo.mjs').replace('exec ', '')} & sleep 0.3", env: { NAME: forked } }
  gone: { port: 8005, protocol: http, address: "127.0.0.1:9" }
  client: { command: sleep 1000 }
`,
    });
  });
  after(() => mesh.close());

  const problemOf = (name: string) =>
    eventually(
      async () =>
        (await mesh.diagnostics()).find(({ code, message }) => code === 'LAT0009' && message.startsWith(`${name}: `))
          ?.message,
      `a diagnostic for ${name}`,
    );

  it('one that never listens is named, with the port', async () => {
    assert.match(
      await problemOf('deaf-0'),
      new RegExp(
        `nothing listens on 127\\.0\\.0\\.1:${mesh.workload('deaf-0').app!.port} after 10 s; it must listen on 127\\.0\\.0\\.1 and the port in \\$PORT`,
      ),
    );
    assert.match(mesh.output, /^! deaf-0: /m);
  });

  it('one that exits is named, with its code and last line, and started again', async () => {
    assert.match(
      await problemOf('exits-0'),
      /ended with code 3 after .* s and is started again in .* s; its last line was: about to fail/,
    );
    await eventually(() => (mesh.output.match(/^\[exits-0\] about to fail$/gm) ?? []).length >= 3, 'three starts');
    assert.equal((mesh.output.match(/^! exits-0: /gm) ?? []).length, 1, 'said once, not at every start');
  });

  it('one that cannot be started is named', async () =>
    assert.match(await problemOf('missing-0'), /cannot be started: spawn \/no\/such\/program ENOENT/));

  it('an address where nothing listens is named', async () =>
    assert.match(await problemOf('gone-0'), /nothing listens on 127\.0\.0\.1:9; start what `address` names/));

  it('one that forks is named, works, and is ended with the mesh', async () => {
    const message = await problemOf('forks-0');
    assert.match(message, /went into the background \(process \d+\)/);
    const pid = Number(/process (\d+)/.exec(message)![1]);
    assert.equal((await requestEcho({ port: mesh.workload('client-0').upstreams['forks']! })).name, 'forked');
    assert.ok(isAlive(pid));
  });

  it('the others work', async () => {
    assert.equal((await requestEcho({ port: mesh.workload('client-0').upstreams['good']! })).name, 'good');
  });

  it('a service without a ready instance answers 503', async () => {
    const answer = await request({
      port: mesh.workload('client-0').upstreams['exits']!,
      headers: { connection: 'close' },
    });
    assert.equal(answer.status, 503);
    assert.match(answer.body, /no instance of exits\.default\.svc\.cluster\.local is ready/);
  });

  it('ready comes anyway, once, and names what is missing', () => {
    assert.equal((mesh.output.match(/^ready http/gm) ?? []).length, 1);
    assert.match(mesh.output, /^not ready, and not waited for: deaf-0, exits-0, missing-0, gone-0/m);
  });

  it('a second up on the folder is refused with the process that holds it', async () => {
    const second = TestMesh.spawn({}, { directory: mesh.directory });
    assert.equal(await second.exited(), 1);
    assert.match(
      second.output,
      new RegExp(`^lateen: a mesh of this folder is running already \\(process ${mesh.run.pids.supervisor}\\)`, 'm'),
    );
    assert.equal((await requestEcho({ port: mesh.workload('client-0').upstreams['good']! })).name, 'good');
  });

  it('stopped it leaves no process, no socket and no run.json', async () => {
    const { run } = mesh;
    const pids = [...Object.values(run.pids), ...run.workloads.flatMap(({ pid }) => pid ?? [])].filter(
      (pid): pid is number => pid !== null,
    );
    const forked = Number(/process (\d+)/.exec(await problemOf('forks-0'))![1]);
    await mesh.stop();
    assert.equal(await mesh.exited(), 0);
    for (const pid of [...pids, forked]) assert.ok(!isAlive(pid), `process ${pid} is left`);
    assert.throws(() => mesh.run, /ENOENT/);
  });
});

describe('folders and neighbours', () => {
  it('two meshes run on one machine with the same file', async () => {
    const file = `
services:
  web: { port: 8080, protocol: http, command: ${echo}, env: { NAME: FIRST } }
  client: { command: sleep 1000 }
`;
    const first = await TestMesh.start({ 'mesh.yaml': file });
    const second = await TestMesh.start({ 'mesh.yaml': file.replace('FIRST', 'SECOND') });
    try {
      assert.notEqual(first.run.url, second.run.url);
      assert.equal((await requestEcho({ port: first.workload('client-0').upstreams['web']! })).name, 'FIRST');
      assert.equal((await requestEcho({ port: second.workload('client-0').upstreams['web']! })).name, 'SECOND');
      const foreign = await request({ port: first.workload('web-0').inbound!.port }).then(
        ({ status }) => `status ${status}`,
        (error: Error) => error.message,
      );
      assert.doesNotMatch(foreign, /status 503/);
    } finally {
      await Promise.all([first.close(), second.close()]);
    }
  });

  it('a mesh runs in a folder whose path is far longer than a socket may have', async () => {
    const base = newFolder();
    const directory = join(base, ...Array.from({ length: 12 }, (_, i) => `a-rather-long-folder-name-${i}`));
    mkdirSync(directory, { recursive: true });
    const mesh = await TestMesh.start(
      {
        'mesh.yaml': `services: { web: { port: 8080, protocol: http, command: ${echo} }, client: { command: sleep 1000 } }`,
      },
      { directory },
    );
    try {
      assert.equal((await request({ port: mesh.workload('client-0').upstreams['web']! })).status, 200);
    } finally {
      await mesh.close();
      rmSync(base, { recursive: true, force: true });
    }
  });

  it('a mesh.yaml that is wrong is refused with file, line and field before anything starts', async () => {
    const mesh = TestMesh.spawn({ 'mesh.yaml': 'services:\n  web:\n    port: 80800\n    comand: x\n' });
    assert.equal(await mesh.exited(), 1);
    assert.match(mesh.output, /mesh\.yaml is refused:/);
    assert.match(mesh.output, /error LAT0006 mesh\.yaml:3 services\.web\.port: must be a port from 1 to 65535/);
    assert.match(
      mesh.output,
      /error LAT0006 mesh\.yaml:4 services\.web\.comand: is not a known field; did you mean command\?/,
    );
    await mesh.close();
  });

  it('what a later version brings is refused as not yet', async () => {
    for (const [text, field] of [
      ['proxy: envoy', 'proxy'],
      ['gateway: true', 'gateway'],
      ['candidate: v2', 'candidate'],
    ] as const) {
      const mesh = TestMesh.spawn({ 'mesh.yaml': `services:\n  web:\n    port: 80\n    command: x\n    ${text}\n` });
      assert.equal(await mesh.exited(), 1);
      assert.match(mesh.output, new RegExp(`mesh\\.yaml:5 services\\.web\\.${field}: .*not supported yet`));
      await mesh.close();
    }
    const mesh = TestMesh.spawn({ 'mesh.yaml': 'services: { web: { port: 80, command: x } }' }, { args: ['--netns'] });
    assert.equal(await mesh.exited(), 2);
    assert.match(mesh.output, /--netns is not supported yet/);
    await mesh.close();
  });

  it('a folder without mesh.yaml is wrong use', async () => {
    const mesh = TestMesh.spawn({});
    assert.equal(await mesh.exited(), 2);
    assert.match(mesh.output, /there is no mesh\.yaml in /);
    await mesh.close();
  });
});
