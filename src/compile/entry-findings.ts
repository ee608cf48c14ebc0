// Findings about ServiceEntries and WorkloadEntries: names that belong to others, selectors and ports that lead nowhere.
import type { Diagnostic } from '../api/diagnostic.js';
import type { ServiceEntry } from '../api/kinds.js';
import { objectKey } from '../api/object.js';
import { tlsModeLabel } from '../api/workload-entry.js';
import { callableNames } from '../model/host.js';
import { isEntrance, placeOf, targetPort, type ServiceEndpoint } from '../model/service-entries.js';
import { isExternal, type Service } from '../model/service.js';
import { endpointsOf, type Snapshot } from '../model/snapshot.js';
import { finding, formatLabels } from './finding.js';

export function findEntryProblems(snapshot: Snapshot): Diagnostic[] {
  return [
    ...findTakenHosts(snapshot),
    ...snapshot.serviceEntries.flatMap((entry) => [
      ...findShortHosts(entry),
      ...findIdleSelector(snapshot, entry),
      ...findMissingPorts(snapshot, entry),
      ...findLoops(snapshot, entry),
      ...findIdleNames(entry),
      ...findNamelessTls(snapshot, entry),
    ]),
    ...findIdleWorkloadEntries(snapshot),
    ...findIdleUpstreams(snapshot),
  ];
}

/** A host belongs to mesh.yaml before ServiceEntries, and in one namespace to the oldest of those. */
function findTakenHosts(snapshot: Snapshot): Diagnostic[] {
  const ofMesh = new Map<string, string>();
  for (const { name, namespace, entry, object } of snapshot.services.all)
    if (entry === undefined)
      for (const host of callableNames(name, namespace, namespace))
        ofMesh.set(
          host,
          object === undefined ? `service ${name} (namespace ${namespace}) of mesh.yaml` : objectKey(object),
        );
  const owners = new Map<string, ServiceEntry>();
  return snapshot.serviceEntries.flatMap((entry) =>
    entry.spec.hosts.flatMap((written, i) => {
      const host = written.toLowerCase();
      const service = ofMesh.get(host);
      if (service !== undefined) {
        const message = `${host} is a name of ${service}, which counts; rename one`;
        return [finding('warning', 'LAT0010', entry, `spec.hosts[${i}]`, message)];
      }
      const key = `${entry.namespace}/${host}`;
      const owner = owners.get(key);
      if (owner === undefined) {
        owners.set(key, entry);
        return [];
      }
      const message = `${host} is already defined by ${objectKey(owner)} (${owner.origin.file}:${owner.origin.line}), which is older and counts; merge them`;
      return [finding('warning', 'LAT0007', entry, `spec.hosts[${i}]`, message)];
    }),
  );
}

/** Rules complete names without dots, ServiceEntries do not. */
function findShortHosts(entry: ServiceEntry): Diagnostic[] {
  return entry.spec.hosts.flatMap((host, i) => {
    if (host.includes('.')) return [];
    const message = `${host} is taken as it is, but VirtualServices and DestinationRules take it for ${host}.<namespace>.svc.cluster.local, so none is ever for it; write a name with a dot`;
    return [finding('warning', 'LAT0007', entry, `spec.hosts[${i}]`, message)];
  });
}

function findIdleSelector(snapshot: Snapshot, entry: ServiceEntry): Diagnostic[] {
  const { workloadSelector } = entry.spec;
  if (workloadSelector === undefined || (snapshot.entryEndpoints.get(entry) ?? []).length > 0) return [];
  const labels = formatLabels(workloadSelector.labels ?? {});
  const message = `no WorkloadEntry and no workload of namespace ${entry.namespace} has these labels (${labels}); requests are answered with 503`;
  return [finding('warning', 'IST0127', entry, 'spec.workloadSelector', message)];
}

/** Workloads of mesh.yaml answer at the ports that they have there; of several without one the first is named. */
function findMissingPorts(snapshot: Snapshot, entry: ServiceEntry): Diagnostic[] {
  const service = snapshot.services.all.find((candidate) => candidate.entry === entry);
  const endpoints = snapshot.entryEndpoints.get(entry) ?? [];
  return (service?.ports ?? []).flatMap((port) => {
    const without = endpoints.find((endpoint) => endpoint.kind === 'workload' && placeOf(endpoint, port) === undefined);
    if (without?.kind !== 'workload') return [];
    const { name, ports } = without.workload;
    const message = `the selected workload ${name} has no port ${targetPort(port)}, only ${ports.map((place) => place.port).join(', ') || 'none'}, so it does not answer for this one; set targetPort`;
    const i = entry.spec.ports!.findIndex(({ number }) => number === port.port);
    return [finding('warning', 'IST0101', entry, `spec.ports[${i}]`, message)];
  });
}

