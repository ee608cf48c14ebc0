// Shows what one workload's proxy should have, from the same resources that are sent to it.
import { fromBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type { ProxyConfigView } from '../../admin/proxy-config-view.js';
import { listenerPorts } from '../../compile/listener-ports.js';
import type { Snapshot } from '../../model/snapshot.js';
import type { Workload } from '../../model/workload.js';
import type { LearnedPort } from '../../telemetry/learned-ports.js';
import { resourceToJson } from '../../xds/json.js';
import { resourceSchemas, type Resources, type ResourceType, type VersionedResource } from '../../xds/resources.js';
import { viewListener } from './listener-views.js';
import { viewCluster, viewEndpoints, viewRoutes } from './upstream-views.js';

/** @param learned what its proxy has told of ports that nobody declared */
export function viewProxyConfig(
  snapshot: Snapshot,
  workload: Workload,
  resources: Resources,
  learned: readonly LearnedPort[],
): ProxyConfigView {
  const ports = listenerPorts(snapshot, workload);
  const endpoints = decodeAll(resources, 'endpoints').flatMap(([, assignment]) => viewEndpoints(assignment));
  const counts = new Map<string, number>();
  for (const { cluster } of endpoints) counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
  return {
    workload: workload.name,
    namespace: workload.namespace,
    listeners: decodeAll(resources, 'listener').map(([resource, listener]) => ({
      ...viewListener(listener, ports.get(listener.name), learned),
      resource: resourceToJson('listener', resource),
    })),
    routes: decodeAll(resources, 'routes').flatMap(([, configuration]) => viewRoutes(configuration)),
    clusters: decodeAll(resources, 'cluster').map(([resource, cluster]) => ({
      ...viewCluster(cluster, counts.get(cluster.name) ?? 0),
      resource: resourceToJson('cluster', resource),
    })),
    endpoints,
    routeConfigurations: decodeAll(resources, 'routes').map(([resource]) => resourceToJson('routes', resource)),
  };
}

function decodeAll<T extends ResourceType>(
  resources: Resources,
  type: T,
): [VersionedResource, MessageShape<(typeof resourceSchemas)[T]>][] {
  const schema: DescMessage = resourceSchemas[type];
  return [...resources[type].values()].map((resource) => [
    resource,
    fromBinary(schema, resource.bytes) as MessageShape<(typeof resourceSchemas)[T]>,
  ]);
}
