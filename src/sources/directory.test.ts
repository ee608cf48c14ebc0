// The folder of a mesh: which files are read, what is remembered, and that changes are told.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import type { MeshObject } from '../api/object.js';
import { Logger } from '../util/logger.js';
import { DirectorySource, type LastGoodStore } from './directory.js';
import type { SourceState } from './source.js';

const base = mkdtempSync(join(tmpdir(), 'lateen-directory-'));
after(() => rmSync(base, { recursive: true, force: true }));

const rule = (name: string, host = name) =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ${name}}\nspec: {host: ${host}}\n`;

class MemoryStore implements LastGoodStore {
  saved: (readonly MeshObject[])[] = [];
  constructor(readonly objects: readonly MeshObject[] = []) {}
  load = () => this.objects;
  save = (objects: readonly MeshObject[]) => {
    this.saved.push(objects);
  };
}

const sources: DirectorySource[] = [];
afterEach(async () => {
  for (const source of sources.splice(0)) await source.close();
});

let count = 0;
/** A folder with these files, and its source. */
function folderOf(
  files: Readonly<Record<string, string>>,
  store: LastGoodStore = new MemoryStore(),
  log: string[] = [],
) {
  const root = join(base, String(++count));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  mkdirSync(root);
  for (const [path, text] of Object.entries(files)) write(path, text);
  const source = new DirectorySource(root, store, new Logger('test', 'error', (line) => log.push(line)));
  sources.push(source);
  const next = () =>
    new Promise<SourceState>((resolve) => {
      const stop = source.watch((state) => {
        stop();
        resolve(state);
      });
    });
  return { root, source, write, next };
}

const names = (state: SourceState) =>
  state.objects.map(({ name, spec, origin }) => `${origin.file} ${name}=${(spec as { host: string }).host}`);

describe('the folder of a mesh', () => {
  it('is read with all YAML files below it, in the order of their paths', async () => {
    const { source } = folderOf({
      'b.yml': rule('b'),
      'a.yaml': rule('a'),
      'sub/deep/c.yaml': rule('c'),
      'sub/mesh.yaml': rule('m'),
      'mesh.yaml': 'services: {}',
      'notes.txt': 'no',
      '.hidden.yaml': rule('hidden'),
      '.lateen/x.yaml': rule('state'),
      'node_modules/x/y.yaml': rule('module'),
    });
    const state = await source.start();
    assert.deepEqual(names(state), ['a.yaml a=a', 'b.yml b=b', 'sub/deep/c.yaml c=c', 'sub/mesh.yaml m=m']);
    assert.deepEqual(state.diagnostics, []);
  });

  it('may hold nothing', async () => {
    const { source } = folderOf({});
    assert.deepEqual(await source.start(), { objects: [], refused: [], diagnostics: [] });
  });

  it('says which file cannot be read, and reads the others', async () => {
    const { root, source } = folderOf({ 'a.yaml': rule('a') });
    symlinkSync('loop.yaml', join(root, 'loop.yaml'));
    const state = await source.start();
    assert.deepEqual(names(state), ['a.yaml a=a']);
    assert.deepEqual(
      state.diagnostics.map(({ code, file }) => ({ code, file })),
      [{ code: 'LAT0003', file: 'loop.yaml' }],
    );
    assert.match(state.diagnostics[0]!.message, /^cannot be read: .*; the objects that it held before keep working$/);
  });

  it('says so where it holds more files than are read, and keeps what was in force', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 5001 }, (_, i) => [`f${String(i).padStart(4, '0')}.yaml`, '']),
    );
    const earlier = await folderOf({ 'z.yaml': rule('z') }).source.start();
    const { source } = folderOf({ ...many, 'z.yaml': rule('z', 'new') }, new MemoryStore(earlier.objects));
    const state = await source.start();
    assert.deepEqual(
      state.diagnostics.map(({ code, file, message }) => `${code} ${file} ${message}`),
      ['LAT0003 ./ cannot be read: it holds more than 5000 YAML files; the objects that it held before keep working'],
    );
    assert.deepEqual(names(state), ['z.yaml z=z']);
  });

  it('treats a link that leads nowhere as a file that is gone', async () => {
    const { root, source } = folderOf({});
    symlinkSync('gone', join(root, 'link.yaml'));
    assert.deepEqual((await source.start()).diagnostics, []);
  });
});

describe('the last good version', () => {
  it('is saved once, and not again while nothing changes', async () => {
    const store = new MemoryStore();
    const { source, write, next } = folderOf({ 'a.yaml': rule('a') }, store);
    await source.start();
    assert.equal(store.saved.length, 1);
    const changed = next();
    write('a.yaml', `${rule('a')}# a comment\n`);
    await changed;
    assert.equal(store.saved.length, 1);
  });

  it('of an earlier run holds for what is invalid at the start', async () => {
    const earlier = folderOf({ 'a.yaml': rule('a', 'old') });
    const { objects } = await earlier.source.start();
    const { source } = folderOf(
      { 'a.yaml': 'a: [' },
      new MemoryStore(JSON.parse(JSON.stringify(objects)) as MeshObject[]),
    );
    assert.deepEqual(names(await source.start()), ['a.yaml a=old']);
  });

  it('of an earlier run is forgotten where the file is gone', async () => {
    const earlier = folderOf({ 'a.yaml': rule('a') });
    const { objects } = await earlier.source.start();
    const { source } = folderOf({}, new MemoryStore(objects));
    assert.deepEqual(names(await source.start()), []);
  });

  it('that cannot be saved is kept in memory', async () => {
    const lines: string[] = [];
    const store: LastGoodStore = {
      load: () => [],
      save: () => {
        throw new Error('no space left');
      },
    };
    const { source } = folderOf({ 'a.yaml': rule('a') }, store, lines);
    assert.deepEqual(names(await source.start()), ['a.yaml a=a']);
    assert.match(lines.join(''), /no space left/);
  });
});

describe('a change', () => {
  it('is told: a file that is new, changed, broken, mended, renamed and removed', async () => {
    const { root, source, write, next } = folderOf({ 'a.yaml': rule('a') });
    await source.start();
    const after = async (change: () => void) => {
      const told = next();
      change();
      return names(await told);
    };
    assert.deepEqual(await after(() => write('sub/b.yaml', rule('b'))), ['a.yaml a=a', 'sub/b.yaml b=b']);
    assert.deepEqual(await after(() => write('a.yaml', rule('a', 'new'))), ['a.yaml a=new', 'sub/b.yaml b=b']);
    assert.deepEqual(await after(() => write('a.yaml', 'a: [')), ['a.yaml a=new', 'sub/b.yaml b=b']);
    assert.deepEqual(await after(() => write('a.yaml', rule('a', 'newer'))), ['a.yaml a=newer', 'sub/b.yaml b=b']);
    assert.deepEqual(await after(() => renameSync(join(root, 'a.yaml'), join(root, 'z.yaml'))), [
      'sub/b.yaml b=b',
      'z.yaml a=newer',
    ]);
    assert.deepEqual(await after(() => rmSync(join(root, 'sub'), { recursive: true })), ['z.yaml a=newer']);
  });
});
