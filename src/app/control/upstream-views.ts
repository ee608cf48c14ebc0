// Routes, clusters and endpoints of a proxy in a few words: where requests go, how they get there, and which object says so.
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { ClusterView, EndpointView, RouteView } from '../../admin/proxy-config-view.js';
import { metadataNamespace } from '../../compile/provenance.js';
import {
  Cluster_LbPolicy,
  HttpProtocolOptionsSchema,
  type Address,
  type Cluster,
  type ClusterLoadAssignment,
  type LbEndpoint,
  type Metadata,
  type Route,
  type RouteConfiguration,
} from '../../xds/messages.js';

export function viewRoutes({ name, virtualHosts }: RouteConfiguration): RouteView[] {
  return virtualHosts.flatMap(({ domains, routes }) =>
    routes.map((route) => ({
      configuration: name,
      domains,
      match: formatMatch(route),
      to: formatAction(route),
      source: sourceOf(route.metadata),
    })),
  );
}

function formatMatch({ match }: Route): string {
  const { pathSpecifier, headers = [], queryParameters = [] } = match ?? {};
  const path = pathSpecifier?.case === undefined ? '' : `${pathSpecifier.case} ${formatValue(pathSpecifier.value)}`;
  const names = [...headers.map(({ name }) => name), ...queryParameters.map(({ name }) => `?${name}`)];
  return [path === 'prefix /' ? '*' : path, ...names].join(' ');
}

function formatValue(value: unknown): string {
  if (typeof value === 'string') return value;
  const { regex } = (value ?? {}) as { regex?: string };
  return regex ?? '';
}

function formatAction({ action }: Route): string {
  switch (action.case) {
    case 'route': {
      const { clusterSpecifier: to } = action.value;
      return to.case === 'weightedClusters' ? formatWeights(to.value.clusters) : String(to.value ?? '');
    }
    case 'directResponse':
      return `answers ${action.value.status}`;
    case undefined:
      return '';
    default:
      return action.case;
  }
}

const versions = { http1: 'HTTP/1.1', http2: 'HTTP/2', downstream: 'as caller' } as const;

/** @param endpoints how many are fetched for it */
export function viewCluster(cluster: Cluster, endpoints: number): Omit<ClusterView, 'resource'> {
  const local = cluster.loadAssignment?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints).length ?? 0;
  return {
    name: cluster.name,
    http: versions[httpVersionOf(cluster)],
    security: cluster.transportSocketMatches.length > 0 ? 'mTLS where taken' : 'plaintext',
    balancer: Cluster_LbPolicy[cluster.lbPolicy] ?? '',
    endpoints: endpoints + local,
    source: sourceOf(cluster.metadata),
  };
}

function httpVersionOf(cluster: Cluster): keyof typeof versions {
  const packed = cluster.typedExtensionProtocolOptions[`${HttpProtocolOptionsSchema.typeName}`];
  const options = packed && anyUnpack(packed, HttpProtocolOptionsSchema)?.upstreamProtocolOptions;
  if (options?.case === 'useDownstreamProtocolConfig') return 'downstream';
  const isHttp2 =
    options?.case === 'explicitHttpConfig' && options.value.protocolConfig.case === 'http2ProtocolOptions';
  return isHttp2 ? 'http2' : 'http1';
}

export function viewEndpoints({ clusterName, endpoints }: ClusterLoadAssignment): EndpointView[] {
  return endpoints.flatMap(({ lbEndpoints }) => lbEndpoints.map((endpoint) => viewEndpoint(clusterName, endpoint)));
}

function viewEndpoint(cluster: string, endpoint: LbEndpoint): EndpointView {
  const { hostIdentifier: host, metadata, loadBalancingWeight = 1 } = endpoint;
  const summary = metadata?.filterMetadata['istio']?.['workload'];
  return {
    cluster,
    address: formatAddress(host.case === 'endpoint' ? host.value.address : undefined) ?? '',
    weight: loadBalancingWeight,
    security: metadata?.filterMetadata['envoy.transport_socket_match']?.['tlsMode'] === 'istio' ? 'mTLS' : 'plaintext',
    workload: typeof summary === 'string' ? summary.split(';', 2).join('.') : null,
  };
}

/** `address:port`; null where it is another kind of address. */
export function formatAddress(address: Address | undefined): string | null {
  const place = address?.address;
  if (place?.case !== 'socketAddress' || place.value.portSpecifier.case !== 'portValue') return null;
  const { address: ip, portSpecifier } = place.value;
  return `${ip.includes(':') ? `[${ip}]` : ip}:${portSpecifier.value}`;
}

function sourceOf(metadata: Metadata | undefined): string | null {
  const fields = metadata?.filterMetadata[metadataNamespace];
  const [object, path] = [fields?.['object'], fields?.['path']];
  return typeof object === 'string' ? [object, path].filter((part) => part !== '').join(' ') : null;
}

export function formatWeights(
  clusters: readonly { readonly name: string; readonly weight?: number | undefined }[],
): string {
  return clusters.map(({ name, weight = 1 }) => `${name} (${weight})`).join(', ');
}
