// Where connections of bytes go: the TCP rules of VirtualServices, decided when configuration is compiled.
import type { VirtualService } from '../api/kinds.js';
import { objectKey } from '../api/object.js';
import type { TcpMatch, TcpRouteRule } from '../api/virtual-service.js';
import { hostMatches, resolveHost } from '../model/host.js';
import type { PortProtocol } from '../api/port-protocol.js';
import type { Service, ServicePort } from '../model/service.js';
import type { ServiceIndex, Snapshot } from '../model/snapshot.js';
import { visibleServices } from '../model/visible-services.js';
import { memoize } from '../util/memoize.js';
import { outboundClusterName } from './names.js';
import { provenance, type Omission } from './provenance.js';
import { clusterFor } from './routes.js';
import { appliesInMesh, hostsOf, type Client, whySourceIsNot } from './virtual-services.js';

/** What all connections of bytes to one port of a service do. */
export interface TcpRoute {
  /** One takes everything; of several each has a weight above 0. */
  readonly destinations: readonly { readonly name: string; readonly weight: number }[];
  readonly statPrefix: string;
  /** Where the rule stands; undefined for the service itself. */
  readonly metadata: ReturnType<typeof provenance> | undefined;
  /** The service whose DestinationRule says how long connections may be silent. */
  readonly service: Service;
  readonly port: ServicePort;
}

export interface CompiledTcpRoute {
  readonly route: TcpRoute;
  /** Rules that are not in force for the client, and why. */
  readonly omissions: readonly Omission[];
}

/** Whether TCP rules hold for a port: those of TLS are others. */
export function takesTcpRules(protocol: PortProtocol): boolean {
  return protocol === 'tcp' || protocol === 'detect';
}

/**
 * The route of bytes that `client` sends to a port. Other than for HTTP every VirtualService of the host takes part, the oldest
 * first, whichever names the host most exactly; the first rule that is for the client counts.
 */
export function compileTcpRoute(
  snapshot: Snapshot,
  service: Service,
  port: ServicePort,
  client: Client,
): CompiledTcpRoute {
  if (!takesTcpRules(port.protocol)) return defaultRoute(service, port);
  const owners = snapshot.virtualServices.filter(
    (owner) =>
      owner.spec.tcp !== undefined &&
      appliesInMesh(owner, client.namespace) &&
      hostsOf(owner).some((pattern) => hostMatches(pattern, service.host)),
  );
  if (owners.length === 0) return defaultRoute(service, port);
  return firstRoute(visibleServices(snapshot.services, client.namespace), service, port, client, ...owners);
}

const defaultRoute = memoize((service: Service, port: ServicePort): CompiledTcpRoute => {
  const name = outboundClusterName(port.port, '', service.host);
  return {
    route: { destinations: [{ name, weight: 1 }], statPrefix: name, metadata: undefined, service, port },
    omissions: [],
  };
});

const firstRoute = memoize(
  (
    services: ServiceIndex,
    service: Service,
    port: ServicePort,
    client: Client,
    ...owners: readonly VirtualService[]
  ): CompiledTcpRoute => {
    const omissions: Omission[] = [];
    let taken: TcpRoute | undefined;
    for (const owner of owners)
      for (const [i, rule] of owner.spec.tcp!.entries()) {
        const path = `spec.tcp[${i}]`;
        const omit = (where: string, reason: string) =>
          omissions.push({ object: objectKey(owner), path: where, reason });
        if (taken !== undefined) {
          omit(path, 'an earlier rule takes every connection');
          continue;
        }
        if (rule.match === undefined || rule.match.length === 0) {
          taken = compileRule(owner, path, rule, services, service, port);
          continue;
        }
        for (const [j, match] of rule.match.entries()) {
          const matchPath = `${path}.match[${j}]`;
          const reason =
            taken === undefined ? whyNotFor(match, client, port.port) : 'an earlier match takes every connection';
          if (reason === undefined) taken = compileRule(owner, matchPath, rule, services, service, port);
          else omit(matchPath, reason);
        }
      }
    return { route: taken ?? defaultRoute(service, port).route, omissions };
  },
);

function compileRule(
  owner: VirtualService,
  path: string,
  { route }: TcpRouteRule,
  services: ServiceIndex,
  called: Service,
  port: ServicePort,
): TcpRoute {
  const destinations = (route.length > 1 ? route.filter(({ weight = 0 }) => weight > 0) : route).map(
    ({ destination, weight = 0 }) => ({
      name: clusterFor(destination, owner.namespace, services, port.port),
      weight,
    }),
  );
  const [first] = route;
  const service = services.byHost.get(resolveHost(first!.destination.host, owner.namespace));
  return {
    destinations,
    statPrefix: route.length === 1 ? destinations[0]!.name : `${owner.name}.${owner.namespace}`,
    metadata: provenance(owner, path),
    service: service ?? called,
    port: service?.ports.find((candidate) => candidate.port === first!.destination.port?.number) ?? port,
  };
}

/** Why a match is not for connections of the client. Other than for HTTP all conditions must hold together. */
function whyNotFor(match: TcpMatch, client: Client, port: number): string | undefined {
  if (match.port !== undefined && match.port !== port) return `it is for port ${match.port}`;
  if (match.gateways !== undefined && match.gateways.length > 0 && !match.gateways.includes('mesh'))
    return `it is for the gateways ${match.gateways.join(', ')}`;
  return whySourceIsNot(match, client);
}
