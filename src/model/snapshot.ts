// One state of everything that configuration is compiled from: a frozen value, shared freely, never changed.
import type {
  AuthorizationPolicy,
  DestinationRule,
  PeerAuthentication,
  ServiceObject,
  VirtualService,
} from '../api/kinds.js';
import type { MeshConfig } from '../api/mesh-config.js';
import type { MeshObject } from '../api/object.js';
import type { Service } from './service.js';
import { labelWorkloads } from './service-objects.js';
import type { Workload } from './workload.js';

/** Services by full name; a value of its own so that results which depend on it alone survive other changes. */
export interface ServiceIndex {
  readonly all: readonly Service[];
  readonly byHost: ReadonlyMap<string, Service>;
}

export interface Snapshot {
  /** What it was made of. */
  readonly parts: SnapshotParts;
  readonly meshConfig: MeshConfig;
  readonly services: ServiceIndex;
  /** Workloads by uid. */
  readonly workloads: ReadonlyMap<string, Workload>;
  /** Workloads by the full name of their service. */
  readonly workloadsByService: ReadonlyMap<string, readonly Workload[]>;
  /** All objects, oldest first; in files that is the order of (path, document). */
  readonly objects: readonly MeshObject[];
  readonly virtualServices: readonly VirtualService[];
  readonly destinationRules: readonly DestinationRule[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly serviceObjects: readonly ServiceObject[];
}

export interface SnapshotParts {
  readonly meshConfig: MeshConfig;
  readonly services: readonly Service[];
  readonly workloads: readonly Workload[];
  readonly objects: readonly MeshObject[];
}

/** Builds a snapshot; parts that are the same as in `previous` keep their derived values. */
export function createSnapshot(parts: SnapshotParts, previous?: Snapshot): Snapshot {
  const services = previous?.services.all === parts.services ? previous.services : indexServices(parts.services);
  const sameObjects = previous?.objects === parts.objects;
  const serviceObjects = sameObjects ? previous.serviceObjects : ofKind<ServiceObject>(parts.objects, 'Service');
  const sameWorkloads = previous?.parts.workloads === parts.workloads && previous.serviceObjects === serviceObjects;
  const workloads = sameWorkloads ? [] : labelWorkloads(parts.workloads, serviceObjects);
  return Object.freeze({
    parts,
    meshConfig: parts.meshConfig,
    services,
    workloads: sameWorkloads ? previous.workloads : new Map(workloads.map((workload) => [workload.uid, workload])),
    workloadsByService: sameWorkloads ? previous.workloadsByService : groupByService(workloads),
    objects: parts.objects,
    virtualServices: sameObjects ? previous.virtualServices : ofKind<VirtualService>(parts.objects, 'VirtualService'),
    destinationRules: sameObjects
      ? previous.destinationRules
      : ofKind<DestinationRule>(parts.objects, 'DestinationRule'),
    peerAuthentications: sameObjects
      ? previous.peerAuthentications
      : ofKind<PeerAuthentication>(parts.objects, 'PeerAuthentication'),
    authorizationPolicies: sameObjects
      ? previous.authorizationPolicies
      : ofKind<AuthorizationPolicy>(parts.objects, 'AuthorizationPolicy'),
    serviceObjects,
  });
}

function indexServices(all: readonly Service[]): ServiceIndex {
  return { all, byHost: new Map(all.map((service) => [service.host, service])) };
}

function groupByService(workloads: readonly Workload[]): Map<string, Workload[]> {
  const groups = new Map<string, Workload[]>();
  for (const workload of workloads) {
    const group = groups.get(workload.serviceHost);
    if (group === undefined) groups.set(workload.serviceHost, [workload]);
    else group.push(workload);
  }
  return groups;
}

function ofKind<T extends MeshObject>(objects: readonly MeshObject[], kind: string): T[] {
  return objects.filter((object): object is T => object.kind === kind);
}
