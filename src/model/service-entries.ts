// Services that ServiceEntries add to those of mesh.yaml, and the endpoints that they name or select.
import { isDeepStrictEqual } from 'node:util';
import type { ServiceEntry, WorkloadEntry } from '../api/kinds.js';
import type { MeshObject } from '../api/object.js';
import { protocolOf } from '../api/port-protocol.js';
import { tlsModeLabel, type WorkloadEntrySpec } from '../api/workload-entry.js';
import { formatSpiffeId } from '../identity/spiffe-id.js';
import { memoize } from '../util/memoize.js';
import type { Service, ServicePort } from './service.js';
import { matchesLabels, type Address, type Workload } from './workload.js';

/** An endpoint that is no workload of this mesh's own. */
export interface EntryEndpoint {
  readonly kind: 'entry';
  /** The ServiceEntry that names it, or the WorkloadEntry that it is. */
  readonly object: MeshObject;
  /** Field that it stands in; empty for a whole WorkloadEntry. */
  readonly path: string;
  readonly address: string;
  /** Ports by the name of the service's port. */
  readonly ports: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly weight: number;
  /** Whether it takes mTLS. */
  readonly takesTls: boolean;
  /** Undefined where it says no service account. */
  readonly spiffeId: string | undefined;
}

/** A workload of this mesh that a ServiceEntry selects, or that serves a service of mesh.yaml. */
export interface WorkloadEndpoint {
  readonly kind: 'workload';
  readonly workload: Workload;
}

export type ServiceEndpoint = EntryEndpoint | WorkloadEndpoint;

export function labelsOf(endpoint: ServiceEndpoint): Readonly<Record<string, string>> {
  return endpoint.kind === 'workload' ? endpoint.workload.labels : endpoint.labels;
}

/** Port of endpoints that name none of their own. */
export function targetPort(port: ServicePort): number {
  return port.targetPort ?? port.port;
}

/** Whether an address is loopback as the proxies of this machine listen on it, in either way of writing it. */
function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.0\.0\.1$/i.test(address) || /^::ffff:7f00:0*1$/i.test(address);
}

/** Loopback ports by which applications enter the mesh. */
const entrancePorts = memoize(
  (workloads: ReadonlyMap<string, Workload>): ReadonlySet<number> =>
    new Set(
      [...workloads.values()].flatMap(({ outboundHttp, upstreams }) => [
        outboundHttp.port,
        ...upstreams.map(({ listen }) => listen.port),
      ]),
    ),
);

/** Whether a place is an entrance of the mesh itself: a request that is sent there would come back for ever. */
export function isEntrance(workloads: ReadonlyMap<string, Workload>, { address, port }: Address): boolean {
  return isLoopback(address) && entrancePorts(workloads).has(port);
}

/** Where an endpoint answers for a port of a service; undefined where it does not. */
export function placeOf(endpoint: ServiceEndpoint, port: ServicePort): Address | undefined {
  if (endpoint.kind === 'workload')
    return endpoint.workload.ports.find((candidate) => candidate.port === targetPort(port))?.inbound;
  const own = Object.hasOwn(endpoint.ports, port.name) ? endpoint.ports[port.name] : undefined;
  return { address: endpoint.address, port: own ?? targetPort(port) };
}

/** What ServiceEntries are read together with. */
export interface EntrySurroundings {
  readonly workloadEntries: readonly WorkloadEntry[];
  readonly workloads: readonly Workload[];
  readonly trustDomain: string;
}

/** The endpoints of a ServiceEntry: those it names, or WorkloadEntries and workloads of its namespace that it selects. */
export function endpointsOfEntry(entry: ServiceEntry, around: EntrySurroundings): ServiceEndpoint[] {
  const { endpoints = [], workloadSelector } = entry.spec;
  if (workloadSelector === undefined)
    return endpoints.map((spec, i) => entryEndpoint(entry, `spec.endpoints[${i}]`, spec, around.trustDomain));
  return selectEndpoints(entry.namespace, workloadSelector.labels ?? {}, around);
}

/** WorkloadEntries and workloads of a namespace that have these labels. */
export function selectEndpoints(
  namespace: string,
  wanted: Readonly<Record<string, string>>,
  around: EntrySurroundings,
): ServiceEndpoint[] {
  return [
    ...around.workloadEntries
      .filter((object) => object.namespace === namespace && matchesLabels(object.spec.labels ?? {}, wanted))
      .map((object) => entryEndpoint(object, '', object.spec, around.trustDomain)),
    ...around.workloads
      .filter((workload) => workload.namespace === namespace && matchesLabels(workload.labels, wanted))
      .map((workload): WorkloadEndpoint => ({ kind: 'workload', workload })),
  ];
}

function entryEndpoint(object: MeshObject, path: string, spec: WorkloadEntrySpec, trustDomain: string): EntryEndpoint {
  const { labels = {}, serviceAccount } = spec;
  return {
    kind: 'entry',
    object,
    path,
    address: spec.address,
    ports: spec.ports ?? {},
    labels,
    weight: Math.max(1, spec.weight ?? 1),
    takesTls: labels[tlsModeLabel] === undefined ? serviceAccount !== undefined : labels[tlsModeLabel] === 'istio',
    spiffeId:
      serviceAccount === undefined
        ? undefined
        : formatSpiffeId({ trustDomain, namespace: object.namespace, serviceAccount }),
  };
}

/** Identities that servers at these endpoints may have. */
export function identitiesOf(endpoints: readonly ServiceEndpoint[], more: readonly string[] = []): string[] {
  const own = endpoints.flatMap((endpoint) => {
    if (endpoint.kind === 'workload') return [endpoint.workload.spiffeId];
    return endpoint.takesTls && endpoint.spiffeId !== undefined ? [endpoint.spiffeId] : [];
  });
  return [...new Set([...own, ...more])].sort();
}

/** The services of a ServiceEntry, one for each host. */
export function servicesOfEntry(entry: ServiceEntry, endpoints: readonly ServiceEndpoint[]): Service[] {
  const { hosts, ports = [], subjectAltNames = [] } = entry.spec;
  const identities = identitiesOf(
    endpoints,
    subjectAltNames.filter((name) => name.startsWith('spiffe://')),
  );
  return hosts.map((host) => ({
    name: host.toLowerCase(),
    namespace: entry.namespace,
    host: host.toLowerCase(),
    // Other than of a Service, the name of a port says nothing of its protocol.
    ports: ports.flatMap(({ name, number: port, protocol: declared, targetPort }) => {
      const protocol = protocolOf({ port, protocol: declared });
      return protocol === 'udp' ? [] : [{ name, port, protocol, ...(targetPort === undefined ? {} : { targetPort }) }];
    }),
    identities,
    entry,
  }));
}

/** Services of entries with what they replace kept where it is equal, so that nothing is compiled again for it. */
export function keepEqualServices(services: readonly Service[], before: readonly Service[]): readonly Service[] {
  const known = new Map(before.map((service) => [`${service.namespace}/${service.host}`, service]));
  const kept = services.map((service) => {
    const old = known.get(`${service.namespace}/${service.host}`);
    if (old === undefined || old.entry !== service.entry || old.object !== service.object) return service;
    return isDeepStrictEqual(old, service) ? old : service;
  });
  return kept.length === before.length && kept.every((service, i) => service === before[i]) ? before : kept;
}