/** Endpoints that are left out because requests would come back from them for ever. */
function findLoops(snapshot: Snapshot, entry: ServiceEntry): Diagnostic[] {
  const service = snapshot.services.all.find((candidate) => candidate.entry === entry);
  return (snapshot.entryEndpoints.get(entry) ?? []).flatMap((endpoint) =>
    (service?.ports ?? []).flatMap((port) => {
      const place = placeOf(endpoint, port);
      if (endpoint.kind !== 'entry' || place === undefined) return [];
      if (!isEntrance(snapshot.workloads, place)) return [];
      const path = endpoint.path === '' ? 'spec.address' : `${endpoint.path}.address`;
      const message = `${place.address}:${place.port} is where applications enter this mesh: requests would come back for ever, so it is left out; give the address of the server itself`;
      return [finding('error', 'LAT0007', endpoint.object, path, message)];
    }),
  );
}

function findIdleNames(entry: ServiceEntry): Diagnostic[] {
  return (entry.spec.subjectAltNames ?? []).flatMap((name, i) => {
    const external = entry.spec.location !== 'MESH_INTERNAL';
    if (!external && name.startsWith('spiffe://')) return [];
    const why = external ? 'MESH_EXTERNAL is called in plaintext' : 'only SPIFFE IDs are compared';
    return [finding('warning', 'LAT0007', entry, `spec.subjectAltNames[${i}]`, `${why}, so it has no effect`)];
  });
}

/** Who takes mTLS must have an identity that is expected. */
function findNamelessTls(snapshot: Snapshot, entry: ServiceEntry): Diagnostic[] {
  const services = snapshot.services.all.filter((service: Service) => service.entry === entry);
  if (services.every((service) => isExternal(service) || service.identities.length > 0)) return [];
  return (snapshot.entryEndpoints.get(entry) ?? []).flatMap((endpoint) => {
    if (endpoint.kind !== 'entry' || !endpoint.takesTls) return [];
    const path = endpoint.path === '' ? 'spec.serviceAccount' : `${endpoint.path}.serviceAccount`;
    const message = `is missing: the label ${tlsModeLabel} asks for mTLS, and without a service account no identity is accepted, so every connection fails`;
    return [finding('warning', 'LAT0007', endpoint.object, path, message)];
  });
}

function findIdleWorkloadEntries(snapshot: Snapshot): Diagnostic[] {
  return snapshot.workloadEntries.flatMap((object) => {
    const isMember = (endpoint: ServiceEndpoint) => endpoint.kind === 'entry' && endpoint.object === object;
    const selecting = snapshot.services.all.filter((service) => endpointsOf(snapshot, service).some(isMember));
    if (selecting.length === 0) {
      const message = `no ServiceEntry and no Service of namespace ${object.namespace} selects its labels (${formatLabels(object.spec.labels ?? {})}), so it has no effect`;
      return [finding('warning', 'IST0127', object, 'spec.labels', message)];
    }
    const known = new Set(selecting.flatMap(({ ports }) => ports.map(({ name }) => name)));
    return Object.keys(object.spec.ports ?? {})
      .filter((name) => !known.has(name))
      .map((name) => {
        const message = `nothing that selects it has a port ${name}, only ${[...known].join(', ')}, so it has no effect`;
        return finding('warning', 'IST0101', object, `spec.ports.${name}`, message);
      });
  });
}

/** Loopback ports of mesh.yaml for hosts that no ServiceEntry has. */
function findIdleUpstreams(snapshot: Snapshot): Diagnostic[] {
  return [...snapshot.workloads.values()].flatMap((workload) =>
    workload.upstreams.flatMap(({ host, port }): Diagnostic[] => {
      const services = snapshot.services.all.filter((service) => service.host === host);
      if (services.some(({ ports }) => ports.some((candidate) => candidate.port === port))) return [];
      const message =
        services.length === 0
          ? `no service and no ServiceEntry has the host ${host}, so nothing listens there`
          : `${host} has no port ${port}, so nothing listens there`;
      const path = `services.${workload.workloadName}.upstreams["${host}:${port}"]`;
      return [{ severity: 'warning', code: 'IST0101', object: '', file: 'mesh.yaml', line: 0, path, message }];
    }),
  );
}
