// `npm run bench`: our pair beside nothing, nginx, HAProxy and Envoy on one chain, one after another in every round, because
// only figures of one run on one machine can be compared.
import { cpus, tmpdir, release } from 'node:os';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { foreignAuthority, issue } from '../test/harness/certificates.js';
import { measure, type Measurement } from './measure.js';
import {
  findProgram,
  mustBeFree,
  ports,
  stopProgram,
  versionOf,
  waitForPort,
  type Pair,
  type Side,
  type Workspace,
} from './pair.js';
import { direct } from './pairs/direct.js';
import { envoyHttp1, envoyHttp2 } from './pairs/envoy.js';
import { haproxyHttp1, haproxyHttp2 } from './pairs/haproxy.js';
import { lateen } from './pairs/lateen.js';
import { nginx, startNginx } from './pairs/nginx.js';
import {
  figureHeader,
  formatFigures,
  formatMarkdown,
  formatRatios,
  formatReport,
  median,
  ratioHeader,
  ratiosOf,
  type Round,
} from './report.js';

const allPairs: readonly Pair[] = [direct, nginx, haproxyHttp1, haproxyHttp2, envoyHttp1, envoyHttp2, lateen];
const body = 'hello from the backend, a body of some 64 bytes or so ............';

interface Options {
  readonly only?: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly write?: string;
  readonly limit?: number;
}

function positive(value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new InvalidArgumentError('must be a number above 0');
  return number;
}

const options = new Command('bench')
  .description('CPU, latency and memory of a pair of proxies with mTLS between, beside its peers')
  .option('--only <names>', `only these pairs, by comma (${allPairs.map(({ name }) => name).join(', ')})`)
  .option('--rounds <number>', 'how often everything is measured', positive, 3)
  .option('--seconds <number>', 'how long each measurement takes', positive, 8)
  .option('--connections <number>', 'keep-alive connections', positive, 64)
  .option('--write <file>', 'write the result there as Markdown')
  .option('--limit <ratio>', 'exit 1 where the median CPU ratio to envoy-h1 of either side is above', positive)
  .parse()
  .opts<Options>();

const pairs = choosePairs(options.only);
await mustBeFree(ports.backend);
const folder = mkdtempSync(join(tmpdir(), 'lateen-bench-'));
const backend = startNginx(
  folder,
  'backend',
  `access_log off; server { listen 127.0.0.1:${ports.backend} reuseport; location / { return 200 "${body}\\n"; } }`,
);
const interrupted = () => {
  backend.kill();
  process.exit(130);
};
process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
try {
  await waitForPort(ports.backend, backend);
  const rounds = await measureAll(pairs, await createWorkspace());
  const names = pairs.map(({ name }) => name);
  process.stdout.write(`\n${formatReport(rounds, names)}`);
  if (options.write !== undefined) writeFileSync(options.write, markdown(rounds, names));
  checkLimit(rounds);
} finally {
  await stopProgram(backend);
  rmSync(folder, { recursive: true, force: true });
}

function choosePairs(only: string | undefined): Pair[] {
  const missing = [
    ...(findProgram('wrk') === undefined ? ['wrk (makes the load): apt-get install wrk'] : []),
    ...(findProgram('nginx') === undefined ? ['nginx (is the backend): apt-get install nginx-light'] : []),
  ];
  if (missing.length > 0) fail(`missing:\n  ${missing.join('\n  ')}`);
  const wanted = only?.split(',');
  const unknown = wanted?.filter((name) => !allPairs.some((pair) => pair.name === name)) ?? [];
  if (unknown.length > 0)
    fail(`there is no pair ${unknown.join(', ')}; there are ${allPairs.map(({ name }) => name).join(', ')}`);
  return allPairs.filter((pair) => {
    if (wanted !== undefined && !wanted.includes(pair.name)) return false;
    const hint = pair.whyMissing();
    if (hint !== undefined) process.stdout.write(`${pair.name} is not installed and is left out: ${hint}\n`);
    return hint === undefined;
  });
}

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(2);
}

