// What proxies receive, as JSON that can be read and compared.
import { createRegistry, fromBinary, toJson, type DescMessage, type JsonValue } from '@bufbuild/protobuf';
import {
  CorsPolicySchema,
  CorsSchema,
  DownstreamTlsContextSchema,
  FileAccessLogSchema,
  HTTPFaultSchema,
  HeaderMutationSchema,
  HttpConnectionManagerSchema,
  HttpInspectorSchema,
  HttpRbacSchema,
  NetworkRbacSchema,
  PreviousHostsPredicateSchema,
  PreviousPrioritiesConfigSchema,
  HttpProtocolOptionsSchema,
  RawBufferSchema,
  RouterSchema,
  TcpProxySchema,
  TlsInspectorSchema,
  TypedStructSchema,
  UpstreamTlsContextSchema,
  UriTemplateMatchConfigSchema,
  ZipkinConfigSchema,
} from '../../src/xds/messages.js';
import { resourceSchemas, type Resources, type ResourceType } from '../../src/xds/resources.js';

/** Every message that stands in an Any. */
export const typeRegistry = createRegistry(
  CorsPolicySchema,
  CorsSchema,
  HTTPFaultSchema,
  PreviousHostsPredicateSchema,
  PreviousPrioritiesConfigSchema,
  DownstreamTlsContextSchema,
  FileAccessLogSchema,
  HeaderMutationSchema,
  HttpConnectionManagerSchema,
  HttpInspectorSchema,
  HttpRbacSchema,
  NetworkRbacSchema,
  HttpProtocolOptionsSchema,
  RawBufferSchema,
  RouterSchema,
  TcpProxySchema,
  TlsInspectorSchema,
  TypedStructSchema,
  UpstreamTlsContextSchema,
  UriTemplateMatchConfigSchema,
  ZipkinConfigSchema,
);

/** One resource as protobuf's JSON; undefined where the set has none of that name. */
export function jsonOf(resources: Resources, type: ResourceType, name: string): JsonValue | undefined {
  const resource = resources[type].get(name);
  if (resource === undefined) return undefined;
  const schema: DescMessage = resourceSchemas[type];
  return toJson(schema, fromBinary(schema, resource.bytes), { registry: typeRegistry });
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
