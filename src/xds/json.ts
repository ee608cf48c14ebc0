// Resources as protobuf's JSON, for people and tests. Proxies do not need it.
import { createRegistry, fromBinary, toJson, type DescMessage, type JsonObject } from '@bufbuild/protobuf';
import {
  CorsPolicySchema,
  CorsSchema,
  DownstreamTlsContextSchema,
  FileAccessLogSchema,
  HTTPFaultSchema,
  HeaderMutationSchema,
  HttpConnectionManagerSchema,
  HttpInspectorSchema,
  HttpProtocolOptionsSchema,
  HttpRbacSchema,
  NetworkRbacSchema,
  PreviousHostsPredicateSchema,
  PreviousPrioritiesConfigSchema,
  RawBufferSchema,
  RouterSchema,
  TcpProxySchema,
  TlsInspectorSchema,
  TypedStructSchema,
  UpstreamTlsContextSchema,
  UriTemplateMatchConfigSchema,
  ZipkinConfigSchema,
} from './messages.js';
import { resourceSchemas, type ResourceType, type VersionedResource } from './resources.js';

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

/** One resource in Envoy's JSON. */
export function resourceToJson(type: ResourceType, { bytes }: VersionedResource): JsonObject {
  const schema: DescMessage = resourceSchemas[type];
  return toJson(schema, fromBinary(schema, bytes), { registry: typeRegistry }) as JsonObject;
}
