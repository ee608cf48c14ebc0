// What is valid by itself but does not do what its author thinks: references that lead nowhere, conflicts that are decided
// silently elsewhere, parts without effect. Computed from the snapshot with the same functions that compile it.
import type { Diagnostic } from '../api/diagnostic.js';
import type { ServiceObject } from '../api/kinds.js';
import { objectKey, type MeshObject } from '../api/object.js';
import type { HttpRouteRule, RouteDestination } from '../api/virtual-service.js';
import type { TrafficPolicy } from '../api/destination-rule.js';
import { closestWord } from '../util/closest.js';
import { hostMatches, resolveHost } from '../model/host.js';
import { readProtocol } from '../model/selecting-services.js';
import { mayCarryHttp, type Service } from '../model/service.js';
import { labelsOf } from '../model/service-entries.js';
import { endpointsOf, type Snapshot } from '../model/snapshot.js';
import { visibleServices } from '../model/visible-services.js';
import { matchesLabels, type Workload } from '../model/workload.js';
import { memoize } from '../util/memoize.js';
import { findPolicyProblems } from './authorization-findings.js';
import { effectiveDestinationRule } from './destination-rules.js';
import { findEntryProblems } from './entry-findings.js';
import { finding, formatLabels } from './finding.js';
import { effectiveMode } from './peer-authentication.js';
import { takesTcpRules } from './tcp-routes.js';
import { findIdleRouteParts } from './route-findings.js';
import { findCollectorProblems } from './tracing.js';
import { hostsOf } from './virtual-services.js';

/** Every finding about the objects of a snapshot. */
export const findProblems = memoize((snapshot: Snapshot): readonly Diagnostic[] => [
  ...findHostConflicts(snapshot),
  ...findUnknownDestinations(snapshot),
  ...findIdleDestinationRules(snapshot),
  ...findIdlePortSettings(snapshot),
  ...findIdlePeerAuthentications(snapshot),
  ...findIncompleteHosts(snapshot),
  ...findRoutesWithoutPorts(snapshot),
  ...findIdleParts(snapshot),
  ...findUdpPorts(snapshot),
  ...findServiceConflicts(snapshot),
  ...findPolicyProblems(snapshot),
  ...findCollectorProblems(snapshot),
  ...findEntryProblems(snapshot),
]);

/** Workloads of which at least one port takes plaintext. */
export const findPlaintextWorkloads = memoize((snapshot: Snapshot): readonly Workload[] =>
  [...snapshot.workloads.values()].filter((workload) =>
    workload.ports.some(({ port }) => effectiveMode(snapshot, workload, port).mode !== 'STRICT'),
  ),
);

function findHostConflicts(snapshot: Snapshot): Diagnostic[] {
  const owners = new Map<string, MeshObject>();
  const found: Diagnostic[] = [];
  for (const virtualService of snapshot.virtualServices)
    for (const [i, host] of hostsOf(virtualService).entries()) {
      if (virtualService.spec.http === undefined) continue; // of rules for bytes all take part
      const owner = owners.get(host);
      if (owner === undefined) owners.set(host, virtualService);
      else if (owner !== virtualService)
        found.push(
          finding(
            'warning',
            'IST0109',
            virtualService,
            `spec.hosts[${i}]`,
            `${host} is already claimed by ${objectKey(owner)} (${owner.origin.file}:${owner.origin.line}), which is older and counts; for callers that see both and for whom that one has a rule this one has no effect for the host; merge them`,
          ),
        );
    }
  return found;
}

