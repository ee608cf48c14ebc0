// Turns mesh.yaml into what is to run: services, and for every instance its identity, its ports and its environment.
import {
  findForeignUpstream,
  findUpstream,
  parseAddress,
  type MeshFile,
  type Runnable,
  type ServiceEntryOfFile,
} from '../api/mesh-file.js';
import { formatSpiffeId } from '../identity/spiffe-id.js';
import { serviceHost } from '../model/host.js';
import { protocolOf, type PortProtocol } from '../api/port-protocol.js';
import { mayCarryHttp, type Service } from '../model/service.js';
import type { Address, Upstream, Workload, WorkloadPort } from '../model/workload.js';

const loopback = '127.0.0.1';

/** One instance as the file wants it. */
export interface PlannedInstance {
  /** `namespace/name`. */
  readonly key: string;
  /** Name of the instance, such as `reviews-v1-0`. */
  readonly name: string;
  readonly service: string;
  readonly version: string | undefined;
  /** Undefined where it runs already. */
  readonly command: string | readonly string[] | undefined;
  /** Variables that the file gives. */
  readonly env: Readonly<Record<string, string>>;
  /** Everything of the workload that does not depend on ports. */
  readonly identity: Pick<
    Workload,
    'name' | 'namespace' | 'workloadName' | 'serviceHost' | 'serviceAccount' | 'spiffeId' | 'labels'
  >;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  /** Where it runs already. */
  readonly address: Address | undefined;
  readonly fixed: {
    readonly inbound: number;
    readonly outbound: number;
    readonly upstreams: ReadonlyMap<string, number>;
    /** Hosts of ServiceEntries. */
    readonly foreign: readonly Upstream[];
  };
  /** Equal for instances that need not be replaced by each other. */
  readonly fingerprint: string;
}

export interface Plan {
  readonly services: readonly Service[];
  readonly instances: readonly PlannedInstance[];
}

/** What the file asks for; pure. */
export function createPlan({ services, meshConfig }: MeshFile): Plan {
  const planned = Object.entries(services).map(([name, entry]) => ({
    name,
    entry,
    service: planService(name, entry, meshConfig.trustDomain),
  }));
  return {
    services: planned.flatMap(({ service }) => (service.ports.length === 0 ? [] : [service])),
    instances: planned.flatMap(({ name, entry, service }) => planInstances(name, entry, service, services)),
  };
}

function planService(name: string, entry: ServiceEntryOfFile, trustDomain: string): Service {
  const namespace = entry.namespace ?? 'default';
  const listed =
    entry.ports ?? (entry.port === undefined ? [] : [{ port: entry.port, protocol: entry.protocol, name: undefined }]);
  return {
    name,
    namespace,
    host: serviceHost(name, namespace),
    ports: listed.map(({ name: portName, port, protocol }) => ({
      name: portName ?? `${protocol ?? 'port'}-${port}`,
      port,
      protocol: protocolOf({ port, protocol, name: portName }) as PortProtocol, // ports of UDP are refused
    })),
    identities: [formatSpiffeId({ trustDomain, namespace, serviceAccount: entry.serviceAccount ?? name })],
  };
}

function planInstances(
  name: string,
  entry: ServiceEntryOfFile,
  service: Service,
  all: MeshFile['services'],
): PlannedInstance[] {
  const versions: [string | undefined, Runnable][] =
    entry.versions === undefined ? [[undefined, entry]] : Object.entries(entry.versions);
  return versions.flatMap(([version, runnable]) => {
    const workloadName = version === undefined ? name : `${name}-${version}`;
    return Array.from({ length: runnable.replicas ?? 1 }, (_, i) =>
      planInstance(name, entry, service, all, { version, runnable, workloadName, instance: `${workloadName}-${i}` }),
    );
  });
}

interface InstanceOfVersion {
  readonly version: string | undefined;
  readonly runnable: Runnable;
  readonly workloadName: string;
  readonly instance: string;
}

