// The common shape of what users write: kind, name, namespace, specification, and the place where it was written.

/** Where an object stands. */
export interface Origin {
  /** Path of the file, relative to the mesh's folder. */
  readonly file: string;
  /** First line of the document in the file, from 1. */
  readonly line: number;
}

/** A validated object of one kind. Frozen once accepted. */
export interface MeshObject<Spec = unknown> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Spec;
  readonly origin: Origin;
}

/** `Kind/namespace/name`: the identity of an object in every message. */
export function objectKey(object: Pick<MeshObject, 'kind' | 'namespace' | 'name'>): string {
  return `${object.kind}/${object.namespace}/${object.name}`;
}
