// `npm test`: builds, checks form (format, lint, types), then runs the suites that need nothing but Node.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name) => join(root, 'node_modules/.bin', name);
const node = process.execPath;

function step(name, command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error !== undefined) process.stdout.write(`${error.message}\n`);
  return { name, ok: status === 0 };
}

rmSync(join(root, 'dist/counts'), { recursive: true, force: true });
const build = step('build', node, ['scripts/build.mjs']);
if (!build.ok) process.exit(1);
const checks = [
  step('format', bin('oxfmt'), ['--check', 'src', 'test', 'bench', 'scripts', 'examples']),
  step('lint', bin('oxlint'), ['--deny-warnings']),
  step('types', bin('tsc'), []),
  step('generated files', node, ['scripts/generate-docs.mjs', '--check']),
];
const passed = checks.filter(({ ok }) => ok).length;
mkdirSync(join(root, 'dist/counts'), { recursive: true });
writeFileSync(
  join(root, 'dist/counts/checks.json'),
  JSON.stringify({ passed, failed: checks.length - passed, skipped: 0 }),
);
for (const { name, ok } of checks) process.stdout.write(`${ok ? 'ok     ' : 'not ok '} ${name}\n`);
const suites = [
  step('unit', node, ['scripts/run-suite.mjs', 'unit']),
  step('mesh', node, ['scripts/run-suite.mjs', 'mesh']),
];
process.exit([...checks, ...suites].every(({ ok }) => ok) ? 0 : 1);
