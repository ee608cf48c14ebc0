// `npm run bench`: our pair beside nothing, nginx, HAProxy and Envoy on one chain, because only figures of one run on one machine
// can be compared.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { basename } from 'node:path';
import { startBackends } from './backends.js';
import { drawChart } from './chart.js';
import { measureAll } from './measure.js';
import { limitedRow, readOptions, type Options } from './options.js';
import { findProgram, versionOf, type Pair } from './pair.js';
import { direct } from './pairs/direct.js';
import { envoyHttp1, envoyHttp2 } from './pairs/envoy.js';
import { haproxyHttp1, haproxyHttp2 } from './pairs/haproxy.js';
import { lateen } from './pairs/lateen.js';
import { nginx } from './pairs/nginx.js';
import { formatPage, formatReport, keptOf } from './report.js';
import { findRatio, type RowResult } from './results.js';
import { allRows } from './rows/all.js';
import type { Row } from './rows/row.js';
import { createWorkspace } from './workspace.js';

const allPairs: readonly Pair[] = [direct, nginx, haproxyHttp1, haproxyHttp2, envoyHttp1, envoyHttp2, lateen];
const order = allPairs.map(({ name }) => name);

const options = readOptions(
  process.argv,
  order,
  allRows.map(({ name }) => name),
);
if (findProgram('nginx') === undefined) fail('nginx is missing (it is the backend): apt-get install nginx-light');
const pairs = choosePairs();
const rows = chooseRows();
const workspace = await createWorkspace();
const backends = await startBackends(workspace.folder);
const interrupted = () => process.exit(130);
process.setMaxListeners(50); // one for each program that ends with this one
process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
try {
  const { rounds } = options;
  const settings = { ...options, folder: workspace.folder };
  const onProgress = (line: string) => void process.stdout.write(`${line}\n`);
  const results = await measureAll({ pairs, rows, rounds, settings, onProgress }, workspace);
  process.stdout.write(formatReport(results, order));
  if (options.write !== undefined) writePage(options.write, results, options);
  if (results.some(({ leftOut }) => leftOut.some(({ why }) => why.startsWith('it ')))) process.exitCode = 1;
  checkLimit(results);
} finally {
  await backends.stop();
}

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(2);
}

/** Those of `all` that are named, or all; names that do not exist end the program. */
function choose<T extends { readonly name: string }>(all: readonly T[], names: string | undefined, what: string): T[] {
  const wanted = names?.split(',');
  const unknown = wanted?.filter((name) => !all.some((one) => one.name === name)) ?? [];
  if (unknown.length > 0)
    fail(`there is no ${what} ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}`);
  return all.filter(({ name }) => wanted?.includes(name) ?? true);
}

function choosePairs(): Pair[] {
  return choose(allPairs, options.only, 'pair').filter((pair) => {
    const hint = pair.whyMissing();
    if (hint !== undefined) process.stdout.write(`${pair.name} is not installed and is left out: ${hint}\n`);
    return hint === undefined;
  });
}

function chooseRows(): Row[] {
  return choose(allRows, options.rows, 'row').filter(({ name, needs }) => {
    if (needs === undefined || findProgram(needs.program) !== undefined) return true;
    process.stdout.write(`row ${name} is left out: it needs ${needs.program}: ${needs.from}\n`);
    return false;
  });
}

/** For CI: far slower than it should be is a failure, slower than last time is noise. */
function checkLimit(results: readonly RowResult[]): void {
  if (options.limit === undefined) return;
  const result = results.find(({ row }) => row.name === limitedRow);
  for (const key of ['client', 'server']) {
    const ratio = result === undefined ? undefined : findRatio(result, 'envoy-h1', key);
    if (ratio === undefined) fail(`no round has both lateen and envoy-h1, so there is no ratio to hold to the limit`);
    if (ratio.median <= options.limit) continue;
    process.stdout.write(`${key}: ${ratio.median.toFixed(2)} of envoy-h1, above the limit of ${options.limit}\n`);
    process.exitCode = 1;
  }
}

function writePage(file: string, results: readonly RowResult[], settings: Options): void {
  const chart = file.replace(/\.md$/, '') + '.svg';
  writeFileSync(chart, drawChart(results, order));
  const page = formatPage(results, order, {
    facts: describeMachine(),
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    rounds: settings.rounds,
    seconds: settings.seconds,
    memorySeconds: settings.memorySeconds,
    dateIso: new Date().toISOString(),
    commit: spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim(),
    chart: basename(chart),
    kept: existsSync(file) ? keptOf(readFileSync(file, 'utf8')) : '',
  });
  writeFileSync(file, page);
}

function describeMachine(): string[] {
  const measured = (name: string) => pairs.some((pair) => pair.name.startsWith(name));
  return [
    `Linux ${release()}, ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${(totalmem() / 1024 ** 3).toFixed(0)} GB`,
    `Node ${process.version}`,
    ...(measured('envoy')
      ? [`Envoy ${/\d+\.\d+\.\d+/.exec(versionOf(process.env['ENVOY'] ?? 'envoy', '--version'))?.[0]}, one worker`]
      : []),
    ...(measured('haproxy') ? [`${versionOf('haproxy', '-v').replace(/ - .*/, '')}, one thread`] : []),
    `${versionOf('nginx', '-v')}, one worker`,
  ];
}
