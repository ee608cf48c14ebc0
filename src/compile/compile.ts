// Compiles a snapshot into what one workload's proxy receives. Pure: no clock, no I/O; the same snapshot gives the same
// bytes. What several proxies share (everything outbound of a namespace) is compiled once and is the same object for all.
import type { MeshConfig } from '../api/mesh-config.js';
import type { Snapshot } from '../model/snapshot.js';
import type { Workload } from '../model/workload.js';
import { visibleServices } from '../model/visible-services.js';
import { memoize } from '../util/memoize.js';
import type { Cluster, ClusterLoadAssignment, RouteConfiguration } from '../xds/messages.js';
import { encodeResource, type Resources, type ResourceSet, type VersionedResource } from '../xds/resources.js';
import { compileConnectCluster, compileInboundCluster, compileOutboundClusters } from './clusters.js';
import {
  compileConnectListener,
  compileInboundListener,
  compileOutboundHttpListener,
  compileUpstreamListener,
  type TcpTimes,
} from './listeners.js';
import { effectiveDestinationRule, policyOf } from './destination-rules.js';
import type { Omission } from './provenance.js';
import { compileRouteConfigurations } from './route-configurations.js';
import { compileTcpRoute, type TcpRoute } from './tcp-routes.js';
import { compileCollectorClusters, tracedWorkload, type TracedWorkload } from './tracing.js';
import type { Client } from './virtual-services.js';

export interface Compiled {
  readonly resources: Resources;
  /** Rules that are not in force for this workload, and why. */
  readonly omissions: readonly Omission[];
}

/** Everything that the proxy of `workload` should have under `snapshot`. */
export function compileWorkload(snapshot: Snapshot, workload: Workload): Compiled {
  const client = clientOf(snapshot, workload);
  const outbound = compileOutbound(snapshot, client);
  const inbound = compileInbound(snapshot, workload);
  return {
    resources: {
      cluster: union(outbound.clusters, inbound.clusters, collectorClusters(snapshot.meshConfig)),
      endpoints: outbound.endpoints,
      listener: union(
        connectListeners(snapshot, client, tracedWorkload(snapshot.meshConfig, workload)),
        inbound.listeners,
        upstreamListeners(snapshot, workload, client),
      ),
      routes: outbound.routes,
    },
    omissions: outbound.omissions,
  };
}

/** Labels matter to routes only where some rule asks for them: without that all workloads of a namespace share everything. */
function clientOf(snapshot: Snapshot, workload: Workload): Client {
  return internClient(workload.namespace, usesSourceLabels(snapshot) ? JSON.stringify(workload.labels) : '{}');
}

const internClient = memoize((namespace: string, labelsJson: string): Client => {
  return { namespace, labels: JSON.parse(labelsJson) as Record<string, string> };
});

const usesSourceLabels = memoize((snapshot: Snapshot): boolean =>
  snapshot.virtualServices.some(({ spec }) =>
    [...(spec.http ?? []), ...(spec.tcp ?? [])].some((rule) =>
      rule.match?.some((match) => match.sourceLabels !== undefined),
    ),
  ),
);

const compileOutbound = memoize((snapshot: Snapshot, client: Client) => {
  const clusters: Cluster[] = [];
  const endpoints: ClusterLoadAssignment[] = [];
  const omissions = new Map<string, Omission>();
  for (const service of visibleServices(snapshot.services, client.namespace).all) {
    const compiled = compileOutboundClusters(snapshot, service, client.namespace);
    clusters.push(...compiled.clusters);
    endpoints.push(...compiled.endpoints);
    for (const port of service.ports) {
      clusters.push(compileConnectCluster(snapshot.meshConfig, service, port));
      const tcp = compileTcpRoute(snapshot, service, port, client);
      for (const omission of tcp.omissions) omissions.set(JSON.stringify(omission), omission);
    }
  }
  const { configurations, omissions: omissionsOfHttp } = compileRouteConfigurations(snapshot, client);
  return {
    clusters: encodeAll(clusters.map((cluster) => encodeResource('cluster', cluster.name, cluster))),
    endpoints: encodeAll(
      endpoints.map((assignment) => encodeResource('endpoints', assignment.clusterName, assignment)),
    ),
    routes: encodeAll(
      configurations.map((configuration: RouteConfiguration) =>
        encodeResource('routes', configuration.name, configuration),
      ),
    ),
    omissions: [...omissionsOfHttp, ...omissions.values()],
  };
});

