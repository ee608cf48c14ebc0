// Route configurations: one for the listener that serves every host, one for each port of each service.
import { create } from '@bufbuild/protobuf';
import type { VirtualService } from '../api/kinds.js';
import type { RetryPolicySpec } from '../api/retry-policy.js';
import { callableNames, splitServiceHost } from '../model/host.js';
import { mayCarryHttp, type Service, type ServicePort } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';
import { visibleServices } from '../model/visible-services.js';
import { memoize } from '../util/memoize.js';
import {
  RouteConfigurationSchema,
  RouteSchema,
  VirtualHostSchema,
  type Route,
  type RouteConfiguration,
  type VirtualHost,
} from '../xds/messages.js';
import { durationOf } from './messages.js';
import { connectListenerName, httpProxyRoutes, serviceRoutesName } from './names.js';
import type { Omission } from './provenance.js';
import { compileHttpRoutes, defaultRoute, type CompiledRoutes } from './routes.js';
import { appliesInMesh, claimingVirtualServices, hostsOf, type Client } from './virtual-services.js';

export interface CompiledRouteConfigurations {
  readonly configurations: readonly RouteConfiguration[];
  readonly omissions: readonly Omission[];
}

/** Port under which Istio files hosts that are no service. */
const portOfForeignHosts = 80;

/** Longest body of a fixed answer, in bytes: what the schema takes. Envoy's own default is 4096. */
const longestDirectResponse = 1024 * 1024;

/** What a client sees of a snapshot. */
type Seen = Pick<Snapshot, 'services' | 'meshConfig'>;

/** Everything that decides where requests of `client` go. */
export function compileRouteConfigurations(snapshot: Snapshot, client: Client): CompiledRouteConfigurations {
  const everyHost: VirtualHost[] = [];
  const configurations: RouteConfiguration[] = [];
  const omissions = new Set<Omission>();
  const taken = new Set<string>();
  const seen = { services: visibleServices(snapshot.services, client.namespace), meshConfig: snapshot.meshConfig };
  for (const service of seen.services.all) {
    const owners = claimingVirtualServices(snapshot, service.host, client.namespace);
    for (const port of service.ports) {
      const compiled = mayCarryHttp(port.protocol) ? routesOf(owners, service, port, seen, client) : bytesOnly;
      for (const omission of compiled.omissions) omissions.add(omission);
      everyHost.push(...withFreeDomains(virtualHost(service, port, client.namespace, compiled), taken));
      if (mayCarryHttp(port.protocol)) configurations.push(serviceRoutes(service, port, compiled));
    }
  }
  everyHost.push(...foreignHosts(snapshot, seen, client, taken));
  configurations.unshift(
    create(RouteConfigurationSchema, {
      name: httpProxyRoutes,
      virtualHosts: everyHost,
      maxDirectResponseBodySizeBytes: longestDirectResponse,
    }),
  );
  return { configurations, omissions: [...omissions] };
}

/** Ports that carry bytes have no requests to route; they are reached by CONNECT. */
const bytesOnly: CompiledRoutes = { routes: [], omissions: [] };

function routesOf(
  owners: readonly VirtualService[],
  service: Service,
  port: ServicePort,
  { services, meshConfig }: Seen,
  client: Client,
): CompiledRoutes {
  const retries = meshConfig.defaultHttpRetryPolicy;
  const attempts = owners.map((owner) => ownedRoutes(owner, services, client, port.port, retries));
  return firstWithRoutes(attempts) ?? withOmissions(defaultRoutes(service, port, retries), ...attempts);
}

const defaultRoutes = memoize(
  (service: Service, port: ServicePort, retries: RetryPolicySpec | undefined): CompiledRoutes => ({
    routes: [defaultRoute(service.host, port.port, retries)],
    omissions: [],
  }),
);

const ownedRoutes = memoize(compileHttpRoutes);

/** An object all of whose rules are for other callers owns nothing: the next one does, or nobody. */
function firstWithRoutes(attempts: readonly CompiledRoutes[]): CompiledRoutes | undefined {
  const at = attempts.findIndex(({ routes }) => routes.length > 0);
  return at < 0 ? undefined : withOmissions(attempts[at]!, ...attempts.slice(0, at));
}

/** Together with what was left out before. */
function withOmissions(compiled: CompiledRoutes, ...before: readonly CompiledRoutes[]): CompiledRoutes {
  return before.length === 0 ? compiled : joinOmissions(compiled, ...before);
}

