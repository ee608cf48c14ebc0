// What the admin API shows of objects and proxies, computed from what the control plane knows.
import type { ObjectView, ProxyStatusView, ProxyView, TypeState } from '../../admin/mesh-view.js';
import { objectKey } from '../../api/object.js';
import type { Service } from '../../model/service.js';
import type { Snapshot } from '../../model/snapshot.js';
import type { Workload } from '../../model/workload.js';
import { meshFileName } from '../../sources/directory.js';
import type { SourceState } from '../../sources/source.js';
import type { Collector } from '../../telemetry/collector.js';
import type { Applied } from '../../telemetry/gen/observation_pb.js';
import { memoize } from '../../util/memoize.js';
import {
  emptyResources,
  findResourceType,
  resourceTypes,
  versionOfAll,
  type Resources,
  type ResourceType,
  type ResourceSet,
} from '../../xds/resources.js';
import type { ProxyState } from '../../xds/server/ads-server.js';

const versionOfSet = memoize((set: ResourceSet) =>
  versionOfAll([...set.values()].map(({ name, version: one }) => [name, one])),
);

/** Every object with its state: in force, refused with an older version in force, or refused. */
export function viewObjects(source: SourceState, snapshot: Snapshot): ObjectView[] {
  const messages = new Map<string, string>();
  for (const { severity, object, message } of source.diagnostics)
    if (severity === 'error' && !messages.has(object)) messages.set(object, message);
  const refused = new Map(source.refused.map((identity) => [objectKey(identity), identity]));
  const inForce = source.objects.map((object): ObjectView => {
    const isRefused = refused.delete(objectKey(object));
    return {
      object,
      accepted: !isRefused,
      message: isRefused ? (messages.get(objectKey(object)) ?? '') : 'in force',
    };
  });
  const named = new Set(inForce.map(({ object }) => objectKey(object)));
  return [
    ...inForce,
    ...snapshot.parts.services.map(asServiceObject).filter(({ object }) => !named.has(objectKey(object))),
    ...[...refused].map(([key, object]): ObjectView => ({
      object,
      accepted: false,
      message: messages.get(key) ?? '',
    })),
  ];
}

/** A service of mesh.yaml as the object that it would be in Kubernetes. */
function asServiceObject({ name, namespace, ports }: Service): ObjectView {
  const origin = { file: meshFileName, line: 0 };
  const spec = { ports: ports.map((port) => ({ name: port.name, port: port.port })) };
  return {
    object: { apiVersion: 'v1', kind: 'Service', name, namespace, labels: {}, annotations: {}, spec, origin },
    accepted: true,
    message: 'in force',
  };
}

/** How far every connected proxy has come, by its acknowledgements and by what its processes say of themselves. */
export function viewProxies(
  states: readonly ProxyState[],
  appliedBy: Collector['appliedBy'],
  resourcesOf: (uid: string) => Resources | undefined,
): ProxyView[] {
  return states.map(({ streams: processes, ...state }) => {
    const wanted = resourcesOf(state.workload) ?? emptyResources;
    const applied = appliedBy(state.workload).map(typed);
    const isInForce = (one: ProxyView['applied']) =>
      resourceTypes.every((type) =>
        one.some((entry) => entry.type === type && entry.waiting === 0 && entry.version === versionOfSet(wanted[type])),
      );
    const late = applied.find((one) => !isInForce(one));
    return {
      ...state,
      processes,
      inForce: late === undefined && applied.length >= processes,
      applied: late ?? applied[0] ?? [],
    };
  });
}

/** The same for every workload, with each type of resource apart. */
export function viewProxyStatus(
  workloads: Iterable<Workload>,
  proxies: readonly ProxyView[],
  resourcesOf: (uid: string) => Resources | undefined,
  certificates: Collector['certificates'],
): ProxyStatusView[] {
  return [...workloads].map(({ uid, name, namespace }) => {
    const proxy = proxies.find(({ workload }) => workload === uid);
    const wanted = resourcesOf(uid) ?? emptyResources;
    const notAfterMs = certificates.get(uid)?.notAfterMs;
    return {
      name,
      namespace,
      processes: proxy?.processes ?? 0,
      types: resourceTypes.map((type) => ({
        type,
        state: stateOf(type, proxy, versionOfSet(wanted[type])),
        wanted: wanted[type].size,
        applied: proxy?.applied.find((one) => one.type === type)?.resources ?? 0,
      })),
      errors: proxy?.errors ?? [],
      certificateEnds: notAfterMs === undefined ? null : new Date(Number(notAfterMs)).toISOString(),
    };
  });
}

function stateOf(type: ResourceType, proxy: ProxyView | undefined, wanted: string): TypeState {
  if (proxy?.errors.some((error) => error.type === type) === true) return 'refused';
  const applied = proxy?.applied.find((one) => one.type === type);
  if (applied === undefined) return 'unknown';
  if (applied.version !== wanted) return 'stale';
  return applied.waiting > 0 ? 'waiting' : 'synced';
}

function typed(applied: readonly Applied[]): ProxyView['applied'] {
  return applied.flatMap(({ typeUrl, version, resources, waiting }) => {
    const type = findResourceType(typeUrl);
    return type === undefined ? [] : [{ type, version, resources, waiting }];
  });
}
