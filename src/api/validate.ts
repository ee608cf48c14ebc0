// Turns documents into validated objects, or into diagnostics that say what is wrong, where, and what to do.
import { closestWord } from '../util/closest.js';
import type { Diagnostic, DiagnosticCode } from './diagnostic.js';
import { kinds, refusedKinds, type Kind } from './kinds.js';
import { meshFileSchema, type MeshFile } from './mesh-file.js';
import type { MeshObject } from './object.js';
import { unsupported, z } from './schema.js';
import { parseYaml, type YamlDocument } from './yaml-document.js';

/** What is known of an object that is refused. */
export type RefusedIdentity = Pick<MeshObject, 'kind' | 'namespace' | 'name' | 'apiVersion' | 'origin'>;

/** What one document of a file turned out to be. */
export type DocumentResult =
  | { readonly object: MeshObject; readonly diagnostics: readonly Diagnostic[] }
  | {
      /** Undefined where the document names no object; else the last good version of the object may go on working. */
      readonly refused: RefusedIdentity | undefined;
      readonly diagnostics: readonly Diagnostic[];
    };

const metadataSchema = z.looseObject({
  name: z
    .string({ error: ({ input }) => (input === undefined || input === null ? 'needs a name' : undefined) })
    .regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'must be a name of lower-case letters, digits, dashes and dots'),
  namespace: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be a namespace')
    .optional(),
  labels: z.record(z.string(), z.string()).nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
});

/** Reads one file of objects. */
export function validateFile(file: string, text: string): readonly DocumentResult[] {
  const parsed = parseYaml(text);
  if ('problem' in parsed) {
    const message = `cannot be read as YAML: ${parsed.problem.message}; the objects that this file held before keep working`;
    return [
      refuse(undefined, [
        { severity: 'error', code: 'LAT0003', object: '', file, line: parsed.problem.line, path: '', message },
      ]),
    ];
  }
  return parsed.documents.flatMap((document) => validateDocument(file, document));
}

function validateDocument(file: string, document: YamlDocument): DocumentResult[] {
  const { value } = document;
  if (value === null || value === undefined) return [];
  if (isRecord(value) && value['kind'] === 'List' && Array.isArray(value['items']))
    return value['items'].map((item: unknown, i) =>
      validateObject(file, { value: item, lineOf: (path) => document.lineOf(['items', i, ...path]) }),
    );
  return [validateObject(file, document)];
}

function validateObject(file: string, document: YamlDocument): DocumentResult {
  const { value } = document;
  const origin = { file, line: document.lineOf([]) };
  if (!isRecord(value) || typeof value['apiVersion'] !== 'string' || typeof value['kind'] !== 'string') {
    const message = 'has no apiVersion and kind, so it is not an object of a mesh; it is ignored';
    return refuse(undefined, [
      { severity: 'warning', code: 'LAT0005', object: '', file, line: origin.line, path: '', message },
    ]);
  }
  const { apiVersion, kind: kindName } = value as { apiVersion: string; kind: string };
  const metadata = metadataSchema.safeParse(value['metadata'] ?? {});
  const raw = isRecord(value['metadata']) ? value['metadata'] : {};
  const name = typeof raw['name'] === 'string' ? raw['name'] : '';
  const namespace = typeof raw['namespace'] === 'string' ? raw['namespace'] : 'default';
  const object = `${kindName}/${namespace}/${name}`;
  const identity = name === '' ? undefined : { apiVersion, kind: kindName, name, namespace, origin };
  const kind = findKindOf(apiVersion, kindName);
  if (typeof kind === 'string')
    return refuse(identity, [
      { severity: 'error', code: 'LAT0001', object, file, line: origin.line, path: 'kind', message: kind },
    ]);

  const issues: LocatedIssue[] = [
    ...(metadata.success ? [] : locate(metadata.error.issues, ['metadata'])),
    ...unknownTopLevel(value).map((key) => ({
      path: [key],
      code: 'IST0106' as const,
      message: unknownKeyMessage(key, ['metadata', 'spec']),
    })),
  ];
  if (metadata.success) issues.push(...refusedAnnotations(kind, metadata.data.annotations ?? {}));
  const spec = kind.spec.safeParse(value['spec'] ?? {}, { reportInput: false });
  if (!spec.success) issues.push(...locate(spec.error.issues, ['spec'], kind.spec));
  if (issues.length > 0 || !spec.success || !metadata.success) {
    const diagnostics = issues.map(({ path, code, message }): Diagnostic => ({
      severity: 'error',
      code,
      object,
      file,
      line: document.lineOf(path),
      path: formatPath(path),
      message,
    }));
    return refuse(identity, diagnostics);
  }
  return {
    object: {
      apiVersion,
      kind: kindName,
      name,
      namespace,
      labels: metadata.data.labels ?? {},
      annotations: metadata.data.annotations ?? {},
      spec: spec.data,
      origin,
    },
    diagnostics: [],
  };
}

