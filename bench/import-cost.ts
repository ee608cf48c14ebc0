// What each import of a data plane costs in memory: `node dist/bench/import-cost.js` after a build. Every case is a process of
// its own, under the options that a data plane is started with.
import { spawnSync } from 'node:child_process';
import { formatTable } from '../src/cli/table.js';
import { median } from './statistics.js';

const options = ['--max-semi-space-size=4', '--expose-gc', '--input-type=module'];
const attempts = 5;

const cases: readonly (readonly [name: string, modules: readonly string[]])[] = [
  ['Node alone', []],
  ['node:tls', ['node:tls']],
  ['@bufbuild/protobuf', ['@bufbuild/protobuf', '@bufbuild/protobuf/wkt']],
  ["Envoy's messages, with @bufbuild/protobuf", [ours('xds/messages.js')]],
  ['re2js', ['re2js']],
  ['the data plane, all of it', [ours('app/proxy.js')]],
  ['@grpc/grpc-js, which it does not load', ['@grpc/grpc-js']],
  ['the command line, which it does not load', [ours('cli/cli.js')]],
];

function ours(file: string): string {
  return new URL(`../src/${file}`, import.meta.url).href;
}

/** Anonymous memory is private to the process; the rest is text that processes share. */
const report = `
gc(); gc();
await new Promise((resolve) => setTimeout(resolve, 300));
const rollup = (await import('node:fs')).readFileSync('/proc/self/smaps_rollup', 'utf8');
console.log(Number(/^Anonymous:\\s+(\\d+)/m.exec(rollup)[1]) / 1024, process.memoryUsage().heapUsed / 1024 / 1024);
`;

function measureOnce(modules: readonly string[]): readonly [privateMb: number, heapMb: number] {
  const code = modules.map((module) => `await import(${JSON.stringify(module)});\n`).join('') + report;
  const { stdout, stderr } = spawnSync(process.execPath, [...options, '-e', code], {
    cwd: new URL('.', import.meta.url),
    encoding: 'utf8',
  });
  const [privateMb, heapMb] = stdout.trim().split(' ').map(Number);
  if (privateMb === undefined || heapMb === undefined) throw new Error(stderr);
  return [privateMb, heapMb];
}

const rows = cases.map(([name, modules]) => {
  const measured = Array.from({ length: attempts }, () => measureOnce(modules));
  return [name, ...([0, 1] as const).map((column) => median(measured.map((values) => values[column])).toFixed(1))];
});
process.stdout.write(formatTable(['IMPORT', 'PRIVATE MB', 'OF IT LIVE JAVASCRIPT'], rows));