const joinOmissions = memoize((compiled: CompiledRoutes, ...before: readonly CompiledRoutes[]): CompiledRoutes => ({
  routes: compiled.routes,
  omissions: [...before, compiled].flatMap(({ omissions }) => omissions),
}));

const serviceRoutes = memoize((service: Service, port: ServicePort, compiled: CompiledRoutes): RouteConfiguration =>
  create(RouteConfigurationSchema, {
    name: serviceRoutesName(service.host, port.port),
    maxDirectResponseBodySizeBytes: longestDirectResponse,
    virtualHosts: [
      create(VirtualHostSchema, { name: `${service.host}:${port.port}`, domains: ['*'], routes: [...compiled.routes] }),
    ],
  }),
);

const virtualHost = memoize(
  (service: Service, port: ServicePort, namespace: string, compiled: CompiledRoutes): VirtualHost => {
    const names = namesOf(service, namespace);
    const withDot = service.host.startsWith('*') ? [] : [`${service.host}.`];
    const domains = [...names, ...withDot].map((name) => `${name}:${port.port}`);
    // Without a port a host means port 80 where the service has it, else its first.
    if (port.port === (service.ports.find((candidate) => candidate.port === 80) ?? service.ports[0])?.port)
      domains.unshift(...names, ...withDot);
    return create(VirtualHostSchema, {
      name: `${service.host}:${port.port}`,
      domains,
      routes: [connectRoute(service, port), ...compiled.routes],
    });
  },
);

/** Only hosts of the mesh's own form have short names. */
function namesOf({ host, entry }: Service, clientNamespace: string): string[] {
  const parts = splitServiceHost(host);
  if (parts === undefined || (entry !== undefined && entry.namespace !== parts.namespace)) return [host];
  return callableNames(parts.name, parts.namespace, clientNamespace);
}

/** A domain can stand once: what an earlier service is called by stays its own. */
function withFreeDomains(host: VirtualHost, taken: Set<string>): VirtualHost[] {
  const domains = host.domains.filter((domain) => !taken.has(domain));
  for (const domain of domains) taken.add(domain);
  if (domains.length === 0) return [];
  return [domains.length === host.domains.length ? host : create(VirtualHostSchema, { ...host, domains })];
}

/** CONNECT to a service goes on in the listener for its port, as if its address had been called. */
const connectRoute = memoize((service: Service, port: ServicePort): Route =>
  create(RouteSchema, {
    name: 'connect',
    match: { pathSpecifier: { case: 'connectMatcher', value: {} } },
    action: {
      case: 'route',
      value: {
        clusterSpecifier: { case: 'cluster', value: connectListenerName(service.host, port.port) },
        timeout: durationOf(0),
        upgradeConfigs: [{ upgradeType: 'CONNECT', connectConfig: {} }],
      },
    },
  }),
);

/**
 * Hosts that VirtualServices name and no service has: they too get a virtual host, from the oldest object that names them.
 * A domain can stand once: what a service is called by already stays the service's.
 */
function foreignHosts(
  snapshot: Snapshot,
  { services, meshConfig }: Seen,
  client: Client,
  taken: ReadonlySet<string>,
): VirtualHost[] {
  const hosts = new Map<string, CompiledRoutes[]>();
  const routesFor = (owner: VirtualService) =>
    ownedRoutes(owner, services, client, portOfForeignHosts, meshConfig.defaultHttpRetryPolicy);
  for (const owner of snapshot.virtualServices)
    if (appliesInMesh(owner, client.namespace) && owner.spec.http !== undefined)
      for (const host of hostsOf(owner))
        if (!services.byHost.has(host) && !taken.has(host))
          hosts.set(host, [...(hosts.get(host) ?? []), routesFor(owner)]);
  return [...hosts].flatMap(([host, attempts]) => {
    const compiled = firstWithRoutes(attempts);
    return compiled === undefined ? [] : [foreignHost(host, compiled)];
  });
}

const foreignHost = memoize((host: string, compiled: CompiledRoutes): VirtualHost =>
  create(VirtualHostSchema, {
    name: `${host}:${portOfForeignHosts}`,
    domains: host.startsWith('*') ? [host] : [host, `${host}:*`],
    routes: [...compiled.routes],
  }),
);
