// Builds when stale: generates messages when a .proto or a generator changed, then compiles src/ and test/ file by file into
// dist/. `npm start` and `npm test` call it, so nobody has to know whether something is built.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync, chmodSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamps = join(root, 'dist/.stamps.json');

function filesBelow(folder, suffix) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

const digest = (parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex');
const contents = (files) => digest(files.flatMap((file) => [relative(root, file), '\0', readFileSync(file)]));
const times = (files) =>
  digest(files.map((file) => `${relative(root, file)} ${statSync(file).mtimeMs} ${statSync(file).size}\n`));

const known = existsSync(stamps) ? JSON.parse(readFileSync(stamps, 'utf8')) : {};
const save = () => {
  mkdirSync(dirname(stamps), { recursive: true });
  writeFileSync(stamps, JSON.stringify(known));
};

const generatorInputs = [
  join(root, 'scripts/generate.mjs'),
  join(root, 'package-lock.json'),
  ...['identity', 'telemetry'].flatMap((part) => filesBelow(join(root, 'src', part, 'proto'), '.proto')),
];
const messages = contents(generatorInputs);
if (known.messages !== messages || !existsSync(join(root, 'src/xds/gen'))) {
  process.stdout.write('generating messages ...\n');
  const { generateMessages } = await import('./generate.mjs');
  generateMessages();
  known.messages = messages;
  save();
}

const sources = ['src', 'test', 'bench'].flatMap((folder) => filesBelow(join(root, folder), '.ts'));
const code = times([fileURLToPath(import.meta.url), ...sources]);
if (known.code !== code) {
  process.stdout.write('compiling ...\n');
  // What was compiled from files that are gone goes; the rest is replaced in place, so that a running mesh is not disturbed.
  const wanted = new Set(sources.map((file) => join(root, 'dist', relative(root, file)).replace(/\.ts$/, '.js')));
  for (const file of ['dist/src', 'dist/test', 'dist/bench'].flatMap((folder) => filesBelow(join(root, folder), '.js')))
    if (!wanted.has(file)) rmSync(file);
  await build({
    entryPoints: sources,
    outdir: join(root, 'dist'),
    outbase: root,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'warning',
  });
  chmodSync(join(root, 'dist/src/main.js'), 0o755);
  known.code = code;
  save();
}
