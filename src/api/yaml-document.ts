// Reads YAML that may be anything: positions for every field, and bounds on what a hostile file can cost.
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  visit,
  type Document,
  type Node,
  type ParsedNode,
  type YAMLMap,
} from 'yaml';
import { findTooDeep } from './yaml-depth.js';

/** Largest file that is read, in bytes. */
export const largestFile = 4 * 1024 * 1024;
/** Most documents in one file. */
const mostDocuments = 10_000;
/** Most collections within each other. */
const mostNesting = 100;
/** Most uses of one anchor, counted through the anchors that it uses itself. */
const mostAliases = 100;

/** One document of a file: its value, and the line of any path in it. */
export interface YamlDocument {
  /** Plain data; null for an empty document. */
  readonly value: unknown;
  /** Line of the field at `path`, or of the nearest enclosing one, from 1. */
  lineOf(path: readonly PropertyKey[]): number;
}

export interface YamlProblem {
  readonly line: number;
  readonly message: string;
}

/** Every document of `text`, or why the text is not YAML. */
export function parseYaml(
  text: string,
): { readonly documents: readonly YamlDocument[] } | { readonly problem: YamlProblem } {
  if (text.length > largestFile)
    return { problem: { line: 0, message: `is larger than ${largestFile / 1024 / 1024} MiB` } };
  const tooDeep = findTooDeep(text, mostNesting);
  if (tooDeep !== undefined)
    return { problem: { line: tooDeep, message: `nests more than ${mostNesting} lists and maps within each other` } };
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    version: '1.2',
    merge: true,
    uniqueKeys: false, // checked below: the library compares each key with each
    logLevel: 'error',
  });
  if (!Array.isArray(parsed)) return { documents: [] };
  if (parsed.length > mostDocuments)
    return { problem: { line: 0, message: `holds more than ${mostDocuments} documents` } };
  const documents: YamlDocument[] = [];
  for (const document of parsed as Document.Parsed[]) {
    const [trouble] = [...document.errors, ...document.warnings];
    if (trouble !== undefined)
      return { problem: { line: lines.linePos(trouble.pos[0]).line, message: oneLine(trouble.message) } };
    const twice = findKeyTwice(document);
    if (twice !== undefined)
      return {
        problem: { line: lines.linePos(twice.offset).line, message: `the key ${twice.key} stands twice in one map` },
      };
    try {
      const value: unknown = document.toJS({ maxAliasCount: mostAliases });
      if (containsItself(value))
        return { problem: { line: lineOf(document, [], lines), message: 'an alias stands inside of what it names' } };
      documents.push({ value, lineOf: (path) => lineOf(document, path, lines) });
    } catch (error) {
      return { problem: { line: lineOf(document, [], lines), message: oneLine((error as Error).message) } };
    }
  }
  return { documents };
}

/** The first key that a map of the document has twice. */
function findKeyTwice(document: Document.Parsed): { readonly key: string; readonly offset: number } | undefined {
  let found: { readonly key: string; readonly offset: number } | undefined;
  visit(document, {
    Map(_, map: YAMLMap) {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const text = String(key.value);
        if (seen.has(text) && text !== '<<') {
          found = { key: text, offset: key.range?.[0] ?? 0 };
          return visit.BREAK;
        }
        seen.add(text);
      }
      return undefined;
    },
  });
  return found;
}

/** Whether plain data leads back to itself, which an alias inside of its own anchor does. */
function containsItself(value: unknown, above = new Set<unknown>(), done = new Set<unknown>()): boolean {
  if (typeof value !== 'object' || value === null || done.has(value)) return false;
  if (above.has(value)) return true;
  above.add(value);
  const found = Object.values(value).some((item) => containsItself(item, above, done));
  above.delete(value);
  done.add(value);
  return found;
}

function lineOf(document: Document.Parsed, path: readonly PropertyKey[], lines: LineCounter): number {
  let node: ParsedNode | Node | null = document.contents;
  let offset = node?.range?.[0] ?? document.range[0];
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
      if (pair === undefined) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value as Node | null;
    } else if (isSeq(node)) {
      const item = node.items[Number(step)] as Node | undefined;
      if (item === undefined) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return lines.linePos(offset).line;
}

function oneLine(message: string): string {
  return message.split('\n', 1)[0]!.replace(/ at line \d+, column \d+:?$/, '');
}
