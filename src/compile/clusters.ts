// Clusters and their endpoints: one cluster for every port of a service and every subset of it.
import { create } from '@bufbuild/protobuf';
import { matchesLabels, type Workload } from '../model/workload.js';
import { isEntrance, labelsOf, placeOf, targetPort, type ServiceEndpoint } from '../model/service-entries.js';
import { isExternal, type Service, type ServicePort } from '../model/service.js';
import { endpointsOf, type Snapshot } from '../model/snapshot.js';
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  RawBufferSchema,
  type Cluster,
  type ClusterLoadAssignment,
} from '../xds/messages.js';
import { memoize } from '../util/memoize.js';
import type { SubsetSpec, TrafficPolicy } from '../api/destination-rule.js';
import type { DestinationRule } from '../api/kinds.js';
import type { MeshConfig } from '../api/mesh-config.js';
import { connectionFields } from './cluster-policies.js';
import { effectiveDestinationRule, findSource, inboundPolicy, policyOf } from './destination-rules.js';
import { fromAds, socketAddress, typed } from './messages.js';
import { connectListenerName, inboundClusterName, outboundClusterName, serverNameIndication } from './names.js';
import { effectiveMode } from './peer-authentication.js';
import { provenance } from './provenance.js';
import { upstreamTls } from './tls-contexts.js';
import { inboundHttp, outboundHttp, type UpstreamHttp } from './upstream-http.js';
import { entrySummary, workloadSummary } from './workload-summary.js';

export interface OutboundClusters {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
}

/** The clusters of a service as clients in `namespace` see them. */
export function compileOutboundClusters(snapshot: Snapshot, service: Service, namespace: string): OutboundClusters {
  const rule = effectiveDestinationRule(snapshot, service, namespace);
  const subsets: (SubsetSpec | undefined)[] = [undefined, ...rule.subsets];
  const clusters: Cluster[] = [];
  const endpoints: ClusterLoadAssignment[] = [];
  for (const port of service.ports)
    for (const subset of subsets) {
      const policy = policyOf(rule, subset, port.port, snapshot.meshConfig.defaultTrafficPolicy);
      clusters.push(
        compileCluster(
          snapshot.meshConfig,
          service,
          port,
          subset,
          policy.loadBalancer,
          policy.connectionPool,
          policy.outlierDetection,
          policy.retryBudget,
          findSource(rule, subset),
        ),
      );
      endpoints.push(compileEndpoints(snapshot, service, port, subset));
    }
  return { clusters, endpoints };
}

const compileCluster = memoize(
  (
    meshConfig: MeshConfig,
    service: Service,
    port: ServicePort,
    subset: SubsetSpec | undefined,
    loadBalancer: TrafficPolicy['loadBalancer'],
    connectionPool: TrafficPolicy['connectionPool'],
    outlierDetection: TrafficPolicy['outlierDetection'],
    retryBudget: TrafficPolicy['retryBudget'],
    source: DestinationRule | undefined,
  ): Cluster => {
    const name = outboundClusterName(port.port, subset?.name ?? '', service.host);
    const metadata =
      source === undefined
        ? serviceProvenance(service)
        : provenance(source, subset === undefined ? 'spec' : `spec.subsets[${source.spec.subsets!.indexOf(subset)}]`);
    return create(ClusterSchema, {
      name,
      clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.EDS },
      edsClusterConfig: { edsConfig: fromAds(), serviceName: name },
      ...connectionFields(
        meshConfig,
        { connectionPool, outlierDetection, retryBudget },
        outboundHttp(meshConfig, port.protocol, connectionPool),
      ),
      lbPolicy: lbPolicyOf(loadBalancer),
      // What is outside the mesh is sent what the application sends, in plaintext.
      ...(isExternal(service) ? {} : { transportSocketMatches: transportSocketMatches(service, port, subset) }),
      metadata: {
        filterMetadata: {
          ...metadata?.filterMetadata,
          istio: serviceMetadata(service, subset?.name),
        },
      },
    });
  },
);

/** The object that a service comes from; undefined for those of mesh.yaml. */
function serviceProvenance({ entry, object }: Service) {
  const source = entry ?? object;
  return source && provenance(source, 'spec');
}

/** What Istio says of a service in a cluster: the source of the destination_service labels. */
function serviceMetadata(service: Service, subset: string | undefined) {
  return {
    services: [{ host: service.host, name: service.name, namespace: service.namespace }],
    ...(subset === undefined ? {} : { subset }),
  };
}

