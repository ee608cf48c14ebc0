// Whatever call of a write fails, the file holds the old content or the new.
import assert from 'node:assert/strict';
import * as nodeFs from 'node:fs';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { writeFileAtomic, type AtomicFs } from './atomic-file.js';

describe('an atomic write', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lateen-atomic-'));
    path = join(folder, 'file');
    writeFileSync(path, 'old');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('replaces the content and leaves nothing else behind', () => {
    writeFileAtomic(path, 'new', 0o600);
    assert.equal(readFileSync(path, 'utf8'), 'new');
    assert.deepEqual(readdirSync(folder), ['file']);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('goes on where the system takes only some of the bytes at a time', () => {
    const content = Buffer.from('0123456789');
    const fs: AtomicFs = {
      ...nodeFs,
      writeSync: ((file: number, bytes: Uint8Array, at: number) =>
        nodeFs.writeSync(file, bytes, at, Math.min(3, bytes.length - at))) as AtomicFs['writeSync'],
    };
    writeFileAtomic(path, content, 0o600, fs);
    assert.deepEqual(readFileSync(path), content);
  });

  it('reaches the disk before the file takes its name, and the folder after', () => {
    const calls: string[] = [];
    const traced = <K extends keyof AtomicFs>(name: K): AtomicFs[K] =>
      ((...args: never[]) => {
        calls.push(name);
        return (nodeFs[name] as (...args: never[]) => unknown)(...args);
      }) as unknown as AtomicFs[K];
    const fs: AtomicFs = {
      openSync: traced('openSync'),
      writeSync: traced('writeSync'),
      fsyncSync: traced('fsyncSync'),
      closeSync: traced('closeSync'),
      renameSync: traced('renameSync'),
      unlinkSync: traced('unlinkSync'),
    };
    writeFileAtomic(path, 'new', 0o600, fs);
    assert.deepEqual(calls, [
      'unlinkSync',
      'openSync',
      'writeSync',
      'fsyncSync',
      'closeSync',
      'renameSync',
      'openSync',
      'fsyncSync',
      'closeSync',
    ]);
  });

  for (const failing of ['openSync', 'writeSync', 'fsyncSync', 'renameSync'] as const)
    it(`leaves the old content and no other file where ${failing} fails`, () => {
      const fs: AtomicFs = {
        ...nodeFs,
        [failing]: () => {
          throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        },
      };
      assert.throws(() => writeFileAtomic(path, 'new', 0o600, fs), { code: 'ENOSPC' });
      assert.equal(readFileSync(path, 'utf8'), 'old');
      assert.deepEqual(readdirSync(folder), ['file']);
    });

  it('overwrites what a crash left behind', () => {
    writeFileSync(join(folder, `.file.${process.pid}.tmp`), 'half');
    writeFileAtomic(path, 'new', 0o600);
    assert.deepEqual(readdirSync(folder), ['file']);
  });

  it('does not follow a link that somebody put in the place of the temporary file', () => {
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'untouched');
    symlinkSync(victim, join(folder, `.file.${process.pid}.tmp`));
    writeFileAtomic(path, 'new', 0o600);
    assert.equal(readFileSync(victim, 'utf8'), 'untouched');
    assert.equal(readFileSync(path, 'utf8'), 'new');
  });
});
