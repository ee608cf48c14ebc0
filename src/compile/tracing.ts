// Tracing as MeshConfig asks for it: what a connection manager does about traces, and the cluster of the collector.
import { create } from '@bufbuild/protobuf';
import { isIP } from 'node:net';
import type { Diagnostic } from '../api/diagnostic.js';
import type { MeshConfig } from '../api/mesh-config.js';
import { parseCollectorAddress, type Tracing } from '../api/tracing.js';
import { callableNames } from '../model/host.js';
import type { Snapshot } from '../model/snapshot.js';
import type { Workload } from '../model/workload.js';
import { memoize } from '../util/memoize.js';
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
  HttpConnectionManager_TracingSchema,
  ZipkinConfig_CollectorEndpointVersion,
  ZipkinConfigSchema,
  type Cluster,
  type HttpConnectionManager_Tracing,
} from '../xds/messages.js';
import { durationOf, socketAddress, typed } from './messages.js';
import { workloadSummary } from './workload-summary.js';

/** The name that Istio gives to the collector. */
const collectorClusterName = 'zipkin';

/** What spans say of the workload that records them: the same for all workloads of a service and revision. */
export interface TracedWorkload {
  readonly namespace: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly clusterId: string;
}

/** The settings that are in force; undefined where nothing is traced. */
export function findTracing({ enableTracing, defaultConfig }: MeshConfig): Tracing | undefined {
  return enableTracing ? defaultConfig?.tracing : undefined;
}

/** Undefined where nothing is traced, so that what does not depend on it stays shared by all workloads. */
export function tracedWorkload(meshConfig: MeshConfig, workload: Workload): TracedWorkload | undefined {
  if (findTracing(meshConfig) === undefined) return undefined;
  const [, namespace, canonicalService, canonicalRevision, clusterId] = workloadSummary(workload).split(';');
  return internTraced(namespace!, canonicalService!, canonicalRevision!, clusterId!);
}

const internTraced = memoize(
  (namespace: string, canonicalService: string, canonicalRevision: string, clusterId: string): TracedWorkload => ({
    namespace,
    canonicalService,
    canonicalRevision,
    clusterId,
  }),
);

/** Tracing of a connection manager of that workload. */
export const compileTracing = memoize(
  (meshConfig: MeshConfig, workload: TracedWorkload | undefined): HttpConnectionManager_Tracing | undefined => {
    const tracing = findTracing(meshConfig);
    if (tracing === undefined || workload === undefined) return undefined;
    return create(HttpConnectionManager_TracingSchema, {
      clientSampling: { value: 100 },
      randomSampling: { value: tracing.sampling },
      overallSampling: { value: 100 },
      maxPathTagLength: tracing.maxPathTagLength,
      customTags: [...istioTags(meshConfig, tracing, workload), ...customTags(tracing)],
      ...provider(tracing),
    });
  },
);

/** Where spans are sent; nothing where they are not. */
export const compileCollectorClusters = memoize((meshConfig: MeshConfig): readonly Cluster[] => {
  const address = findTracing(meshConfig)?.zipkin?.address;
  const collector = address === undefined ? undefined : parseCollectorAddress(address);
  if (collector === undefined) return [];
  const host = collector.host.toLowerCase() === 'localhost' ? '127.0.0.1' : collector.host;
  return [
    create(ClusterSchema, {
      name: collectorClusterName,
      clusterDiscoveryType: {
        case: 'type',
        value: isIP(host) === 0 ? Cluster_DiscoveryType.STRICT_DNS : Cluster_DiscoveryType.STATIC,
      },
      connectTimeout: durationOf(1000),
      lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
      ...(isIP(host) === 0 ? { dnsRefreshRate: durationOf(30_000), respectDnsTtl: false } : {}),
      loadAssignment: {
        clusterName: collectorClusterName,
        endpoints: [
          {
            lbEndpoints: [
              {
                hostIdentifier: { case: 'endpoint', value: { address: socketAddress(host, collector.port) } },
              },
            ],
          },
        ],
      },
    }),
  ];
});

/** Spans are posted past the mesh, where names of services mean nothing. */
export function findCollectorProblems({ meshConfig, services }: Snapshot): Diagnostic[] {
  const address = findTracing(meshConfig)?.zipkin?.address;
  const host = address === undefined ? undefined : parseCollectorAddress(address)?.host.toLowerCase();
  const service = services.all.find(({ name, namespace }) => callableNames(name, namespace, '').includes(host ?? ''));
  if (service === undefined) return [];
  return [
    {
      severity: 'warning',
      code: 'LAT0007',
      object: '',
      file: 'mesh.yaml',
      line: 0,
      path: 'meshConfig.defaultConfig.tracing.zipkin.address',
      message: `names the service ${service.name} of the mesh, but spans are sent past the mesh, so they are lost; write the address and port at which the collector itself listens`,
    },
  ];
}

function provider({ zipkin }: Tracing) {
  if (zipkin === undefined) return {};
  return {
    provider: {
      name: 'envoy.tracers.zipkin',
      configType: {
        case: 'typedConfig' as const,
        value: typed(ZipkinConfigSchema, {
          collectorCluster: collectorClusterName,
          collectorEndpoint: '/api/v2/spans',
          collectorHostname: zipkin.address,
          collectorEndpointVersion: ZipkinConfig_CollectorEndpointVersion.HTTP_JSON,
          traceId128bit: true,
          sharedSpanContext: false,
        }),
      },
    },
  };
}

function istioTags({ trustDomain }: MeshConfig, { enableIstioTags }: Tracing, workload: TracedWorkload) {
  if (!enableIstioTags) return [];
  return Object.entries({
    'istio.canonical_revision': workload.canonicalRevision,
    'istio.canonical_service': workload.canonicalService,
    'istio.cluster_id': workload.clusterId,
    'istio.mesh_id': trustDomain, // what Istio's chart makes of it too
    'istio.namespace': workload.namespace,
  }).map(([tag, value]) => ({ tag, type: { case: 'literal' as const, value: { value } } }));
}

function customTags({ customTags: tags }: Tracing) {
  return Object.entries(tags ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([tag, { literal, header, environment }]) => {
      if (literal !== undefined) return { tag, type: { case: 'literal' as const, value: { value: literal.value } } };
      if (header !== undefined) return { tag, type: { case: 'requestHeader' as const, value: header } };
      return { tag, type: { case: 'environment' as const, value: environment! } };
    });
}