function findUnknownDestinations(snapshot: Snapshot): Diagnostic[] {
  return snapshot.virtualServices.flatMap((virtualService) => {
    const { http = [], tcp = [] } = virtualService.spec;
    const named = [
      ...http.flatMap((rule, i) =>
        destinationsOf(rule).map(
          ([path, destination]) =>
            [`spec.http[${i}].${path}`, destination, 'requests that are sent there are answered with 503'] as const,
        ),
      ),
      ...tcp.flatMap(({ route }, i) =>
        route.map(
          ({ destination }, j) =>
            [
              `spec.tcp[${i}].route[${j}].destination`,
              destination,
              'connections that are sent there are closed',
            ] as const,
        ),
      ),
    ];
    return named.flatMap(([path, destination, consequence]) => {
      const problem = whyUnknown(snapshot, destination, virtualService.namespace, consequence);
      return problem === undefined ? [] : [finding('warning', 'IST0101', virtualService, path, problem)];
    });
  });
}

/** Everything that a rule sends to, copies included, with its path in the rule. */
function destinationsOf(rule: HttpRouteRule): [path: string, destination: RouteDestination][] {
  return [
    ...(rule.route ?? []).map(({ destination }, i) => [`route[${i}].destination`, destination] as const),
    ...(rule.mirror === undefined ? [] : [['mirror', rule.mirror] as const]),
    ...(rule.mirrors ?? []).map(({ destination }, i) => [`mirrors[${i}].destination`, destination] as const),
  ].map(([path, destination]) => [path, destination]);
}

function whyUnknown(
  snapshot: Snapshot,
  destination: RouteDestination,
  namespace: string,
  consequence: string,
): string | undefined {
  const host = resolveHost(destination.host, namespace);
  const service = visibleServices(snapshot.services, namespace).byHost.get(host);
  if (service === undefined)
    return `no service has the host ${host}; ${consequence}${suggestHost(snapshot, destination.host, host)}`;
  const port = destination.port?.number;
  if (port !== undefined && !service.ports.some((candidate) => candidate.port === port))
    return `${host} has no port ${port}, only ${service.ports.map((candidate) => candidate.port).join(', ')}; ${consequence}`;
  const { subset } = destination;
  if (subset === undefined || subset === '') return undefined;
  const { subsets } = effectiveDestinationRule(snapshot, service, namespace);
  if (subsets.some((candidate) => candidate.name === subset)) return undefined;
  const guess = closestWord(
    subset,
    subsets.map((candidate) => candidate.name),
  );
  return `no DestinationRule that is seen from namespace ${namespace} gives ${host} a subset ${subset}; ${consequence}${guess === undefined ? '' : `; did you mean ${guess}?`}`;
}

function suggestHost(snapshot: Snapshot, written: string, host: string): string {
  const hosts = snapshot.services.all.map((service) => service.host);
  const completed =
    hosts.find((candidate) => candidate.startsWith(`${written}.`)) ??
    hosts.find((candidate) => candidate.startsWith(`${written.split('.')[0]}.`));
  const guess = completed ?? closestWord(host, hosts);
  return guess === undefined ? '' : `; did you mean ${guess}?`;
}

function findIdleDestinationRules(snapshot: Snapshot): Diagnostic[] {
  return snapshot.destinationRules.flatMap((rule) => {
    const host = resolveHost(rule.spec.host, rule.namespace);
    const services = snapshot.services.all.filter((service) => hostMatches(host, service.host));
    if (services.length === 0)
      return [
        finding(
          'warning',
          'IST0174',
          rule,
          'spec.host',
          `no service has the host ${host}, so the rule has no effect${suggestHost(snapshot, rule.spec.host, host)}`,
        ),
      ];
    return (rule.spec.subsets ?? []).flatMap((subset, i) =>
      services.some((service) => selectsSome(snapshot, service, subset.labels ?? {}))
        ? []
        : [
            finding(
              'warning',
              'IST0173',
              rule,
              `spec.subsets[${i}]`,
              `no workload of ${host} has the labels of subset ${subset.name} (${formatLabels(subset.labels ?? {})}); requests to it are answered with 503`,
            ),
          ],
    );
  });
}