/** Reads mesh.yaml. */
export function validateMeshFile(
  file: string,
  text: string,
): { readonly mesh: MeshFile } | { readonly diagnostics: readonly Diagnostic[] } {
  const fail = (line: number, path: string, message: string, code: DiagnosticCode = 'LAT0006'): Diagnostic => ({
    severity: 'error',
    code,
    object: '',
    file,
    line,
    path,
    message,
  });
  const parsed = parseYaml(text);
  if ('problem' in parsed)
    return {
      diagnostics: [fail(parsed.problem.line, '', `cannot be read as YAML: ${parsed.problem.message}`, 'LAT0003')],
    };
  const [document, second] = parsed.documents.filter((d) => d.value !== null);
  if (document === undefined) return { diagnostics: [fail(1, '', 'is empty; it needs `services`')] };
  if (second !== undefined)
    return {
      diagnostics: [fail(second.lineOf([]), '', 'holds a second document; put objects into files of their own')],
    };
  const result = meshFileSchema.safeParse(document.value);
  if (result.success) return { mesh: result.data };
  return {
    diagnostics: locate(result.error.issues, [], meshFileSchema).map(({ path, code, message }) =>
      fail(document.lineOf(path), formatPath(path), message, code === 'IST0106' ? 'LAT0006' : code),
    ),
  };
}

/** The kind, or the sentence that refuses it. */
function findKindOf(apiVersion: string, name: string): Kind | string {
  const slash = apiVersion.indexOf('/');
  const [group, version] = [apiVersion.slice(0, Math.max(0, slash)), apiVersion.slice(slash + 1)];
  const kind = kinds.find((candidate) => candidate.group === group && candidate.kind === name);
  if (kind !== undefined)
    return kind.versions.includes(version)
      ? kind
      : `${name} exists in ${groupName(group)} as ${kind.versions.join(', ')}, not as ${version}; change apiVersion`;
  if (Object.hasOwn(refusedKinds, group) && refusedKinds[group]!.includes(name))
    return `${name} of ${apiVersion} is not supported yet; remove the object or keep it out of this folder`;
  const elsewhere = kinds.find((candidate) => candidate.kind === name);
  if (elsewhere !== undefined)
    return `${name} belongs to ${groupName(elsewhere.group)}, not to ${groupName(group)}; write apiVersion: ${[elsewhere.group, elsewhere.versions[0]].filter(Boolean).join('/')}`;
  const guess = closestWord(
    name,
    kinds.map((candidate) => candidate.kind),
  );
  return `${name} of ${apiVersion} is not a kind that this mesh knows${guess === undefined ? '' : `; did you mean ${guess}?`}`;
}

function groupName(group: string): string {
  return group === '' ? 'the core group' : group;
}

interface LocatedIssue {
  readonly path: readonly PropertyKey[];
  readonly code: DiagnosticCode;
  readonly message: string;
}

