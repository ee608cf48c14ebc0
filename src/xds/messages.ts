// The generated messages that the project uses, under one roof: Envoy's own, so that any proxy understands ours.
export { FileAccessLogSchema, type FileAccessLog } from './gen/envoy/extensions/access_loggers/file/v3/file_pb.js';
export { type AccessLog } from './gen/envoy/config/accesslog/v3/accesslog_pb.js';
export { type Address } from './gen/envoy/config/core/v3/address_pb.js';
export {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction,
  type Metadata,
  MetadataSchema,
  type Node,
  NodeSchema,
  type RuntimeFractionalPercent,
  TrafficDirection,
  type TransportSocket,
} from './gen/envoy/config/core/v3/base_pb.js';
export { type ConfigSource } from './gen/envoy/config/core/v3/config_source_pb.js';
export {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from './gen/envoy/config/cluster/v3/cluster_pb.js';
export { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.js';
export { type LbEndpoint } from './gen/envoy/config/endpoint/v3/endpoint_components_pb.js';
export { type Listener, ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.js';
export {
  type FilterChain,
  FilterChainSchema,
  type FilterChainMatch,
} from './gen/envoy/config/listener/v3/listener_components_pb.js';
export { type RouteConfiguration, RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.js';
export {
  DecoratorSchema,
  type DirectResponseAction,
  type HeaderMatcher,
  HeaderMatcherSchema,
  type QueryParameterMatcher,
  type RedirectAction,
  RedirectAction_RedirectResponseCode,
  type Route,
  type RetryPolicy,
  RetryPolicySchema,
  type RouteAction,
  type RouteAction_RequestMirrorPolicy,
  RouteAction_RequestMirrorPolicySchema,
  RouteSchema,
  type RouteMatch,
  type VirtualHost,
  VirtualHostSchema,
  type WeightedCluster_ClusterWeight,
} from './gen/envoy/config/route/v3/route_components_pb.js';
export {
  type RBAC as RbacRules,
  RBAC_Action,
  RBACSchema as RbacRulesSchema,
} from './gen/envoy/config/rbac/v3/rbac_pb.js';
export {
  type Permission,
  PermissionSchema,
  type Policy as RbacPolicy,
  PolicySchema as RbacPolicySchema,
  type Principal,
  type Principal_Authenticated,
  PrincipalSchema,
} from './gen/envoy/config/rbac/v3/rbac_pb.js';
export { type CidrRange } from './gen/envoy/config/core/v3/address_pb.js';
export {
  type RBAC as HttpRbac,
  RBACSchema as HttpRbacSchema,
} from './gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
export {
  type RBAC as NetworkRbac,
  RBAC_EnforcementType,
  RBACSchema as NetworkRbacSchema,
} from './gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
export { UriTemplateMatchConfigSchema } from './gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js';
export { type PathMatcher } from './gen/envoy/type/matcher/v3/path_pb.js';
export { ZipkinConfig_CollectorEndpointVersion, ZipkinConfigSchema } from './gen/envoy/config/trace/v3/zipkin_pb.js';
export { CorsSchema, type CorsPolicy, CorsPolicySchema } from './gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
export { type HTTPFault, HTTPFaultSchema } from './gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
export { RouterSchema } from './gen/envoy/extensions/filters/http/router/v3/router_pb.js';
export { HttpInspectorSchema } from './gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js';
export { TlsInspectorSchema } from './gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js';
export {
  type HttpConnectionManager,
  HttpConnectionManager_CodecType,
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManager_ServerHeaderTransformation,
  type HttpConnectionManager_Tracing,
  HttpConnectionManager_TracingSchema,
  HttpConnectionManagerSchema,
} from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
export { type TcpProxy, TcpProxySchema } from './gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
export { HeaderMutationSchema } from './gen/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation_pb.js';
export { RawBufferSchema } from './gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js';
export { type CommonTlsContext } from './gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
export {
  type DownstreamTlsContext,
  DownstreamTlsContextSchema,
  type UpstreamTlsContext,
  UpstreamTlsContextSchema,
} from './gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
export { SubjectAltNameMatcher_SanType } from './gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
export { PreviousHostsPredicateSchema } from './gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js';
export { PreviousPrioritiesConfigSchema } from './gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js';
export {
  CircuitBreakers_ThresholdsSchema,
  type CircuitBreakers_Thresholds,
} from './gen/envoy/config/cluster/v3/circuit_breaker_pb.js';
export { type OutlierDetection, OutlierDetectionSchema } from './gen/envoy/config/cluster/v3/outlier_detection_pb.js';
export { RoutingPriority } from './gen/envoy/config/core/v3/base_pb.js';
export {
  type HttpProtocolOptions,
  HttpProtocolOptionsSchema,
} from './gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
export { type Http2ProtocolOptions, Http2ProtocolOptionsSchema } from './gen/envoy/config/core/v3/protocol_pb.js';
export { AggregatedDiscoveryService } from './gen/envoy/service/discovery/v3/ads_pb.js';
export {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from './gen/envoy/service/discovery/v3/discovery_pb.js';
export { type CustomTag, CustomTagSchema } from './gen/envoy/type/tracing/v3/custom_tag_pb.js';
export {
  type FractionalPercent,
  FractionalPercent_DenominatorType,
  FractionalPercentSchema,
} from './gen/envoy/type/v3/percent_pb.js';
export { type StringMatcher, StringMatcherSchema } from './gen/envoy/type/matcher/v3/string_pb.js';
export { TypedStructSchema } from './gen/xds/type/v3/typed_struct_pb.js';