/** Settings for a port that no service of the host has. */
function findIdlePortSettings(snapshot: Snapshot): Diagnostic[] {
  return snapshot.destinationRules.flatMap((rule) => {
    const host = resolveHost(rule.spec.host, rule.namespace);
    const services = snapshot.services.all.filter((service) => hostMatches(host, service.host));
    const ports = new Set(services.flatMap((service) => service.ports.map(({ port }) => port)));
    if (ports.size === 0) return []; // said of the host
    const policies: [string, TrafficPolicy | undefined][] = [
      ['spec.trafficPolicy', rule.spec.trafficPolicy],
      ...(rule.spec.subsets ?? []).map(({ trafficPolicy }, i): [string, TrafficPolicy | undefined] => [
        `spec.subsets[${i}].trafficPolicy`,
        trafficPolicy,
      ]),
    ];
    return policies.flatMap(([path, policy]) =>
      (policy?.portLevelSettings ?? []).flatMap(({ port }, i) => {
        if (ports.has(port.number)) return [];
        const message = `${host} has no port ${port.number}, only ${[...ports].join(', ')}, so these settings have no effect`;
        return [finding('warning', 'IST0101', rule, `${path}.portLevelSettings[${i}].port.number`, message)];
      }),
    );
  });
}

function selectsSome(snapshot: Snapshot, service: Service, labels: Readonly<Record<string, string>>): boolean {
  return endpointsOf(snapshot, service).some((endpoint) => matchesLabels(labelsOf(endpoint), labels));
}

function findIdlePeerAuthentications(snapshot: Snapshot): Diagnostic[] {
  return snapshot.peerAuthentications.flatMap((policy) => {
    const labels = policy.spec.selector?.matchLabels ?? {};
    if (Object.keys(labels).length === 0) return [];
    if (policy.namespace === snapshot.meshConfig.rootNamespace)
      return [
        finding(
          'warning',
          'LAT0007',
          policy,
          'spec.selector',
          `objects with a selector in the root namespace ${policy.namespace} have no effect; put it into the namespace of the workloads`,
        ),
      ];
    if (
      [...snapshot.workloads.values()].some(
        (workload) => workload.namespace === policy.namespace && matchesLabels(workload.labels, labels),
      )
    )
      return [];
    return [
      finding(
        'warning',
        'IST0127',
        policy,
        'spec.selector',
        `no workload of namespace ${policy.namespace} has these labels (${formatLabels(labels)}), so it has no effect`,
      ),
    ];
  });
}

/** A name with a dot is taken as it is: `reviews.shop` is not completed, and so is no service. */
function findIncompleteHosts(snapshot: Snapshot): Diagnostic[] {
  return snapshot.virtualServices.flatMap((virtualService) =>
    hostsOf(virtualService).flatMap((host, i) => {
      const meant = snapshot.services.all.find(
        ({ host: full, entry }) => entry === undefined && host !== full && full.startsWith(`${host}.`),
      );
      if (meant === undefined) return [];
      const message = `${host} is no full name, and only names without dots are completed, so the object has no effect for it; write ${meant.host}`;
      return [finding('warning', 'LAT0007', virtualService, `spec.hosts[${i}]`, message)];
    }),
  );
}

function findRoutesWithoutPorts(snapshot: Snapshot): Diagnostic[] {
  return snapshot.virtualServices.flatMap((virtualService) =>
    hostsOf(virtualService).flatMap((host, i) => {
      const ports = snapshot.services.byHost.get(host)?.ports;
      const { http, tcp } = virtualService.spec;
      if (ports === undefined) return [];
      const idle: string[] = [];
      if (http !== undefined && !ports.some(({ protocol }) => mayCarryHttp(protocol)))
        idle.push(`no port of ${host} carries HTTP, so its HTTP rules have no effect`);
      if (tcp !== undefined && !ports.some(({ protocol }) => takesTcpRules(protocol)))
        idle.push(`no port of ${host} is of protocol tcp or detected, so its TCP rules have no effect`);
      return idle.map((message) => finding('warning', 'LAT0007', virtualService, `spec.hosts[${i}]`, message));
    }),
  );
}

