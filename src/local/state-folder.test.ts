// DIR/.lateen: nobody else can read it, files are whole, and one mesh at a time holds it.
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { UserError } from '../util/errors.js';
import { findStartTime } from './process-table.js';
import { StateFolder } from './state-folder.js';

const base = mkdtempSync(join(tmpdir(), 'lateen-state-'));
after(() => rmSync(base, { recursive: true, force: true }));

let count = 0;
function createFolder() {
  const directory = join(base, String(++count));
  mkdirSync(directory);
  const state = new StateFolder(directory);
  state.create();
  return state;
}
const modeOf = (path: string) => statSync(path).mode & 0o777;
const userError = (pattern: RegExp) => (error: unknown) => error instanceof UserError && pattern.test(error.message);

describe('the folder', () => {
  it("is the user's alone and ignored by git", () => {
    const { path } = createFolder();
    assert.equal(modeOf(path), 0o700);
    assert.equal(readFileSync(join(path, '.gitignore'), 'utf8'), '*\n');
  });

  it('may be there already, and is closed to others', () => {
    const state = createFolder();
    writeFileSync(join(state.path, '.gitignore'), 'mine');
    chmodSync(state.path, 0o755);
    state.create();
    assert.equal(modeOf(state.path), 0o700);
    assert.equal(readFileSync(join(state.path, '.gitignore'), 'utf8'), 'mine');
  });

  it('is refused where it is a file or a link', () => {
    for (const make of [(path: string) => writeFileSync(path, ''), (path: string) => symlinkSync(base, path)]) {
      const directory = join(base, String(++count));
      mkdirSync(directory);
      const state = new StateFolder(directory);
      make(state.path);
      assert.throws(() => state.create(), userError(/is not a folder; remove it/));
    }
  });

  it('cannot be made in a folder that is not there', () => {
    assert.throws(
      () => new StateFolder(join(base, 'nowhere')).create(),
      userError(/^cannot make .*; lateen keeps its state there$/),
    );
  });
});

describe('a file of it', () => {
  it('is read as it was written, by the user alone', () => {
    const state = createFolder();
    assert.equal(state.read('authority'), undefined);
    state.write('authority', 'secret');
    state.write('authority', 'secret 2');
    assert.equal(state.read('authority'), 'secret 2');
    assert.equal(modeOf(join(state.path, 'authority.pem')), 0o600);
    assert.deepEqual(readdirSync(state.path).sort(), ['.gitignore', 'authority.pem']);
  });

  it('may be removed, twice', () => {
    const state = createFolder();
    state.write('run', '{}');
    state.remove('run');
    state.remove('run');
    assert.equal(state.read('run'), undefined);
  });

  it('with the key is refused where others can read it', () => {
    const state = createFolder();
    state.write('authority', 'secret');
    chmodSync(join(state.path, 'authority.pem'), 0o640);
    assert.throws(() => state.read('authority'), userError(/can be read by others; .*chmod 600/));
  });

  it('is refused where it is a link or a folder', () => {
    const state = createFolder();
    symlinkSync('elsewhere', join(state.path, 'authority.pem'));
    mkdirSync(join(state.path, 'run.json'));
    assert.throws(() => state.read('authority'), userError(/is not a plain file/));
    assert.throws(() => state.read('run'), userError(/is not a plain file/));
  });
});

describe('the lock', () => {
  it('is taken, held against another, and given back', () => {
    const state = createFolder();
    state.lock();
    assert.throws(
      () => state.lock(),
      userError(new RegExp(`is running already \\(process ${process.pid}\\); stop it with`)),
    );
    state.unlock();
    assert.equal(existsSync(join(state.path, 'lock')), false);
    state.lock();
  });

  it('leaves nothing else behind', () => {
    const state = createFolder();
    state.lock();
    assert.throws(() => state.lock());
    assert.deepEqual(readdirSync(state.path).sort(), ['.gitignore', 'lock']);
  });

  const holders: [string, string][] = [
    ['a process that is gone', JSON.stringify({ pid: 2 ** 22 + 1, startTime: '1' })],
    ['a process whose number another has now', JSON.stringify({ pid: process.ppid, startTime: 'long ago' })],
    ['nobody, torn by a crash', '{"pid": 1'],
    ['nobody, with another form', '{"pid": "x"}'],
  ];
  for (const [holder, content] of holders)
    it(`is taken over from ${holder}`, () => {
      const state = createFolder();
      writeFileSync(join(state.path, 'lock'), content);
      state.lock();
      assert.equal((JSON.parse(readFileSync(join(state.path, 'lock'), 'utf8')) as { pid: number }).pid, process.pid);
    });

  it('of another that runs is neither taken nor given back', () => {
    const state = createFolder();
    writeFileSync(
      join(state.path, 'lock'),
      JSON.stringify({ pid: process.ppid, startTime: findStartTime(process.ppid) }),
    );
    assert.throws(() => state.lock(), userError(new RegExp(`process ${process.ppid}`)));
    state.unlock();
    assert.equal(existsSync(join(state.path, 'lock')), true);
  });

  it('that is not there can be given back', () => createFolder().unlock());
});