/** Flattens the library's issues into one sentence each, with the full path. */
function locate(
  issues: readonly z.core.$ZodIssue[],
  prefix: readonly PropertyKey[],
  schema?: z.ZodType,
): LocatedIssue[] {
  return issues.flatMap((issue): LocatedIssue[] => {
    const path = [...prefix, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      const known = schema === undefined ? [] : keysAt(schema, issue.path);
      return issue.keys.map((key) => ({
        path: [...path, key],
        code: 'IST0106',
        message: unknownKeyMessage(key, known),
      }));
    }
    if (issue.code === 'invalid_key')
      return issue.issues.map((inner) => ({ path, code: 'IST0106', message: sentence(inner) }));
    const params = issue.code === 'custom' ? issue.params : undefined;
    return [{ path, code: params?.['code'] === unsupported ? 'LAT0002' : 'IST0106', message: sentence(issue) }];
  });
}

function sentence(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type')
    return issue.message.replace(
      /^Invalid input: expected (\w+), received (\w+)$/,
      (_, expected: string, received: string) =>
        received === 'undefined'
          ? `is missing; it must be ${article(expected)}`
          : `must be ${article(expected)}, not ${article(received)}${isPlain(received) && expected === 'string' ? '; quote it' : ''}`,
    );
  if (issue.code === 'invalid_value')
    return issue.message.startsWith('Invalid')
      ? `must be one of ${issue.values.map(String).join(', ')}`
      : issue.message;
  return issue.message;
}

/** Whether quotes make a string of it. */
function isPlain(type: string): boolean {
  return type === 'number' || type === 'boolean';
}

function article(type: string): string {
  return type === 'null' || type === 'undefined'
    ? 'empty'
    : `${/^[aeio]/.test(type) ? 'an' : 'a'} ${type === 'record' ? 'map' : type === 'int' ? 'whole number' : type}`;
}

function unknownKeyMessage(key: string, known: readonly string[]): string {
  const guess = closestWord(key, known);
  return `is not a known field${guess === undefined ? '' : `; did you mean ${guess}?`}`;
}

/** Annotations that would change what the object does, were they supported. */
function refusedAnnotations(kind: Kind, annotations: Readonly<Record<string, string>>): LocatedIssue[] {
  return Object.entries(kind.refusedAnnotations ?? {}).flatMap(([name, effect]): LocatedIssue[] => {
    const value = annotations[name];
    if (value === undefined || /^(0|f|F|false|FALSE|False)$/.test(value)) return [];
    return [
      {
        path: ['metadata', 'annotations', name],
        code: 'LAT0002',
        message: `is not supported yet (${effect}); remove the annotation or the object`,
      },
    ];
  });
}

function unknownTopLevel(value: Record<string, unknown>): string[] {
  return Object.keys(value).filter((key) => !['apiVersion', 'kind', 'metadata', 'spec', 'status'].includes(key));
}

/** Names of the fields that the schema has at `path`, for suggestions. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at: z.ZodType | undefined = schema;
  for (const step of path) {
    at = unwrap(at);
    if (at instanceof z.ZodObject) at = at.shape[String(step)] as z.ZodType | undefined;
    else if (at instanceof z.ZodArray) at = at.element as z.ZodType;
    else if (at instanceof z.ZodRecord) at = at.valueType as z.ZodType;
    else return [];
    if (at === undefined) return [];
  }
  at = unwrap(at);
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

function unwrap(schema: z.ZodType | undefined): z.ZodType | undefined {
  let at = schema;
  while (
    at instanceof z.ZodOptional ||
    at instanceof z.ZodDefault ||
    at instanceof z.ZodPrefault ||
    at instanceof z.ZodNullable
  )
    at = at.unwrap() as z.ZodType;
  return at;
}

/** `spec.http[0].match` for a path; names that are not plain words are quoted. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(String(step))) text += text === '' ? String(step) : `.${String(step)}`;
    else text += `[${JSON.stringify(String(step))}]`;
  }
  return text;
}

function refuse(identity: RefusedIdentity | undefined, diagnostics: readonly Diagnostic[]): DocumentResult {
  return { refused: identity, diagnostics };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
