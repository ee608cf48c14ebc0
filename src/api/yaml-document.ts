// Reads YAML that may be anything: positions for every field, and bounds on what a hostile file can cost.
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type Node,
  type ParsedNode,
} from 'yaml';

/** Largest file that is read, in bytes. */
export const largestFile = 4 * 1024 * 1024;
/** Most documents in one file. */
const mostDocuments = 10_000;

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
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, version: '1.2', merge: true });
  if (!Array.isArray(parsed)) return { documents: [] };
  if (parsed.length > mostDocuments)
    return { problem: { line: 0, message: `holds more than ${mostDocuments} documents` } };
  const documents: YamlDocument[] = [];
  for (const document of parsed as Document.Parsed[]) {
    const [trouble] = [...document.errors, ...document.warnings];
    if (trouble !== undefined)
      return { problem: { line: lines.linePos(trouble.pos[0]).line, message: oneLine(trouble.message) } };
    try {
      documents.push({ value: document.toJS({ maxAliasCount: 100 }), lineOf: (path) => lineOf(document, path, lines) });
    } catch (error) {
      return { problem: { line: lineOf(document, [], lines), message: oneLine((error as Error).message) } };
    }
  }
  return { documents };
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
