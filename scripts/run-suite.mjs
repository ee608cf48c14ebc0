// Runs one suite of tests and counts honestly: leaf tests only, todo counts as failed, every file must hold a test, and the
// suite must not shrink below the number that the repository remembers. Writes the counts where .ci/run adds them up.
//
// Usage: node scripts/run-suite.mjs SUITE [FILE-PART ...]
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const suites = JSON.parse(readFileSync(join(root, '.ci/suites.json'), 'utf8'));

function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.js'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Runs the files and returns the counts; prints failures as they come and slow tests at the end. */
async function runFiles(files, { concurrency, timeoutMs }) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const perFile = new Map(files.map((file) => [file, 0]));
  const slow = [];
  const fail = (name, file, why) => {
    counts.failed++;
    process.stdout.write(`not ok  ${name}\n        ${relative(root, file ?? '')}\n${indent(why)}\n`);
  };
  const count = (data, isPass) => {
    const file = data.file ?? '';
    const isFile =
      data.name === file ||
      data.name === relative(root, file) ||
      (data.nesting === 0 && data.name.endsWith('.test.js'));
    if (data.details?.type === 'suite' || isFile) {
      // A file or a group fails without a failing test when something outside the tests threw.
      const cause = data.details?.error;
      if (!isPass && cause?.failureType !== 'subtestsFailed') fail(data.name, file, describe(cause));
      return;
    }
    perFile.set(file, (perFile.get(file) ?? 0) + 1);
    if (data.details.duration_ms > 5000) slow.push({ name: data.name, seconds: data.details.duration_ms / 1000 });
    if (data.todo !== undefined && data.todo !== false) fail(data.name, file, 'is marked todo, which counts as failed');
    else if (data.skip !== undefined && data.skip !== false) {
      counts.skipped++;
      process.stdout.write(`skipped ${data.name}: ${data.skip === true ? 'no reason given' : data.skip}\n`);
    } else if (isPass) counts.passed++;
    else fail(data.name, file, describe(data.details.error));
  };
  const stream = run({ files, concurrency, timeout: timeoutMs });
  stream.on('test:pass', (data) => count(data, true));
  stream.on('test:fail', (data) => count(data, false));
  stream.on('test:stderr', ({ message }) => process.env.SHOW_OUTPUT && process.stdout.write(message));
  stream.on('test:stdout', ({ message }) => process.env.SHOW_OUTPUT && process.stdout.write(message));
  stream.resume();
  await new Promise((resolve) => stream.once('end', resolve));
  for (const [file, tests] of perFile)
    if (tests === 0) fail('the file holds no test', file, 'a file without tests passes silently; add one or remove it');
  for (const { name, seconds } of slow.sort((a, b) => b.seconds - a.seconds).slice(0, 10))
    process.stdout.write(`slow    ${seconds.toFixed(1)} s  ${name}\n`);
  return counts;
}

function describe(error) {
  const cause = error?.cause ?? error;
  return String(cause?.stack ?? cause?.message ?? cause ?? 'failed without a reason');
}

function indent(text) {
  return text
    .split('\n')
    .slice(0, 30)
    .map((line) => `        ${line.slice(0, 400)}`)
    .join('\n');
}

const [suiteName, ...parts] = process.argv.slice(2);
const suite = suites[suiteName];
if (suite === undefined)
  throw new Error(`there is no suite ${suiteName}; .ci/suites.json names ${Object.keys(suites).join(', ')}`);
const files = suite.folders
  .flatMap((folder) => filesBelow(join(root, 'dist', folder)))
  .filter((file) => parts.length === 0 || parts.some((part) => basename(file).includes(part)));
const started = performance.now();
const counts = await runFiles(files, {
  concurrency: suite.concurrency ?? availableParallelism(),
  timeoutMs: suite.timeoutSeconds * 1000,
});
const total = counts.passed + counts.failed + counts.skipped;
if (parts.length === 0) {
  if (total < suite.atLeast) {
    counts.failed++;
    process.stdout.write(
      `not ok  the suite ${suiteName} has ${total} tests, fewer than the ${suite.atLeast} that .ci/suites.json remembers\n`,
    );
  }
  mkdirSync(join(root, 'dist/counts'), { recursive: true });
  writeFileSync(join(root, 'dist/counts', `${suiteName}.json`), JSON.stringify(counts));
}
process.stdout.write(
  `${suiteName}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped in ${((performance.now() - started) / 1000).toFixed(0)} s\n`,
);
process.exit(counts.failed === 0 && total > 0 ? 0 : 1);
