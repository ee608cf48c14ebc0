// The parts of the program keep to their places: the import table of ARCHITECTURE.md holds for every line of src.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findText, listFiles, readText } from './files.js';
import { findCycles, findImportTable, folderOf, importsOf, whyNotAllowed, type ImportTable } from './import-table.js';

/** The table until ARCHITECTURE.md has it. */
const ownTable = `
## Import table

| folder | may import, besides itself, \`util\`, \`node:\` and its libraries |
|---|---|
| util, identity | nothing of ours |
| api, xds, telemetry | identity |
| model | api, identity |
| compile | api, identity, model, xds (messages) |
| ca | identity |
| proxy | identity, telemetry, xds (messages and client) |
| sources, canary | api, model (the Store's interface); canary: telemetry |
| local | api, model, identity |
| kubernetes | api, model, sources (interface), identity |
| redirect | nothing of ours |
| admin | api, model, compile (provenance), telemetry, proxy (matchers only) |
| cli | api, admin (types) |
| app | everything |
`;

const written = findText('ARCHITECTURE.md');
const table: ImportTable = (written === undefined ? undefined : findImportTable(written)) ?? findImportTable(ownTable)!;
const sources = listFiles().filter((file) => /^src\/.*\.ts$/.test(file));
const imports = sources.flatMap((file) => importsOf(file, readText(file)));
const isTest = (file: string) => file.endsWith('.test.ts') || file.includes('/testdata/');

describe('imports', () => {
  it('keep to the import table', () => {
    const problems = imports
      .filter(({ file }) => !isTest(file))
      .map((one) => whyNotAllowed(table, one))
      .filter((problem) => problem !== undefined);
    assert.deepEqual(problems, []);
  });

  it('of tests beside the code stay in src, but for the harness in test', () => {
    const outside = imports
      .filter(
        ({ file, target }) => isTest(file) && folderOf(target) === undefined && !target.startsWith('test/harness/'),
      )
      .map(({ file, line, target }) => `${file}:${line}: ${target}`);
    assert.deepEqual(outside, []);
  });

  it('never name a test', () => {
    const tests = imports.filter(({ file, target }) => !isTest(file) && isTest(target.replace(/\.js$/, '.ts')));
    assert.deepEqual(tests, []);
  });

  it('lead in no circle from folder to folder', () => {
    assert.deepEqual(findCycles(imports.filter(({ file }) => !isTest(file))), []);
  });

  it('are all found: every folder but util has some', () => {
    const folders = new Set(sources.map((file) => folderOf(file)!));
    const importing = new Set(imports.map(({ file }) => folderOf(file)!));
    assert.deepEqual(
      [...folders].filter((folder) => folder !== 'util' && !importing.has(folder)),
      [],
    );
    assert.ok(imports.length > 200, `only ${imports.length} imports were found`);
  });

  it('have a row in the table for every folder of src', () => {
    const folders = new Set(sources.map((file) => folderOf(file)!).filter((folder) => folder !== ''));
    assert.deepEqual(
      [...folders].filter((folder) => !table.has(folder)),
      [],
    );
  });
});

describe('the reader of imports', () => {
  const text = [
    "// import { no } from './comment.js'; is no import",
    "import { a } from 'node:fs';",
    "import type { B } from '../api/object.js';",
    'import {',
    '  c,',
    "} from '../proxy/data-plane.js';",
    "export { d } from './near.js';",
    "import './effect.js';",
    "export * from '../xds/messages.js';",
    "const late = await import('../app/late.js');",
  ].join('\n');

  it('finds every form with its line', () => {
    assert.deepEqual(
      importsOf('src/model/store.ts', text).map(({ line, target, isType }) => [line, target, isType]),
      [
        [3, 'src/api/object.js', true],
        [6, 'src/proxy/data-plane.js', false],
        [7, 'src/model/near.js', false],
        [8, 'src/model/effect.js', false],
        [9, 'src/xds/messages.js', false],
        [10, 'src/app/late.js', false],
      ],
    );
  });

  it('names file and line of what the table forbids', () => {
    const own = findImportTable(ownTable)!;
    assert.deepEqual(
      importsOf('src/model/store.ts', text).flatMap((one) => whyNotAllowed(own, one) ?? []),
      [
        'src/model/store.ts:6: model may not import proxy (src/proxy/data-plane.js)',
        'src/model/store.ts:9: model may not import xds (src/xds/messages.js)',
        'src/model/store.ts:10: model imports src/app/late.js: only cli imports app',
      ],
    );
  });

  it('holds parts of folders', () => {
    const own = findImportTable(ownTable)!;
    const why = (file: string, specifier: string) =>
      importsOf(file, `import { x } from '${specifier}';`).map((one) => whyNotAllowed(own, one) !== undefined)[0];
    assert.equal(why('src/compile/x.ts', '../xds/messages.js'), false);
    assert.equal(why('src/compile/x.ts', '../xds/client/ads-client.js'), true);
    assert.equal(why('src/proxy/http/x.ts', '../../xds/client/ads-client.js'), false);
    assert.equal(why('src/proxy/http/x.ts', '../../xds/server/ads-server.js'), true);
    assert.equal(why('src/kubernetes/x.ts', '../sources/source.js'), false);
    assert.equal(why('src/kubernetes/x.ts', '../sources/directory.js'), true);
    assert.equal(why('src/canary/x.ts', '../telemetry/series.js'), false);
    assert.equal(why('src/sources/x.ts', '../telemetry/series.js'), true);
    assert.equal(why('src/cli/x.ts', '../admin/routes.js'), true);
    assert.equal(why('src/cli/x.ts', '../app/up/up.js'), false);
    assert.equal(why('src/util/x.ts', '../identity/der.js'), true);
  });

  it('finds circles', () => {
    const of = (file: string, target: string) => ({ file, line: 1, target, isType: false });
    assert.deepEqual(
      findCycles([
        of('src/a/x.ts', 'src/b/y.js'),
        of('src/b/y.ts', 'src/c/z.js'),
        of('src/c/z.ts', 'src/a/x.js'),
        of('src/c/z.ts', 'src/d/w.js'),
      ]),
      ['a -> b -> c -> a'],
    );
  });

  it('refuses a table that it does not understand', () => {
    assert.throws(
      () => findImportTable('## Import table\n|a|b|\n|-|-|\n| api | whatever it likes |\n'),
      /whatever it likes/,
    );
  });
});