function planInstance(
  name: string,
  entry: ServiceEntryOfFile,
  service: Service,
  all: MeshFile['services'],
  { version, runnable, workloadName, instance }: InstanceOfVersion,
): PlannedInstance {
  const fixedUpstreams = new Map<string, number>();
  const foreign: Upstream[] = [];
  for (const [key, port] of Object.entries(entry.upstreams ?? {})) {
    const target = findUpstream(all, key);
    if (target === undefined) foreign.push({ ...findForeignUpstream(all, key)!, listen: { address: loopback, port } });
    else {
      const host = serviceHost(target.service, all[target.service]!.namespace ?? 'default');
      fixedUpstreams.set(upstreamKey(host, target.port), port);
    }
  }
  const planned: Omit<PlannedInstance, 'fingerprint'> = {
    key: `${service.namespace}/${instance}`,
    name: instance,
    service: name,
    version,
    command: runnable.command,
    env: Object.fromEntries(Object.entries(runnable.env ?? {}).map(([key, value]) => [key, String(value)])),
    identity: {
      name: instance,
      namespace: service.namespace,
      workloadName,
      serviceHost: service.host,
      serviceAccount: entry.serviceAccount ?? name,
      spiffeId: service.identities[0]!,
      labels: { ...entry.labels, app: name, ...(version === undefined ? {} : { version }) },
    },
    ports: service.ports.map(({ name: portName, port }) => ({ name: portName, port })),
    address: runnable.address === undefined ? undefined : parseAddress(runnable.address),
    fixed: { inbound: entry.inboundPort ?? 0, outbound: entry.outboundPort ?? 0, upstreams: fixedUpstreams, foreign },
  };
  return {
    ...planned,
    fingerprint: JSON.stringify({ ...planned, fixed: { ...planned.fixed, upstreams: [...fixedUpstreams] } }),
  };
}

/** `host:port` of a service: names an upstream. */
export function upstreamKey(host: string, port: number): string {
  return `${host}:${port}`;
}

/** The workload of an instance, with a port for everything that needs one; `allocate` gives a port for a purpose. */
export async function assignPorts(
  uid: string,
  instance: PlannedInstance,
  services: readonly Service[],
  allocate: (purpose: string) => Promise<number>,
): Promise<Workload> {
  const at = async (fixed: number, purpose: string): Promise<Address> => ({
    address: loopback,
    port: fixed === 0 ? await allocate(`${uid} ${purpose}`) : fixed,
  });
  const ports: WorkloadPort[] = [];
  for (const [i, { port }] of instance.ports.entries())
    ports.push({
      port,
      inbound: await at(i === 0 ? instance.fixed.inbound : 0, `inbound ${port}`),
      app: instance.address ?? (await at(0, `app ${port}`)),
    });
  return {
    uid,
    ...instance.identity,
    ready: false,
    ports,
    outboundHttp: await at(instance.fixed.outbound, 'outbound'),
    upstreams: await assignUpstreams(uid, instance, services, allocate),
  };
}

/** A loopback port for every port of every service. */
export async function assignUpstreams(
  uid: string,
  instance: PlannedInstance,
  services: readonly Service[],
  allocate: (purpose: string) => Promise<number>,
): Promise<Upstream[]> {
  const upstreams: Upstream[] = [];
  for (const service of services)
    for (const { port } of service.ports) {
      const key = upstreamKey(service.host, port);
      const listen = {
        address: loopback,
        port: instance.fixed.upstreams.get(key) ?? (await allocate(`${uid} upstream ${key}`)),
      };
      upstreams.push({ host: service.host, port, listen });
    }
  return [...upstreams, ...instance.fixed.foreign];
}

/** What the application finds in its environment, beside what was there and what the file adds. */
export function applicationEnvironment(
  workload: Workload,
  instance: PlannedInstance,
  services: readonly Service[],
): Record<string, string> {
  const proxy = `http://${workload.outboundHttp.address}:${workload.outboundHttp.port}`;
  const env: Record<string, string> = {
    HTTP_PROXY: proxy,
    http_proxy: proxy,
    NO_PROXY: 'localhost,127.0.0.1,::1',
    no_proxy: 'localhost,127.0.0.1,::1',
    NODE_USE_ENV_PROXY: '1',
  };
  for (const [i, { port, app }] of workload.ports.entries()) {
    if (i === 0) env['PORT'] = String(app.port);
    const name = instance.ports.find((candidate) => candidate.port === port)?.name;
    if (name !== undefined) env[`PORT_${variableName(name)}`] = String(app.port);
  }
  for (const service of services) {
    const base = variableName(
      service.namespace === workload.namespace ? service.name : `${service.name}_${service.namespace}`,
    );
    for (const [i, { name, port, protocol }] of service.ports.entries()) {
      const upstream = workload.upstreams.find(
        (candidate) => candidate.host === service.host && candidate.port === port,
      );
      if (upstream === undefined) continue;
      const place = `${upstream.listen.address}:${upstream.listen.port}`;
      const variable = i === 0 ? base : `${base}_${variableName(name)}`;
      if (mayCarryHttp(protocol)) env[`${variable}_URL`] = `http://${place}`;
      if (protocol !== 'http') env[`${variable}_ADDR`] = place;
    }
  }
  return { ...env, ...instance.env };
}

function variableName(name: string): string {
  return name.toUpperCase().replace(/[^A-Z0-9]/g, '_');
}
