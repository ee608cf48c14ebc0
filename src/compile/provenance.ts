// What compiling remembers besides its result: which object decided, and what was left out and why.
import type { JsonObject } from '@bufbuild/protobuf';
import { objectKey, type MeshObject } from '../api/object.js';

/** Namespace of our metadata in Envoy's messages. */
export const metadataNamespace = 'lateen.dev';

/** A part of an object that is not in force for a proxy, and why. */
export interface Omission {
  /** `Kind/namespace/name`. */
  readonly object: string;
  /** Field, such as `spec.http[1]`. */
  readonly path: string;
  readonly reason: string;
}

/** Metadata that names the object and the field from which a message came. */
export function provenance(object: MeshObject, path: string): { filterMetadata: Record<string, JsonObject> } {
  return { filterMetadata: { [metadataNamespace]: { object: objectKey(object), path } } };
}
