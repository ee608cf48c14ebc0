// The folder for sockets: private, short enough for every system, and somewhere in any case.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { createSocketFolder } from './socket-folder.js';

const base = mkdtempSync(join(tmpdir(), 'lateen-sockets-'));
const before = { ...process.env };
const made: string[] = [base];
after(() => made.forEach((folder) => rmSync(folder, { recursive: true, force: true })));
afterEach(() => {
  for (const name of ['XDG_RUNTIME_DIR', 'TMPDIR']) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
});
function createIn(runtime: string, temporary = base): string {
  process.env['XDG_RUNTIME_DIR'] = runtime;
  process.env['TMPDIR'] = temporary;
  const folder = createSocketFolder();
  made.push(folder);
  return folder;
}

describe('the folder for sockets', () => {
  it("lies in the user's runtime folder, for nobody else, and is another one each time", () => {
    const runtime = join(base, 'run');
    mkdirSync(runtime);
    const [one, two] = [createIn(runtime), createIn(runtime)];
    assert.ok(one.startsWith(`${runtime}/lateen-`) && two.startsWith(`${runtime}/lateen-`) && one !== two);
    assert.equal(statSync(one).mode & 0o777, 0o700);
  });

  it('lies in the temporary folder where that cannot be written', () => {
    assert.ok(createIn(join(base, 'nowhere')).startsWith(`${base}/lateen-`));
    assert.ok(createIn('').startsWith(`${base}/lateen-`));
  });

  it('never has a path that is too long for a socket', () => {
    const long = join(base, 'x'.repeat(100));
    mkdirSync(long);
    assert.ok(createIn(long).startsWith(`${base}/lateen-`));
    assert.ok(join(createIn(long, long), 'control.sock').length <= 100);
  });
});
