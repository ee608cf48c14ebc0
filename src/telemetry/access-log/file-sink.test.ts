// Lines of the access log reach their file, or are counted as dropped.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FileSink } from './file-sink.js';

describe('a log file', () => {
  let folder: string;
  let path: string;
  let dropped: number;
  const sinkAt = (where: string) => new FileSink(where, (lines) => (dropped += lines));
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lateen-log-'));
    path = join(folder, 'access.log');
    dropped = 0;
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('gets lines in order, after those that it had, for its owner alone', async () => {
    const first = sinkAt(path);
    first.write('a\n');
    await first.close();
    const second = sinkAt(path);
    second.write('b\n');
    second.write('c\n');
    await second.close();
    assert.equal(readFileSync(path, 'utf8'), 'a\nb\nc\n');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(dropped, 0);
  });

  it('has everything once a flush has ended, however many go on at once', async () => {
    const sink = sinkAt(path);
    sink.write('a\n');
    const first = sink.flush();
    sink.write('b\n');
    const second = sink.flush();
    await sink.flush();
    assert.equal(readFileSync(path, 'utf8'), 'a\nb\n');
    await Promise.all([first, second]);
    await sink.close();
  });

  it('is written by itself after a while', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const sink = sinkAt(path);
    sink.write('a\n');
    t.mock.timers.tick(100);
    await sink.close();
    assert.equal(readFileSync(path, 'utf8'), 'a\n');
  });

  it('that cannot be opened costs lines, which are counted, and is tried again', async () => {
    const missing = join(folder, 'missing');
    const sink = sinkAt(join(missing, 'access.log'));
    sink.write('a\n');
    sink.write('b\n');
    await sink.flush();
    assert.equal(dropped, 2);
    mkdirSync(missing);
    sink.write('c\n');
    await sink.close();
    assert.equal(readFileSync(join(missing, 'access.log'), 'utf8'), 'c\n');
    assert.equal(dropped, 2);
  });

  it('that cannot be written says why, once for each time that it begins', async () => {
    const missing = join(folder, 'missing');
    const reasons: string[] = [];
    const sink = new FileSink(
      join(missing, 'access.log'),
      () => undefined,
      (reason) => reasons.push(reason),
    );
    for (let i = 0; i < 3; i++) {
      sink.write('a\n');
      await sink.flush();
    }
    assert.equal(reasons.length, 1);
    assert.match(reasons[0]!, /ENOENT/);
    mkdirSync(missing);
    sink.write('b\n');
    await sink.flush();
    await sink.close();
    rmSync(missing, { recursive: true });
    sink.write('c\n');
    await sink.close();
    assert.equal(reasons.length, 2);
  });

  it('makes at most 4 MiB wait, and counts what found no room', async () => {
    const sink = sinkAt(path);
    const line = `${'x'.repeat(1024 * 1024 - 1)}\n`;
    for (let i = 0; i < 6; i++) sink.write(line);
    assert.equal(dropped, 2);
    await sink.close();
    assert.equal(statSync(path).size, 4 * 1024 * 1024);
  });

  it('with nothing to write is not made', async () => {
    await sinkAt(path).close();
    assert.throws(() => statSync(path), { code: 'ENOENT' });
  });
});
