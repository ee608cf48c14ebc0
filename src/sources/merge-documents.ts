// Makes one state of many files: the first definition of an object counts, refused objects fall back to their last good
// version. Pure, so that every rule can be tested without files.
import { isDeepStrictEqual } from 'node:util';
import type { Diagnostic } from '../api/diagnostic.js';
import { objectKey, type MeshObject } from '../api/object.js';
import type { DocumentResult } from '../api/validate.js';
import type { RefusedObject, SourceState } from './source.js';

/** What one file holds, in the order of its documents. */
export interface FileDocuments {
  /** Relative path; a folder that cannot be read ends in `/`. */
  readonly file: string;
  readonly documents: readonly DocumentResult[];
}

/** Files sorted by path; `lastGood` holds the last good version of every object by key. */
export function mergeDocuments(
  files: readonly FileDocuments[],
  lastGood: ReadonlyMap<string, MeshObject>,
): SourceState {
  const objects = new Map<string, MeshObject>();
  const refused = new Map<string, RefusedObject>();
  const diagnostics: Diagnostic[] = [];
  const unreadable: string[] = [];
  for (const { file, documents } of files) {
    for (const document of documents) {
      if ('object' in document) {
        const { object } = document;
        const key = objectKey(object);
        const first = objects.get(key) ?? refused.get(key);
        if (first === undefined) objects.set(key, keepIdentity(lastGood.get(key), object));
        else diagnostics.push(duplicate(object, key, first));
        continue;
      }
      const identity = document.refused;
      const fallback = identity === undefined ? undefined : lastGood.get(objectKey(identity));
      diagnostics.push(
        ...document.diagnostics.map((diagnostic) =>
          withConsequence(diagnostic, identity !== undefined, fallback !== undefined),
        ),
      );
      if (identity === undefined) {
        if (document.diagnostics.some(({ code }) => code === 'LAT0003')) unreadable.push(file);
        continue;
      }
      const key = objectKey(identity);
      if (objects.has(key) || refused.has(key)) continue;
      refused.set(key, { ...identity, lastGoodInForce: fallback !== undefined });
      if (fallback !== undefined) objects.set(key, fallback);
    }
  }
  // What cannot be read at all keeps what it held before, but for what another file defines now.
  const kept = [...lastGood].filter(
    ([key, object]) => !objects.has(key) && unreadable.some((file) => isWithin(file, object.origin.file)),
  );
  return {
    objects: insertByFile(
      [...objects.values()],
      kept.map(([, object]) => object),
    ),
    refused: [...refused.values()],
    diagnostics,
  };
}

/** Puts objects where their files stand: the order decides which of two is older, and a slip of the pen must not turn it. */
function insertByFile(objects: readonly MeshObject[], kept: readonly MeshObject[]): MeshObject[] {
  const all = [...objects];
  for (const object of kept) {
    const next = all.findIndex(({ origin }) => origin.file > object.origin.file);
    all.splice(next < 0 ? all.length : next, 0, object);
  }
  return all;
}

/** Whether `path` is the file, or below the folder (`x/`; the root is `./`). */
function isWithin(file: string, path: string): boolean {
  return path === file || file === './' || (file.endsWith('/') && path.startsWith(file));
}

/** An object that did not change stays the same value, so that nothing is compiled again for it. */
function keepIdentity(old: MeshObject | undefined, object: MeshObject): MeshObject {
  return old !== undefined && isDeepStrictEqual(old, object) ? old : object;
}

function duplicate(object: MeshObject, key: string, first: Pick<MeshObject, 'origin'>): Diagnostic {
  return {
    severity: 'error',
    code: 'LAT0004',
    object: key,
    ...object.origin,
    path: 'metadata.name',
    message: `is already defined in ${first.origin.file}:${first.origin.line}, which counts; rename or remove one of them`,
  };
}

function withConsequence(diagnostic: Diagnostic, isObject: boolean, hasLastGood: boolean): Diagnostic {
  if (!isObject || diagnostic.severity !== 'error') return diagnostic;
  const consequence = hasLastGood
    ? 'the last good version keeps working'
    : 'the object has no effect until this is mended';
  return { ...diagnostic, message: `${diagnostic.message} (${consequence})` };
}
