// The hostile cases in HTTP/2 against Envoy, in front of the same recording server: shows that the judge works, and where Envoy
// answers otherwise. It asserts nothing: `npm run compare:frames`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, peers } from '../hostile/peers.js';
import { RecordingUpstream } from '../hostile/recording-upstream.js';
import { Attacker } from './attack.js';
import { frameCases } from './frame-cases.js';
import { floods } from './floods.js';
import { requestFaults } from './request-faults.js';
import { judgeFrames } from './run-frame-case.js';

const wanted = process.argv[2] ?? 'Envoy';
const part = process.argv[3] ?? '';
const peer = peers.find(({ name }) => name === wanted)!;
const folder = mkdtempSync(join(tmpdir(), 'lateen-compare-'));
const upstream = await RecordingUpstream.start();
const port = await freePort();
const stop = await peer.start(folder, port, upstream.port);
const attacker = Attacker.start();
let right = 0;
const cases = [...frameCases, ...requestFaults, ...floods].filter(({ fact }) => fact.includes(part));
for (const [i, hostile] of cases.entries()) {
  const started = performance.now();
  // Envoy waits a second before it closes a connection.
  const few: typeof hostile = { ...hostile, attack: (target) => ({ ...hostile.attack(target), connections: 1 }) };
  const problems = await judgeFrames(few, { name: wanted, host: 'web', port }, upstream, attacker, `${i}-e`);
  if (problems.length === 0) right++;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(
    `${problems.length === 0 ? 'as stated' : 'otherwise'} ${seconds} s  row ${hostile.row}: ${hostile.fact}\n`,
  );
  for (const problem of problems.slice(0, 3)) process.stdout.write(`             ${problem.slice(0, 300)}\n`);
}
process.stdout.write(`${right} of ${cases.length} as stated\n`);
attacker.close();
await stop();
upstream.close();
rmSync(folder, { recursive: true, force: true });
