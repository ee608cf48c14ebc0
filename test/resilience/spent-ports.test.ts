// All ports that connections to one place can have are in use: what finds none fails at once as a connection that failed, which is
// counted, and everything works again when there are some. In a network namespace of its own, with 40 ports.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';
import type { SpentPorts } from '../harness/spent-ports-driver.js';
import { root } from '../harness/mesh.js';

const ports = 40;
const prepare = `ip link set lo up && echo "40000 ${40_000 + ports - 1}" > /proc/sys/net/ipv4/ip_local_port_range`;

function canUnshare(): boolean {
  try {
    execFileSync('unshare', ['-n', '/bin/sh', '-c', prepare], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

it(
  'ports that are all in use fail what finds none, and nothing else',
  { skip: canUnshare() ? false : 'a network namespace needs root' },
  () => {
    const together = 64;
    const driver = join(root, 'dist/test/harness/spent-ports-driver.js');
    const { stdout, stderr } = spawnSync(
      'unshare',
      ['-n', '/bin/sh', '-c', `${prepare} && exec "$@"`, 'sh', process.execPath, driver, String(together)],
      { encoding: 'utf8', timeout: 120_000 },
    );
    assert.equal(stderr, '');
    const result = JSON.parse(stdout) as SpentPorts;
    const { 200: answered = 0, 503: failed = 0, ...others } = result.together;
    assert.deepEqual(others, {});
    assert.equal(answered + failed, together);
    assert.ok(answered >= ports / 2, `${answered} were answered`);
    assert.ok(failed >= together - ports, `the control: ${failed} found no port`);
    assert.match(result.refusal, /reset reason: remote connection failure, transport failure reason: .*EADDRNOTAVAIL/);
    assert.equal(result.counted, failed);
    assert.deepEqual(result.afterwards, { 200: 100 });
    assert.equal(result.crashes, '');
  },
);
