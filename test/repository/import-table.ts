// Which folder of src may import which: reads the table that says so, and the imports that have to keep to it.
import { posix } from 'node:path';

/** What one folder may import of another. */
export interface Permission {
  readonly folder: string;
  /** Part of the folder, as the table words it; undefined: all of it. */
  readonly part: string | undefined;
}

/** Permissions by importing folder; `everything` for a composition root. */
export type ImportTable = ReadonlyMap<string, readonly Permission[] | 'everything'>;

/** One import of another file of src. */
export interface Import {
  readonly file: string;
  readonly line: number;
  readonly target: string;
  /** Whether it is gone when the code runs. */
  readonly isType: boolean;
}

/** Parts that the table names: which files of the folder they are. */
const parts: Readonly<Record<string, (path: string, isType: boolean) => boolean>> = {
  types: (_, isType) => isType,
  messages: (path) => /^(gen\/.*|messages\.js|resources\.js)$/.test(path),
  'messages and client': (path) => /^(gen\/.*|client\/.*|messages\.js|resources\.js)$/.test(path),
  interface: (path) => path === 'source.js',
  "the Store's interface": (path) => /^(store|snapshot)\.js$/.test(path),
  provenance: (path) => path === 'provenance.js',
  'matchers only': (path) => path === 'http/matchers.js',
};

/** Reads the rows `| folder | may import ... |` below the heading `## Import table`; undefined where there is no such table. */
export function findImportTable(markdown: string): ImportTable | undefined {
  const section = /^## Import table\s*$([^]*?)(?=^## |$(?![^]))/m.exec(markdown)?.[1];
  const rows = section
    ?.split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s:|-]+\|$/.test(line))
    .map((line) => line.split('|').slice(1, 3))
    .slice(1);
  if (rows === undefined || rows.length === 0) return undefined;
  const table = new Map<string, readonly Permission[] | 'everything'>();
  for (const [folders, cell] of rows)
    for (const folder of folders!.split(',').map(plain)) table.set(folder, permissionsOf(folder, cell!));
  return table;
}

/** Reads `api, xds (messages); canary: telemetry`: what stands behind a folder's name and a colon is for that folder alone. */
function permissionsOf(folder: string, cell: string): readonly Permission[] | 'everything' {
  const found: Permission[] = [];
  for (const segment of cell.split(';')) {
    const [, only, list] = /^\s*(?:`?([a-z]+)`?:)?(.*)$/.exec(segment)!;
    if (only !== undefined && only !== folder) continue;
    for (const item of list!.split(/,(?![^(]*\))/).map(plain)) {
      if (item === 'everything') return 'everything';
      if (item === '' || item.startsWith('nothing')) continue;
      const match = /^([a-z]+)(?: \(([^)]+)\))?$/.exec(item);
      if (match === null || (match[2] !== undefined && parts[match[2]] === undefined))
        throw new Error(
          `the import table says "${item}" of ${folder}; write names of folders with a comma between them, and behind a name at most one of: ${Object.keys(
            parts,
          )
            .map((part) => `(${part})`)
            .join(' ')}`,
        );
      found.push({ folder: match[1]!, part: match[2] });
    }
  }
  return found;
}

function plain(text: string): string {
  return text.replaceAll('`', '').trim();
}

const importStatement =
  /(?:^|[;}])\s*(?:import|export)\s+(type\s+)?(?:[\w$*\s{},]*?\sfrom\s*)?(['"])([^'"]+)\2|\bimport\(\s*(['"])([^'"]+)\4\s*\)/gm;

/** Imports of other files of the project that a file has. */
export function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(importStatement)].flatMap((match) => {
    const specifier = match[3] ?? match[5]!;
    if (!specifier.startsWith('.')) return [];
    const at = match.index + match[0].lastIndexOf(specifier);
    return [
      {
        file,
        line: text.slice(0, at).split('\n').length,
        target: posix.join(posix.dirname(file), specifier),
        isType: match[1] !== undefined,
      },
    ];
  });
}

/** Folder of src that a path lies in; the empty text for files directly in src, undefined outside. */
export function folderOf(path: string): string | undefined {
  return /^src\/(?:([^/]+)\/)?[^/]/.exec(path)?.[1] ?? (path.startsWith('src/') ? '' : undefined);
}

/** What is wrong with an import, as `file:line: sentence`; undefined where nothing is. */
export function whyNotAllowed(table: ImportTable, { file, line, target, isType }: Import): string | undefined {
  const from = folderOf(file)!;
  const to = folderOf(target);
  const fail = (sentence: string) => `${file}:${line}: ${sentence}`;
  if (to === undefined) return fail(`imports ${target}, which is not in src`);
  if (from === to || to === 'util') return undefined;
  if (from === '')
    return to === 'cli' || to === 'app' ? undefined : fail(`${file} may import cli and app, not ${target}`);
  if (to === 'app' && from === 'cli') return undefined;
  if (to === 'app' || to === 'cli' || to === '') return fail(`${from} imports ${target}: only cli imports app`);
  const allowed = table.get(from);
  if (allowed === undefined) return fail(`the import table has no row for ${from}`);
  if (allowed === 'everything') return undefined;
  const permissions = allowed.filter(({ folder }) => folder === to);
  if (permissions.length === 0) return fail(`${from} may not import ${to} (${target})`);
  const path = target.slice(`src/${to}/`.length);
  return permissions.some(({ part }) => part === undefined || parts[part]!(path, isType))
    ? undefined
    : fail(`${from} may import of ${to} only ${permissions.map(({ part }) => part).join(', ')}, not ${path}`);
}

/** Folders that import each other in a circle, as `a -> b -> a`; every circle once. */
export function findCycles(imports: readonly Import[]): string[] {
  const edges = new Map<string, Set<string>>();
  for (const { file, target, isType } of imports) {
    const [from, to] = [folderOf(file), folderOf(target)];
    if (from === undefined || to === undefined || from === to || (isType && from === 'cli')) continue;
    edges.set(from, (edges.get(from) ?? new Set()).add(to));
  }
  const cycles = new Set<string>();
  const walk = (folder: string, trail: readonly string[]) => {
    const at = trail.indexOf(folder);
    if (at >= 0) {
      const circle = trail.slice(at);
      const first = circle.indexOf([...circle].sort()[0]!);
      cycles.add([...circle.slice(first), ...circle.slice(0, first), circle[first]!].join(' -> '));
      return;
    }
    for (const next of edges.get(folder) ?? []) walk(next, [...trail, folder]);
  };
  for (const folder of edges.keys()) walk(folder, []);
  return [...cycles].sort();
}
