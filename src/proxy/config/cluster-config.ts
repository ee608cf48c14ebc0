// Reads clusters and endpoints from Envoy's messages; what this proxy cannot do is refused by name.
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { JsonObject } from '@bufbuild/protobuf';
import type { CalledService } from '../../telemetry/istio-labels.js';
import type { BalancerKind } from '../balance/balancer.js';
import { UnsupportedConfig } from '../http/matchers.js';
import type { TlsTarget } from '../tls/connector.js';
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  RawBufferSchema,
  UpstreamTlsContextSchema,
  type Cluster,
  type ClusterLoadAssignment,
  type LbEndpoint,
  type TransportSocket,
} from '../../xds/messages.js';
import { readConnectionConfig, type ConnectionConfig } from './cluster-limits.js';
import { durationMs } from './duration.js';
import {
  findProvenance,
  findService,
  findWorkloadSummary,
  transportSocketLabels,
  type Provenance,
} from './metadata.js';

/** How to secure connections to an endpoint; `protocols` are offered for bytes. */
export interface UpstreamTransport {
  readonly tls: TlsTarget | undefined;
  readonly protocols: readonly string[];
}

export interface ClusterConfig extends ConnectionConfig {
  readonly name: string;
  /** Name under which endpoints are fetched; undefined where they came along. */
  readonly edsName: string | undefined;
  /** How often the names that stand for addresses are looked up; undefined where there are only addresses. */
  readonly dnsRefreshMs?: number;
  readonly connectTimeoutMs: number;
  readonly balancer: BalancerKind;
  readonly service: CalledService | undefined;
  readonly provenance: Provenance | undefined;
  /** The listener of this proxy to which it leads, instead of endpoints. */
  readonly internalListener: string | undefined;
  readonly endpoints: readonly EndpointConfig[];
  /** Chooses by the endpoint's labels; the first whose labels all match. */
  readonly transports: readonly { readonly match: JsonObject; readonly transport: UpstreamTransport }[];
}

export interface EndpointConfig {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly transportLabels: JsonObject;
  readonly workloadSummary: string | undefined;
}

const plaintext: UpstreamTransport = { tls: undefined, protocols: [] };

/** @throws UnsupportedConfig */
export function readCluster(cluster: Cluster): ClusterConfig {
  const discovery = cluster.clusterDiscoveryType;
  if (
    discovery.case !== 'type' ||
    (discovery.value !== Cluster_DiscoveryType.EDS &&
      discovery.value !== Cluster_DiscoveryType.STATIC &&
      discovery.value !== Cluster_DiscoveryType.STRICT_DNS)
  )
    throw new UnsupportedConfig('only clusters of type EDS, STATIC and STRICT_DNS are supported');
  if (cluster.healthChecks.length > 0) throw new UnsupportedConfig('active health checks are not supported');
  const eds = discovery.value === Cluster_DiscoveryType.EDS;
  const listed = cluster.loadAssignment?.endpoints.flatMap((group) => group.lbEndpoints) ?? [];
  const internalListener = listed.map(internalListenerOf).find((name) => name !== undefined);
  return {
    name: cluster.name,
    edsName: eds ? cluster.edsClusterConfig?.serviceName || cluster.name : undefined,
    ...(discovery.value === Cluster_DiscoveryType.STRICT_DNS
      ? { dnsRefreshMs: durationMs(cluster.dnsRefreshRate) ?? 5000 } // Envoy's default
      : {}),
    connectTimeoutMs: durationMs(cluster.connectTimeout) ?? 5000,
    ...readConnectionConfig(cluster),
    balancer: balancerOf(cluster.lbPolicy),
    service: findService(cluster.metadata),
    provenance: findProvenance(cluster.metadata),
    internalListener,
    endpoints: eds || internalListener !== undefined ? [] : listed.map(readEndpoint),
    transports: [
      ...cluster.transportSocketMatches.map((entry) => ({
        match: entry.match ?? {},
        transport: readTransport(entry.transportSocket),
      })),
      { match: {}, transport: readTransport(cluster.transportSocket) },
    ],
  };
}

/** @throws UnsupportedConfig */
export function readEndpoints(assignment: ClusterLoadAssignment): EndpointConfig[] {
  return assignment.endpoints.flatMap((group) => group.lbEndpoints).map(readEndpoint);
}

/** The transport for an endpoint. */
export function transportFor({ transports }: ClusterConfig, { transportLabels }: EndpointConfig): UpstreamTransport {
  return (
    transports.find(({ match }) => Object.entries(match).every(([name, value]) => transportLabels[name] === value))
      ?.transport ?? plaintext
  );
}

function readEndpoint(endpoint: LbEndpoint): EndpointConfig {
  const address =
    endpoint.hostIdentifier.case === 'endpoint' ? endpoint.hostIdentifier.value.address?.address : undefined;
  if (address?.case !== 'socketAddress' || address.value.portSpecifier.case !== 'portValue')
    throw new UnsupportedConfig('an endpoint has no address and port');
  return {
    address: address.value.address,
    port: address.value.portSpecifier.value,
    weight: Math.max(1, endpoint.loadBalancingWeight ?? 1),
    transportLabels: transportSocketLabels(endpoint.metadata),
    workloadSummary: findWorkloadSummary(endpoint.metadata),
  };
}

function internalListenerOf(endpoint: LbEndpoint): string | undefined {
  const address =
    endpoint.hostIdentifier.case === 'endpoint' ? endpoint.hostIdentifier.value.address?.address : undefined;
  return address?.case === 'envoyInternalAddress' && address.value.addressNameSpecifier.case === 'serverListenerName'
    ? address.value.addressNameSpecifier.value
    : undefined;
}

function balancerOf(policy: Cluster_LbPolicy): BalancerKind {
  switch (policy) {
    case Cluster_LbPolicy.LEAST_REQUEST:
      return 'least-request';
    case Cluster_LbPolicy.ROUND_ROBIN:
      return 'round-robin';
    case Cluster_LbPolicy.RANDOM:
      return 'random';
    default:
      throw new UnsupportedConfig(`load balancing policy ${Cluster_LbPolicy[policy] ?? policy} is not supported`);
  }
}

function readTransport(socket: TransportSocket | undefined): UpstreamTransport {
  const config = socket?.configType.value;
  if (config === undefined || anyUnpack(config, RawBufferSchema) !== undefined) return plaintext;
  const context = anyUnpack(config, UpstreamTlsContextSchema);
  if (context === undefined) throw new UnsupportedConfig(`transport socket ${config.typeUrl} is not supported`);
  const common = context.commonTlsContext;
  const validation = common?.validationContextType;
  if (validation?.case !== 'combinedValidationContext')
    throw new UnsupportedConfig('only TLS with the identities of the mesh is supported');
  const identities = (validation.value.defaultValidationContext?.matchTypedSubjectAltNames ?? []).map(({ matcher }) => {
    if (matcher?.matchPattern.case !== 'exact')
      throw new UnsupportedConfig('only exact subject alternative names are supported');
    return matcher.matchPattern.value;
  });
  return { tls: { serverName: context.sni, identities: new Set(identities) }, protocols: common?.alpnProtocols ?? [] };
}
