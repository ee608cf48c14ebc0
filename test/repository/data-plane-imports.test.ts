// A data plane stays small: every library that it loads is in memory once a process, so that a new one is added knowingly.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
/** What `main.ts` and `serve-role.ts` load for others than the data plane, or only with `--workers`. */
const othersOnly = new Set(['src/cli/cli.ts', 'src/app/control/control.ts', 'src/app/workers/worker-pool.ts']);

/** Every file of ours and every library that the program loads as a data plane. */
async function findLoaded(): Promise<{ readonly files: ReadonlySet<string>; readonly libraries: readonly string[] }> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['src/main.ts'],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    metafile: true,
    write: false,
    outfile: 'main.js',
    logLevel: 'silent',
  });
  const files = new Set<string>();
  const libraries = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file) || othersOnly.has(file)) return;
    files.add(file);
    for (const { path, external } of metafile.inputs[file]!.imports) {
      if (external !== true) visit(path);
      else if (!path.startsWith('node:')) libraries.add(/^(@[^/]+\/)?[^/]+/.exec(path)![0]);
    }
  };
  visit('src/main.ts');
  return { files, libraries: [...libraries].sort() };
}

it('a data plane loads the libraries that docs/performance.md names and no part of the command line', async () => {
  const { files, libraries } = await findLoaded();
  assert.ok(files.has('src/proxy/data-plane.ts'));
  assert.deepEqual(libraries, ['@bufbuild/protobuf', 're2js']);
  const folders = new Set([...files].map((file) => file.split('/').slice(0, 2).join('/')));
  for (const folder of ['src/api', 'src/compile', 'src/admin', 'src/ca', 'src/local', 'src/model'])
    assert.ok(!folders.has(folder), `${folder} is loaded`);
});