const connectListeners = memoize((snapshot: Snapshot, client: Client, traced: TracedWorkload | undefined) =>
  encodeAll(
    visibleServices(snapshot.services, client.namespace).all.flatMap((service) =>
      service.ports.map((port) => {
        const { route } = compileTcpRoute(snapshot, service, port, client);
        const times = tcpTimes(snapshot, route, client.namespace);
        const listener = connectListener(snapshot.meshConfig, service, port, route, times, traced);
        return encodeResource('listener', listener.name, listener);
      }),
    ),
  ),
);

const collectorClusters = memoize((meshConfig: MeshConfig) =>
  encodeAll(compileCollectorClusters(meshConfig).map((cluster) => encodeResource('cluster', cluster.name, cluster))),
);

const connectListener = memoize(compileConnectListener);
const upstreamListener = memoize(compileUpstreamListener);
const outboundHttpListener = memoize(compileOutboundHttpListener);

const compileInbound = memoize((snapshot: Snapshot, workload: Workload) => {
  const service = snapshot.services.byHost.get(workload.serviceHost);
  const places = service === undefined ? [] : workload.ports;
  return {
    clusters: encodeAll(
      places.map((place) => {
        const cluster = compileInboundCluster(snapshot, workload, service!, place.port);
        return encodeResource('cluster', cluster.name, cluster);
      }),
    ),
    listeners: encodeAll(
      places.map((place) => {
        const protocol = service!.ports.find((port) => port.port === place.port)?.protocol ?? 'detect';
        const listener = compileInboundListener(snapshot, workload, place, protocol);
        return encodeResource('listener', listener.name, listener);
      }),
    ),
  };
});

function upstreamListeners(snapshot: Snapshot, workload: Workload, client: Client): ResourceSet {
  const traced = tracedWorkload(snapshot.meshConfig, workload);
  const listeners = [outboundHttpListener(snapshot.meshConfig, workload.outboundHttp, traced)];
  const { byHost } = visibleServices(snapshot.services, workload.namespace);
  for (const upstream of workload.upstreams) {
    const service = byHost.get(upstream.host);
    const port = service?.ports.find((candidate) => candidate.port === upstream.port);
    if (service === undefined || port === undefined) continue;
    const isNear = service.entry !== undefined || service.namespace === workload.namespace;
    const authority = isNear ? service.name : `${service.name}.${service.namespace}`;
    const { route } = compileTcpRoute(snapshot, service, port, client);
    const times = tcpTimes(snapshot, route, client.namespace);
    listeners.push(
      upstreamListener(snapshot.meshConfig, service, port, upstream.listen, authority, route, times, traced),
    );
  }
  return encodeAll(listeners.map((listener) => encodeResource('listener', listener.name, listener)));
}

function tcpTimes(snapshot: Snapshot, { service, port }: TcpRoute, namespace: string): TcpTimes {
  const rule = effectiveDestinationRule(snapshot, service, namespace);
  return policyOf(rule, undefined, port.port, snapshot.meshConfig.defaultTrafficPolicy).connectionPool?.tcp;
}

function encodeAll(resources: readonly VersionedResource[]): ResourceSet {
  return new Map(resources.map((resource) => [resource.name, resource]));
}

function union(...sets: readonly ResourceSet[]): ResourceSet {
  return new Map(sets.flatMap((set) => [...set]));
}
