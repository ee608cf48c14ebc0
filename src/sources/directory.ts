// The folder of a mesh as a source of objects: every YAML file in it but mesh.yaml, read again when it changes.
import { watch, type FSWatcher } from 'chokidar';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { largestFile } from '../api/yaml-document.js';
import { objectKey, type MeshObject } from '../api/object.js';
import { validateFile, type DocumentResult } from '../api/validate.js';
import { codeOf, messageOf } from '../util/errors.js';
import type { Logger } from '../util/logger.js';
import { mergeDocuments, type FileDocuments } from './merge-documents.js';
import type { Source, SourceState } from './source.js';

/** The file that says what runs; it is not an object. */
export const meshFileName = 'mesh.yaml';
/** Changes are read when the folder has been quiet for this long: editors write in several steps. */
const quietMs = 100;
/** How often the folder is read where the system cannot watch it. */
const pollMs = 1000;
/** Files beyond these are not read, and that is said. */
const mostFiles = 5000;

/** Keeps the last good version of every object beyond this process. */
export interface LastGoodStore {
  load(): readonly MeshObject[];
  save(objects: readonly MeshObject[]): void;
}

interface KnownFile {
  readonly stamp: string;
  readonly documents: readonly DocumentResult[];
}

export class DirectorySource implements Source {
  readonly #root: string;
  readonly #lastGoodStore: LastGoodStore;
  readonly #log: Logger;
  readonly #watchers = new Set<(state: SourceState) => void>();
  #files = new Map<string, KnownFile>();
  #lastGood: ReadonlyMap<string, MeshObject> = new Map();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(root: string, lastGoodStore: LastGoodStore, log: Logger) {
    this.#root = root;
    this.#lastGoodStore = lastGoodStore;
    this.#log = log;
  }

  async start(): Promise<SourceState> {
    this.#lastGood = new Map(this.#lastGoodStore.load().map((object) => [objectKey(object), object]));
    const watcher = watch(this.#root, { ignored: (path) => isIgnored(this.#root, path), ignoreInitial: true });
    this.#watcher = watcher;
    watcher.on('all', () => this.#schedule());
    watcher.on('error', (error) => this.#pollInstead(messageOf(error)));
    await new Promise<void>((resolve) => watcher.once('ready', resolve));
    return this.#read();
  }

  watch(watcher: (state: SourceState) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    clearInterval(this.#poll);
    this.#watchers.clear();
    await this.#watcher?.close();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const state = this.#read();
      for (const watcher of this.#watchers) watcher(state);
    }, quietMs);
  }

  #pollInstead(reason: string): void {
    if (this.#poll !== undefined) return;
    this.#log.warn('cannot watch the folder; it is read once a second instead', { folder: this.#root, reason });
    this.#poll = setInterval(() => this.#schedule(), pollMs);
  }

  /** Reads what changed and merges everything. */
  #read(): SourceState {
    const files = new Map<string, KnownFile>();
    const unreadable: FileDocuments[] = [];
    const paths = listFiles(this.#root, (folder, error) =>
      unreadable.push({ file: folder, documents: [notReadable(folder, error)] }),
    );
    for (const path of paths) files.set(path, this.#readFile(path));
    this.#files = files;
    const ordered: FileDocuments[] = [...files]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([file, { documents }]) => ({ file, documents }));
    const state = mergeDocuments([...ordered, ...unreadable], this.#lastGood);
    this.#remember(state.objects);
    return state;
  }

  #readFile(path: string): KnownFile {
    const absolute = join(this.#root, path);
    try {
      const { mtimeMs, size, ino } = statSync(absolute);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      const known = this.#files.get(path);
      if (known?.stamp === stamp) return known;
      const text = size > largestFile ? ' '.repeat(largestFile + 1) : readFileSync(absolute, 'utf8');
      return { stamp, documents: validateFile(path, text) };
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return { stamp: '', documents: [] };
      return { stamp: '', documents: [notReadable(path, error)] };
    }
  }

  /** What is in force now is the last good version of tomorrow. */
  #remember(objects: readonly MeshObject[]): void {
    const before = [...this.#lastGood.values()];
    this.#lastGood = new Map(objects.map((object) => [objectKey(object), object]));
    if (objects.length === before.length && objects.every((object, i) => object === before[i])) return;
    try {
      this.#lastGoodStore.save(objects);
    } catch (error) {
      this.#log.error('cannot save the last good configuration; it is kept in memory only', {
        reason: messageOf(error),
      });
    }
  }
}

function notReadable(file: string, error: unknown): DocumentResult {
  const message = `cannot be read: ${messageOf(error)}; the objects that it held before keep working`;
  return {
    refused: undefined,
    diagnostics: [{ severity: 'error', code: 'LAT0003', object: '', file, line: 0, path: '', message }],
  };
}

function isIgnored(root: string, path: string): boolean {
  const name = basename(path);
  return path !== root && (name.startsWith('.') || name === 'node_modules');
}

/** YAML files below the folder, relative to it, without mesh.yaml and hidden ones. */
function listFiles(root: string, onUnreadable: (folder: string, error: unknown) => void): string[] {
  const found: string[] = [];
  const nameOf = (path: string) => relative(root, path).split(sep).join('/');
  const entriesOf = (folder: string) => {
    try {
      return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') onUnreadable(`${nameOf(folder) || '.'}/`, error);
      return [];
    }
  };
  const walk = (folder: string) => {
    for (const entry of entriesOf(folder)) {
      const path = join(folder, entry.name);
      if (isIgnored(root, path) || found.length > mostFiles) continue;
      if (entry.isDirectory()) walk(path);
      else if (/\.ya?ml$/.test(entry.name) && path !== join(root, meshFileName)) found.push(nameOf(path));
    }
  };
  walk(root);
  if (found.length > mostFiles) onUnreadable('./', new Error(`it holds more than ${mostFiles} YAML files`));
  return found.slice(0, mostFiles);
}