async function createWorkspace(): Promise<Workspace> {
  const authority = await foreignAuthority();
  const write = (name: string, content: string) => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const side = async (name: string): Promise<Side> => {
    const { cert, key } = await issue(authority, [`spiffe://cluster.local/ns/default/sa/${name}`]);
    return {
      cert: write(`${name}.pem`, cert),
      key: write(`${name}.key`, key),
      both: write(`${name}.both`, cert + key),
    };
  };
  mkdirSync(folder, { recursive: true });
  return {
    folder,
    certificates: {
      ca: write('ca.pem', authority.rootPem),
      client: await side('client'),
      server: await side('server'),
    },
  };
}

async function measureAll(chosen: readonly Pair[], workspace: Workspace): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const results = new Map<string, Measurement>();
    // Another pair begins each round: what comes first meets a colder machine.
    const start = round % chosen.length;
    for (const pair of [...chosen.slice(start), ...chosen.slice(0, start)]) {
      const result = await measure(pair, workspace, options);
      results.set(pair.name, result);
      process.stdout.write(
        `round ${round + 1}  ${pair.name.padEnd(12)} ${result.requestsPerSecond.toFixed(0).padStart(6)} requests/s  client ${result.clientMicros.toFixed(1)}  server ${result.serverMicros.toFixed(1)} us/request${result.errors > 0 ? `  ${result.errors} ERRORS` : ''}\n`,
      );
    }
    rounds.push(results);
  }
  return rounds;
}

/** For CI: far slower than it should be is a failure, slower than last time is noise. */
function checkLimit(rounds: readonly Round[]): void {
  if (options.limit === undefined) return;
  for (const key of ['clientMicros', 'serverMicros'] as const) {
    const ratios = ratiosOf(rounds, 'lateen', 'envoy-h1', key);
    if (ratios.length === 0) fail('no round has both lateen and envoy-h1, so there is no ratio to hold to the limit');
    if (median(ratios) > options.limit) {
      process.stdout.write(`${key}: ${median(ratios).toFixed(2)} of envoy-h1, above the limit of ${options.limit}\n`);
      process.exitCode = 1;
    }
  }
}

function markdown(rounds: readonly Round[], names: readonly string[]): string {
  const versions = [
    `Node ${process.version}`,
    ...(names.some((name) => name.startsWith('envoy'))
      ? [versionOf(process.env['ENVOY'] ?? 'envoy', '--version').replace(/^.*?version: /, 'Envoy ')]
      : []),
    ...(names.some((name) => name.startsWith('haproxy')) ? [versionOf('haproxy', '-v')] : []),
    versionOf('nginx', '-v'),
    `Linux ${release()}, ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'})`,
  ];
  return `# Benchmarks

Written by \`npm run bench -- --write docs/benchmarks.md\`: ${options.rounds} rounds of ${options.seconds} s, ${options.connections} keep-alive connections, answers of ${body.length + 1} bytes.
Every round measures all pairs one after another; figures are medians of the rounds, ratios are taken within a round
(median, lowest and highest). CPU is user and system time of a proxy's processes; memory is private memory and
the proportional share of the rest (PSS) after the load. The machine is shared: only the ratios mean something.

${versions.map((version) => `- ${version}`).join('\n')}

${formatMarkdown(figureHeader, formatFigures(rounds, names))}

${formatMarkdown(
  ratioHeader,
  formatRatios(
    rounds,
    'lateen',
    names.filter((name) => name !== 'lateen'),
  ),
)}

All pairs: mTLS 1.3 between two proxies, the authority of the peer checked, request id, the client's certificate forwarded, an access
log line formatted. Envoy and Lateen besides: SPIFFE identity of the peer checked, a 95/5 split with retries, the caller authorised,
counters of requests. Lateen besides: all of Istio's labels on counters and histograms for both reporters.
`;
}
