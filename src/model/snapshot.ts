// One state of everything that configuration is compiled from: a frozen value, shared freely, never changed.
import type {
  AuthorizationPolicy,
  DestinationRule,
  PeerAuthentication,
  ServiceEntry,
  ServiceObject,
  VirtualService,
  WorkloadEntry,
} from '../api/kinds.js';
import type { MeshConfig } from '../api/mesh-config.js';
import type { MeshObject } from '../api/object.js';
import { endpointsOfObject, selectsWorkloads, serviceOfObject } from './selecting-services.js';
import { endpointsOfEntry, keepEqualServices, servicesOfEntry, type ServiceEndpoint } from './service-entries.js';
import type { Service } from './service.js';
import { labelWorkloads } from './service-objects.js';
import type { Workload } from './workload.js';

/** Services by full name; a value of its own so that results which depend on it alone survive other changes. */
export interface ServiceIndex {
  /** Those of mesh.yaml, then those of Service objects and of ServiceEntries, the oldest first. */
  readonly all: readonly Service[];
  /** Of several with one host the first. */
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
  /** Endpoints of the services of ServiceEntries, and of Service objects that select workloads. */
  readonly entryEndpoints: ReadonlyMap<ServiceEntry | ServiceObject, readonly ServiceEndpoint[]>;
  /** All objects, oldest first; in files that is the order of (path, document). */
  readonly objects: readonly MeshObject[];
  readonly virtualServices: readonly VirtualService[];
  readonly destinationRules: readonly DestinationRule[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly serviceObjects: readonly ServiceObject[];
  readonly serviceEntries: readonly ServiceEntry[];
  readonly workloadEntries: readonly WorkloadEntry[];
}

export interface SnapshotParts {
  readonly meshConfig: MeshConfig;
  readonly services: readonly Service[];
  readonly workloads: readonly Workload[];
  readonly objects: readonly MeshObject[];
}

/** Builds a snapshot; parts that are the same as in `previous` keep their derived values. */
export function createSnapshot(parts: SnapshotParts, previous?: Snapshot): Snapshot {
  const sameObjects = previous?.objects === parts.objects;
  const ofKind = <T extends MeshObject>(kind: string, before: readonly T[] | undefined): readonly T[] =>
    sameObjects && before !== undefined ? before : parts.objects.filter((object): object is T => object.kind === kind);
  const serviceObjects = ofKind<ServiceObject>('Service', previous?.serviceObjects);
  const serviceEntries = ofKind<ServiceEntry>('ServiceEntry', previous?.serviceEntries);
  const workloadEntries = ofKind<WorkloadEntry>('WorkloadEntry', previous?.workloadEntries);
  const sameWorkloads = previous?.parts.workloads === parts.workloads && previous.serviceObjects === serviceObjects;
  const labelled = sameWorkloads ? [...previous.workloads.values()] : labelWorkloads(parts.workloads, serviceObjects);
  const around = { workloadEntries, workloads: labelled, trustDomain: parts.meshConfig.trustDomain };
  const selecting = serviceObjects.filter(selectsWorkloads);
  const entryEndpoints = new Map<ServiceEntry | ServiceObject, readonly ServiceEndpoint[]>([
    ...selecting.map((object) => [object, endpointsOfObject(object, around)] as const),
    ...serviceEntries.map((entry) => [entry, endpointsOfEntry(entry, around)] as const),
  ]);
  const added = [
    ...selecting.map((object) => serviceOfObject(object, entryEndpoints.get(object)!)),
    ...serviceEntries.flatMap((entry) => servicesOfEntry(entry, entryEndpoints.get(entry)!)),
  ];
  return Object.freeze({
    parts,
    meshConfig: parts.meshConfig,
    services: indexServices(parts.services, added, previous?.services),
    workloads: sameWorkloads ? previous.workloads : new Map(labelled.map((workload) => [workload.uid, workload])),
    workloadsByService: sameWorkloads ? previous.workloadsByService : groupByService(labelled),
    entryEndpoints,
    objects: parts.objects,
    virtualServices: ofKind<VirtualService>('VirtualService', previous?.virtualServices),
    destinationRules: ofKind<DestinationRule>('DestinationRule', previous?.destinationRules),
    peerAuthentications: ofKind<PeerAuthentication>('PeerAuthentication', previous?.peerAuthentications),
    authorizationPolicies: ofKind<AuthorizationPolicy>('AuthorizationPolicy', previous?.authorizationPolicies),
    serviceObjects,
    serviceEntries,
    workloadEntries,
  });
}

function indexServices(
  ofMesh: readonly Service[],
  added: readonly Service[],
  previous: ServiceIndex | undefined,
): ServiceIndex {
  // What is not from a ServiceEntry has its host alone; who claims it too is a finding.
  const taken = new Set(ofMesh.map(({ host }) => host));
  const free = added.filter(({ host, entry }) => {
    if (taken.has(host)) return false;
    if (entry === undefined) taken.add(host);
    return true;
  });
  const all = keepEqualServices([...ofMesh, ...free], previous?.all ?? []);
  if (previous?.all === all) return previous;
  const byHost = new Map<string, Service>();
  for (const service of all) if (!byHost.has(service.host)) byHost.set(service.host, service);
  return { all, byHost };
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

/** Everything that answers for a service. */
export function endpointsOf(snapshot: Snapshot, service: Service): readonly ServiceEndpoint[] {
  const source = service.entry ?? service.object;
  if (source !== undefined) return snapshot.entryEndpoints.get(source) ?? [];
  return (snapshot.workloadsByService.get(service.host) ?? []).map((workload) => ({ kind: 'workload', workload }));
}
