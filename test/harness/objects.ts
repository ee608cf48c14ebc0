// Objects for unit tests, written as users write them: the YAML of a spec, and what validation makes of it.
import assert from 'node:assert/strict';
import type {
  AuthorizationPolicy,
  DestinationRule,
  PeerAuthentication,
  ServiceEntry,
  VirtualService,
  WorkloadEntry,
} from '../../src/api/kinds.js';
import { kinds } from '../../src/api/kinds.js';
import type { MeshFile } from '../../src/api/mesh-file.js';
import type { MeshObject } from '../../src/api/object.js';
import { validateFile, validateMeshFile } from '../../src/api/validate.js';

interface Objects {
  VirtualService: VirtualService;
  DestinationRule: DestinationRule;
  PeerAuthentication: PeerAuthentication;
  AuthorizationPolicy: AuthorizationPolicy;
  ServiceEntry: ServiceEntry;
  WorkloadEntry: WorkloadEntry;
}

export interface Naming {
  readonly name?: string;
  readonly namespace?: string;
}

/** Lines before the spec in what is validated. */
const linesBefore = 5;

function read(kind: string, spec: string, { name = 'test', namespace = 'default' }: Naming = {}) {
  const group = kinds.find((candidate) => candidate.kind === kind)!.group;
  const indented = spec.replace(/^(?=.)/gm, '  ');
  const text = `apiVersion: ${group}/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\n# what follows is line 1\nspec:\n${indented}`;
  const [result, more] = validateFile('test.yaml', text);
  assert.ok(result !== undefined && more === undefined, 'is one document');
  return result;
}

/** The object with that spec. */
export function objectOf<K extends keyof Objects>(kind: K, spec: string, naming?: Naming): Objects[K] {
  const result = read(kind, spec, naming);
  assert.ok('object' in result, `refused: ${JSON.stringify(result.diagnostics, null, 1)}`);
  return result.object as MeshObject<never> as Objects[K];
}

/** What is said of a spec that is refused, as `CODE line path: message`; the line is that of the spec, from 1. */
export function refusalsOf(kind: keyof Objects, spec: string): string[] {
  const result = read(kind, spec);
  assert.ok(!('object' in result), 'was taken');
  return result.diagnostics.map(
    ({ code, line, path, message }) => `${code} ${line - linesBefore} ${path.replace(/^spec\.?/, '')}: ${message}`,
  );
}

export function meshFileOf(text: string): MeshFile {
  const result = validateMeshFile('mesh.yaml', text);
  assert.ok('mesh' in result, `refused: ${JSON.stringify(result)}`);
  return result.mesh;
}

/** What is said of a mesh.yaml that is refused, as `CODE line path: message`. */
export function meshFileRefusalsOf(text: string): string[] {
  const result = validateMeshFile('mesh.yaml', text);
  assert.ok('diagnostics' in result, 'was taken');
  return result.diagnostics.map(({ code, line, path, message }) => `${code} ${line} ${path}: ${message}`);
}