/** mTLS towards endpoints that take it, plaintext towards the others: Istio's automatic mTLS. */
function transportSocketMatches(service: Service, port: ServicePort, subset: SubsetSpec | undefined) {
  return [
    {
      name: 'tlsMode-istio',
      match: { tlsMode: 'istio' },
      transportSocket: upstreamTls(
        serverNameIndication(port.port, subset?.name ?? '', service.host),
        service.identities,
      ),
    },
    {
      name: 'tlsMode-disabled',
      match: {},
      transportSocket: {
        name: 'envoy.transport_sockets.raw_buffer',
        configType: { case: 'typedConfig' as const, value: typed(RawBufferSchema, {}) },
      },
    },
  ];
}

function lbPolicyOf(loadBalancer: TrafficPolicy['loadBalancer']): Cluster_LbPolicy {
  switch (loadBalancer?.simple) {
    case 'ROUND_ROBIN':
      return Cluster_LbPolicy.ROUND_ROBIN;
    case 'RANDOM':
      return Cluster_LbPolicy.RANDOM;
    default:
      return Cluster_LbPolicy.LEAST_REQUEST;
  }
}

/** What answers for a service, or for one subset, at one port. */
function compileEndpoints(
  snapshot: Snapshot,
  service: Service,
  port: ServicePort,
  subset: SubsetSpec | undefined,
): ClusterLoadAssignment {
  const members = endpointsOf(snapshot, service).filter((endpoint) =>
    matchesLabels(labelsOf(endpoint), subset?.labels ?? {}),
  );
  return create(ClusterLoadAssignmentSchema, {
    clusterName: outboundClusterName(port.port, subset?.name ?? '', service.host),
    endpoints: [
      { lbEndpoints: members.flatMap((member) => lbEndpoint(snapshot, member, port)), loadBalancingWeight: 1 },
    ],
  });
}

function lbEndpoint(snapshot: Snapshot, member: ServiceEndpoint, port: ServicePort) {
  const place = placeOf(member, port);
  if (place === undefined || (member.kind === 'workload' && !member.workload.ready)) return [];
  if (member.kind === 'entry' && isEntrance(snapshot.workloads, place)) return []; // a finding says so
  const takesTls =
    member.kind === 'workload'
      ? effectiveMode(snapshot, member.workload, targetPort(port)).mode !== 'DISABLE'
      : member.takesTls;
  const summary = member.kind === 'workload' ? workloadSummary(member.workload) : entrySummary(member);
  return [
    {
      hostIdentifier: {
        case: 'endpoint' as const,
        value: { address: socketAddress(place.address, place.port) },
      },
      loadBalancingWeight: member.kind === 'workload' ? 1 : member.weight,
      metadata: {
        filterMetadata: {
          istio: { workload: summary },
          ...(takesTls ? { 'envoy.transport_socket_match': { tlsMode: 'istio' } } : {}),
        },
      },
    },
  ];
}

/** The application behind a workload's own proxy, for one port; the limits are those of the service's own rule. */
export function compileInboundCluster(snapshot: Snapshot, workload: Workload, service: Service, port: number): Cluster {
  const { connectionPool, retryBudget, source } = inboundPolicy(snapshot, service, port);
  const protocol = service.ports.find((candidate) => candidate.port === port)?.protocol ?? 'detect';
  const http = inboundHttp(protocol, connectionPool);
  return inboundCluster(snapshot.meshConfig, workload, service, port, http, connectionPool, retryBudget, source);
}

const inboundCluster = memoize(
  (
    meshConfig: MeshConfig,
    workload: Workload,
    service: Service,
    port: number,
    http: UpstreamHttp,
    connectionPool: TrafficPolicy['connectionPool'],
    retryBudget: TrafficPolicy['retryBudget'],
    source: DestinationRule | undefined,
  ): Cluster => {
    const place = workload.ports.find((candidate) => candidate.port === port);
    const name = inboundClusterName(port);
    return create(ClusterSchema, {
      name,
      clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
      ...connectionFields(meshConfig, { connectionPool, retryBudget }, http),
      lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
      loadAssignment: {
        clusterName: name,
        endpoints:
          place === undefined
            ? []
            : [
                {
                  lbEndpoints: [
                    {
                      hostIdentifier: {
                        case: 'endpoint',
                        value: { address: socketAddress(place.app.address, place.app.port) },
                      },
                    },
                  ],
                },
              ],
      },
      metadata: {
        filterMetadata: {
          ...(source === undefined ? {} : provenance(source, 'spec').filterMetadata),
          istio: serviceMetadata(service, undefined),
        },
      },
    });
  },
);

/** Leads a CONNECT to the listener inside the proxy that stands for the port of the service. */
export const compileConnectCluster = memoize((meshConfig: MeshConfig, service: Service, port: ServicePort): Cluster => {
  const name = connectListenerName(service.host, port.port);
  const address = {
    address: {
      case: 'envoyInternalAddress' as const,
      value: { addressNameSpecifier: { case: 'serverListenerName' as const, value: name } },
    },
  };
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
    ...connectionFields(meshConfig, {}),
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address } } }] }],
    },
  });
});
