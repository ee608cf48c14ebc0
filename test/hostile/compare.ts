// `npm run compare:hostile`: the catalogue of hostile input against ours, nginx, HAProxy and Envoy, and what each did as a page.
// It asserts nothing: the suite `hostile` does that for ours.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../harness/mesh.js';
import { requestCases, responseCases, type HostileCase } from './cases.js';
import { connectTo, entrancesOf, startHostileMesh } from './entrances.js';
import { freePort, peers, type Peer } from './peers.js';
import { RecordingUpstream } from './recording-upstream.js';
import { judge, runCase, type Entrance, type Outcome } from './run-case.js';
import { statusOf } from './wire.js';

const cases: readonly HostileCase[] = [...requestCases, ...responseCases];

interface Result {
  readonly cell: string;
  /** Whether it is what the catalogue states. */
  readonly asStated: boolean;
}

/** What came of a case in few words: statuses, then what reached the server. */
function describe({ answers, heard, forwarded }: Outcome): string {
  const statuses = answers.map((answer) => `${statusOf(answer) || 'no HTTP'}${answer.complete ? '' : ' cut off'}`);
  const repeated =
    new Set(statuses).size === 1 && statuses.length > 2 ? [`${statuses.length} x ${statuses[0]}`] : statuses;
  const none = heard.end === 'open' ? 'waits' : 'closes';
  const whole = forwarded.filter(({ request }) => request.complete).length;
  const part = forwarded.length - whole;
  const reached = [...(whole > 0 ? [`${whole} forwarded`] : []), ...(part > 0 ? [`${part} begun`] : [])];
  return [repeated.join(' ') || none, ...reached].join(', ');
}

async function runAll(name: string, entrance: Entrance, upstream: RecordingUpstream): Promise<Result[]> {
  const results: Result[] = [];
  for (const [i, hostile] of cases.entries()) {
    const id = String(i);
    try {
      const outcome = await runCase(hostile, entrance, upstream, id, hostile.waits === true ? 13_000 : 2500);
      results.push({ cell: describe(outcome), asStated: judge(hostile, outcome, entrance.host, id).length === 0 });
    } catch (error) {
      results.push({ cell: `could not be asked: ${(error as Error).message}`, asStated: false });
    }
  }
  process.stdout.write(`${name}: ${results.filter(({ asStated }) => asStated).length} of ${cases.length} as stated\n`);
  return results;
}

async function runPeer(peer: Peer): Promise<Result[]> {
  const folder = mkdtempSync(join(tmpdir(), 'lateen-compare-'));
  const upstream = await RecordingUpstream.start();
  const port = await freePort();
  const stop = await peer.start(folder, port, upstream.port);
  try {
    return await runAll(peer.name, { name: peer.name, host: 'web', connect: () => connectTo(port) }, upstream);
  } finally {
    await stop();
    upstream.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runOurs(): Promise<Result[]> {
  const upstream = await RecordingUpstream.start();
  const mesh = await startHostileMesh(upstream);
  try {
    return await runAll('Lateen', (await entrancesOf(mesh))[0]!, upstream);
  } finally {
    await mesh.close();
    upstream.close();
  }
}

function writePage(columns: readonly { name: string; results: readonly Result[] }[], missing: readonly Peer[]): void {
  const present = peers.filter((peer) => !missing.includes(peer));
  const escape = (text: string) => text.replaceAll('|', '\\|');
  const lines = [
    '# Hostile input: four proxies',
    '',
    'Written by `npm run compare:hostile`: the requests and answers of `test/hostile/cases.ts`, byte for byte, through one proxy each.',
    `Beside ours: ${present.map((peer) => `${peer.name} ${peer.version()}`).join(', ') || 'nobody'}, each with its usual settings.`,
    ...missing.map((peer) => `Missing here: ${peer.name} (${peer.howToInstall}).`),
    '',
    'A cell says what the caller got and what reached the server; without a word on the server nothing did. "waits": no answer within',
    '2.5 s (13 s where a time limit is what is tested). "begun": a request that never became whole. **Bold** is what differs from the',
    "project's catalogue, which is not always wrong: some rows refuse what the grammar allows, because servers have read it differently.",
    '',
    `| row | what is sent | ${columns.map(({ name }) => name).join(' | ')} |`,
    `|---|---|${columns.map(() => '---|').join('')}`,
    ...cases.map(({ row, fact }, i) => {
      const cells = columns.map(({ results }) => {
        const { cell, asStated } = results[i]!;
        return asStated ? cell : `**${cell}**`;
      });
      return `| ${row} | ${escape(fact)} | ${cells.map(escape).join(' | ')} |`;
    }),
    '',
    '## Differences in short',
    '',
    '| proxy | as the catalogue states | rows with differences |',
    '|---|---|---|',
    ...columns.map(({ name, results }) => {
      const rows = [...new Set(cases.filter((_, i) => !results[i]!.asStated).map(({ row }) => row))].sort(
        (a, b) => a - b,
      );
      const stated = results.filter(({ asStated }) => asStated).length;
      return `| ${name} | ${stated} of ${cases.length} | ${rows.join(', ') || 'none'} |`;
    }),
    '',
  ];
  writeFileSync(join(root, 'docs/hostile-input.md'), lines.join('\n'));
}

const missing = peers.filter(({ howToInstall }) => howToInstall !== undefined);
for (const { name, howToInstall } of missing) process.stdout.write(`${name} is missing: ${howToInstall}\n`);
const there = peers.filter((peer) => !missing.includes(peer));
const results = await Promise.all([runOurs(), ...there.map(runPeer)]);
writePage(
  ['Lateen', ...there.map(({ name }) => name)].map((name, i) => ({ name, results: results[i]! })),
  missing,
);
process.stdout.write('written: docs/hostile-input.md\n');
