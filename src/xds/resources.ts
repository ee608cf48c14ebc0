// Resources as they travel: a type, a name, a version that is the hash of the content, and the encoded message.
import { toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { contentHash } from '../util/hash.js';
import { memoize } from '../util/memoize.js';
import { ClusterLoadAssignmentSchema, ClusterSchema, ListenerSchema, RouteConfigurationSchema } from './messages.js';

/** The types that a mesh's proxies ask for, in the order in which changes are sent: a name is defined before it is used. */
export const resourceTypes = ['cluster', 'endpoints', 'listener', 'routes'] as const;
export type ResourceType = (typeof resourceTypes)[number];

export const resourceSchemas = {
  cluster: ClusterSchema,
  endpoints: ClusterLoadAssignmentSchema,
  listener: ListenerSchema,
  routes: RouteConfigurationSchema,
} as const;

const typePrefix = 'type.googleapis.com/';

export function typeUrlOf(type: ResourceType): string {
  return typePrefix + resourceSchemas[type].typeName;
}

export function findResourceType(typeUrl: string): ResourceType | undefined {
  return resourceTypes.find((type) => typeUrlOf(type) === typeUrl);
}

/** One resource, encoded once and shared by all who receive it. */
export interface VersionedResource {
  readonly name: string;
  readonly version: string;
  readonly typeUrl: string;
  readonly bytes: Uint8Array;
}

export type ResourceSet = ReadonlyMap<string, VersionedResource>;
export type Resources = Readonly<Record<ResourceType, ResourceSet>>;

export const emptyResources: Resources = {
  cluster: new Map(),
  endpoints: new Map(),
  listener: new Map(),
  routes: new Map(),
};

/** One version for many resources, the same for the same names and versions in whatever order. */
export function versionOfAll(versions: Iterable<readonly [name: string, version: string]>): string {
  return contentHash(
    [...versions]
      .map(([name, version]) => `${name}\0${version}\0`)
      .sort()
      .join(''),
  );
}

/** Encodes a message; the same message object is encoded once, and forgotten with it. */
export function encodeResource<T extends ResourceType>(
  type: T,
  name: string,
  message: MessageShape<(typeof resourceSchemas)[T]>,
): VersionedResource {
  return encodeOnce(message, type, name);
}

/** The message comes first: what is remembered hangs on it and goes with it. */
const encodeOnce = memoize(
  (
    message: MessageShape<(typeof resourceSchemas)[ResourceType]>,
    type: ResourceType,
    name: string,
  ): VersionedResource => {
    const bytes = toBinary(resourceSchemas[type] as DescMessage, message);
    return { name, version: contentHash(bytes), typeUrl: typeUrlOf(type), bytes };
  },
);