/** Rules and settings that can never have an effect. */
function findIdleParts(snapshot: Snapshot): Diagnostic[] {
  return snapshot.virtualServices.flatMap((virtualService) =>
    findIdleRouteParts(virtualService).map(({ severity, code, path, message }) =>
      finding(severity, code, virtualService, path, message),
    ),
  );
}

/** Ports that are left out. */
function findUdpPorts(snapshot: Snapshot): Diagnostic[] {
  const left = (object: MeshObject, i: number, port: number) =>
    finding('warning', 'LAT0007', object, `spec.ports[${i}]`, `port ${port} is of UDP, which the mesh does not carry`);
  return [
    ...snapshot.serviceObjects.flatMap((object) =>
      (object.spec.ports ?? []).flatMap((port, i) =>
        readProtocol(port) === 'udp' ? [left(object, i, port.port)] : [],
      ),
    ),
    ...snapshot.serviceEntries.flatMap((entry) =>
      (entry.spec.ports ?? []).flatMap(({ number, protocol }, i) =>
        protocol?.toLowerCase() === 'udp' ? [left(entry, i, number)] : [],
      ),
    ),
  ];
}

/** What a Service object says and mesh.yaml says otherwise: mesh.yaml counts. */
function findServiceConflicts(snapshot: Snapshot): Diagnostic[] {
  return snapshot.serviceObjects.flatMap((object) => {
    const host = `${object.name}.${object.namespace}.svc.cluster.local`;
    const service = snapshot.services.byHost.get(host);
    if (service?.object === object) return findIdleService(snapshot, object);
    if (service === undefined) {
      const message = `mesh.yaml has no service ${object.name} in namespace ${object.namespace}, so nothing runs for it; add it there, or give it ports and a selector${suggestHost(snapshot, object.name, host)}`;
      return [finding('warning', 'IST0101', object, 'metadata.name', message)];
    }
    const ports = service.ports.map(({ port }) => port);
    const wrongPorts = (object.spec.ports ?? []).flatMap(({ port, ...rest }, i) =>
      ports.includes(port) || readProtocol({ port, ...rest }) === 'udp'
        ? []
        : [
            finding(
              'warning',
              'LAT0010',
              object,
              `spec.ports[${i}].port`,
              `says ${port} where mesh.yaml says ${ports.join(', ')}, which counts; make them equal`,
            ),
          ],
    );
    const workloads = snapshot.workloadsByService.get(host) ?? [];
    const wrongLabels = Object.entries(object.labels).flatMap(([key, value]) => {
      const other = workloads.find(({ labels }) => labels[key] !== value)?.labels[key];
      if (other === undefined) return [];
      const message = `says ${value} where mesh.yaml says ${other}, which counts; make them equal`;
      return [finding('warning', 'LAT0010', object, `metadata.labels.${key}`, message)];
    });
    return [...wrongPorts, ...wrongLabels];
  });
}

/** A Service object that selects workloads itself. */
function findIdleService(snapshot: Snapshot, object: ServiceObject): Diagnostic[] {
  const namedPorts = (object.spec.ports ?? []).flatMap(({ port, targetPort }, i) => {
    if (typeof targetPort !== 'string') return [];
    const message = `names of ports are not looked up, so it is ${port}; write a number`;
    return [finding('warning', 'LAT0007', object, `spec.ports[${i}].targetPort`, message)];
  });
  if ((snapshot.entryEndpoints.get(object) ?? []).length > 0) return namedPorts;
  const message = `no workload and no WorkloadEntry of namespace ${object.namespace} has these labels (${formatLabels(object.spec.selector ?? {})}); requests are answered with 503`;
  return [...namedPorts, finding('warning', 'IST0127', object, 'spec.selector', message)];
}
