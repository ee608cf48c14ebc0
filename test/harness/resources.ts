// What proxies receive, as JSON that can be read and compared.
import type { JsonValue } from '@bufbuild/protobuf';
import { resourceToJson } from '../../src/xds/json.js';
import type { Resources, ResourceType } from '../../src/xds/resources.js';
export { typeRegistry } from '../../src/xds/json.js';

/** One resource as protobuf's JSON; undefined where the set has none of that name. */
export function jsonOf(resources: Resources, type: ResourceType, name: string): JsonValue | undefined {
  const resource = resources[type].get(name);
  return resource && resourceToJson(type, resource);
}

/** The value without fields of these names, wherever they stand. */
export function without(value: JsonValue, names: ReadonlySet<string>): JsonValue {
  if (Array.isArray(value)) return value.map((item) => without(item, names));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !names.has(name))
      .map(([name, item]) => [name, without(item, names)]),
  );
}
