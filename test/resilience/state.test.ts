// The state of a mesh on disk when its writer dies at any step of any write: the old content or the new, and `up` works.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Authority } from '../../src/ca/authority.js';
import { StateFolder, type StateFile } from '../../src/local/state-folder.js';
import { request } from '../harness/http.js';
import { app, newFolder, root, TestMesh } from '../harness/mesh.js';

/** Writes a file of the state in a process that kills itself at the n-th call into the file system. */
const writer = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { StateFolder } from ${JSON.stringify(join(root, 'dist/src/local/state-folder.js'))};
const [directory, file, content, step, partial] = process.argv.slice(1);
let calls = 0;
const state = new StateFolder(directory);
state.create();
for (const name of ['openSync', 'writeSync', 'fsyncSync', 'closeSync', 'renameSync', 'unlinkSync']) {
  const original = fs[name];
  fs[name] = (...args) => {
    if (++calls === Number(step)) {
      // A write may be torn in the middle.
      if (name === 'writeSync' && partial === 'torn') original(args[0], args[1], 0, Math.floor(args[1].length / 2));
      process.kill(process.pid, 'SIGKILL');
    }
    return original(...args);
  };
}
syncBuiltinESMExports();
state.write(file, content);
process.stdout.write('written in ' + calls + ' calls');
`;

function write(
  directory: string,
  file: StateFile,
  content: string,
  step: number,
  partial = '',
): { killed: boolean; calls: number } {
  const { signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', writer, directory, file, content, String(step), partial],
    { encoding: 'utf8' },
  );
  assert.equal(stderr, '');
  return { killed: signal === 'SIGKILL', calls: Number(/in (\d+) calls/.exec(stdout)?.[1] ?? 0) };
}

/** Makes the folder and takes the lock in a process that kills itself at the n-th call that changes the file system. */
const locker = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { StateFolder } from ${JSON.stringify(join(root, 'dist/src/local/state-folder.js'))};
const [directory, step] = process.argv.slice(1);
let calls = 0;
for (const name of ['mkdirSync', 'chmodSync', 'openSync', 'writeSync', 'writeFileSync', 'fsyncSync', 'closeSync', 'renameSync', 'linkSync', 'unlinkSync']) {
  const original = fs[name];
  fs[name] = (...args) => {
    if (++calls === Number(step)) {
      if (name === 'writeFileSync') original(args[0], '');
      process.kill(process.pid, 'SIGKILL');
    }
    return original(...args);
  };
}
syncBuiltinESMExports();
const state = new StateFolder(directory);
state.create();
state.lock();
process.stdout.write('took the lock in ' + calls + ' calls');
`;

const kinds: readonly StateFile[] = ['authority', 'lastGood', 'run'];

describe('a writer of state that is killed', () => {
  for (const file of kinds)
    it(`leaves ${file} old or new, whatever the step`, () => {
      const directory = newFolder();
      const state = new StateFolder(directory);
      const old = `old ${'o'.repeat(5000)}`;
      const fresh = `new ${'n'.repeat(9000)}`;
      const { calls } = write(directory, file, old, 0);
      assert.ok(calls >= 7, `only ${calls} calls were seen`);
      let killed = 0;
      for (let step = 1; step <= calls; step++)
        for (const partial of ['', 'torn']) {
          state.write(file, old);
          const result = write(directory, file, fresh, step, partial);
          killed += Number(result.killed);
          const content = state.read(file);
          assert.ok(
            content === old || content === fresh,
            `step ${step} left ${content?.slice(0, 20)}... of ${content?.length} characters`,
          );
        }
      assert.equal(killed, calls * 2, 'the control: every one of them was killed');
      // What a crash leaves behind is in nobody's way.
      assert.equal(write(directory, file, fresh, 0).killed, false);
      assert.equal(state.read(file), fresh);
      rmSync(directory, { recursive: true });
    });

  for (const file of kinds)
    it(`leaves no ${file} or a whole one where there was none`, () => {
      for (let step = 1; step <= 8; step++) {
        const directory = newFolder();
        write(directory, file, 'first content', step, 'torn');
        const content = new StateFolder(directory).read(file);
        assert.ok(content === undefined || content === 'first content', `step ${step} left ${content}`);
        rmSync(directory, { recursive: true });
      }
    });
});

describe('a supervisor that is killed while it makes the folder or takes the lock', () => {
  it('leaves a folder that the next one can lock, and no key that git would take', () => {
    const run = (directory: string, step: number) =>
      spawnSync(process.execPath, ['--input-type=module', '-e', locker, directory, String(step)], { encoding: 'utf8' });
    const reference = newFolder();
    const calls = Number(/in (\d+) calls/.exec(run(reference, 0).stdout)?.[1]);
    assert.ok(calls >= 9, `only ${calls} calls were seen`);
    for (let step = 1; step <= calls; step++) {
      const directory = newFolder();
      assert.equal(run(directory, step).signal, 'SIGKILL', `the control: step ${step} killed it`);
      const next = run(directory, 0);
      assert.equal(next.stderr, '', `after step ${step}`);
      assert.match(next.stdout, /^took the lock/, `after step ${step}`);
      assert.equal(readFileSync(join(directory, '.lateen/.gitignore'), 'utf8'), '*\n', `after step ${step}`);
      rmSync(directory, { recursive: true });
    }
    rmSync(reference, { recursive: true });
  });
});

describe('a mesh whose control plane was killed while it made its authority', () => {
  it('starts, with the authority that was made or with another', async () => {
    const made = (await Authority.create('cluster.local', Date.now())).file;
    for (const step of [1, 3, 5, 6, 8]) {
      const directory = newFolder();
      mkdirSync(join(directory, 'x'));
      writeFileSync(
        join(directory, 'mesh.yaml'),
        `services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} }, client: { command: sleep 1000 } }`,
      );
      write(directory, 'authority', made, step, 'torn');
      const mesh = await TestMesh.start({}, { directory });
      assert.equal(
        (await request({ port: mesh.workload('client-0').upstreams['web']!, path: '/status/200' })).status,
        200,
      );
      await mesh.stop();
      assert.match(
        readFileSync(join(directory, '.lateen/authority.pem'), 'utf8'),
        /^-----BEGIN PRIVATE KEY-----[^]+-----BEGIN CERTIFICATE-----/,
      );
      assert.ok(readdirSync(join(directory, '.lateen')).length >= 2);
      await mesh.close();
    }
  });

  it('says what to do where the authority is damaged, and starts nothing', async () => {
    const directory = newFolder();
    const state = new StateFolder(directory);
    state.create();
    state.write('authority', 'rubbish');
    const mesh = TestMesh.spawn({ 'mesh.yaml': 'services: { client: { command: sleep 1000 } }' }, { directory });
    assert.equal(await mesh.exited(), 1);
    assert.match(
      mesh.output,
      /authority\.pem cannot be read: .*; restore the file, or remove it to get a new authority/,
    );
    await mesh.close();
  });
});
