// Listeners: what a workload's proxy takes from its application (outbound) and from the mesh (inbound).
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Duration } from '@bufbuild/protobuf/wkt';
import type { ConnectionPool } from '../api/connection-policy.js';
import type { MeshConfig } from '../api/mesh-config.js';
import type { Address, Workload, WorkloadPort } from '../model/workload.js';
import type { PortProtocol } from '../api/port-protocol.js';
import { carriedBy, type Service, type ServicePort } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';
import {
  HttpInspectorSchema,
  ListenerSchema,
  TcpProxySchema,
  TlsInspectorSchema,
  TrafficDirection,
  type Listener,
} from '../xds/messages.js';
import { compileAccessLogs } from './access-logs.js';
import { compilePolicyFilters } from './authorization-policies.js';
import { inboundHttpFilter, outboundHttpFilter, type OutboundHttp } from './http-connection-manager.js';
import { durationOf, socketAddress, typed } from './messages.js';
import { connectListenerName, httpProxyRoutes, inboundClusterName, listenerName, serviceRoutesName } from './names.js';
import { inboundPolicy } from './destination-rules.js';
import { parseDurationMs } from '../util/duration.js';
import { effectiveMode } from './peer-authentication.js';
import { provenance } from './provenance.js';
import type { TcpRoute } from './tcp-routes.js';
import { acceptedAlpn, downstreamTls } from './tls-contexts.js';
import { tracedWorkload, type TracedWorkload } from './tracing.js';

type ListenerInit = Exclude<MessageInitShape<typeof ListenerSchema>, { $typeName: string }>;
type ChainInit = Exclude<NonNullable<ListenerInit['filterChains']>[number], { $typeName: string }>;

/** How long the first bytes may take where only a client that speaks first is expected: Envoy's default. */
const inspectionTimeout = durationOf(15_000);
/** How long a silent connection is waited for where the server may have to speak first; for Envoy it is bytes then. */
const serverFirstTimeout = durationOf(100);
/** What the HTTP inspector reports of a connection that begins with a method of HTTP/1, or as HTTP/2 does. */
const plainHttp = ['http/1.0', 'http/1.1', 'h2c'];

const tlsInspector = {
  name: 'envoy.filters.listener.tls_inspector',
  configType: { case: 'typedConfig' as const, value: typed(TlsInspectorSchema, {}) },
};
const httpInspector = {
  name: 'envoy.filters.listener.http_inspector',
  configType: { case: 'typedConfig' as const, value: typed(HttpInspectorSchema, {}) },
};

/** The listener that serves every HTTP host of the mesh. */
export function compileOutboundHttpListener(
  meshConfig: MeshConfig,
  { address, port }: Address,
  traced: TracedWorkload | undefined,
): Listener {
  return create(ListenerSchema, {
    name: listenerName(address, port),
    address: socketAddress(address, port),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters: [outboundHttpFilter(meshConfig, { routes: httpProxyRoutes, connect: true, traced })] }],
  });
}

/** A loopback port for one port of one service. It takes any Host: the authority becomes the name of the service. */
export function compileUpstreamListener(
  meshConfig: MeshConfig,
  service: Service,
  port: ServicePort,
  listen: Address,
  authority: string,
  route: TcpRoute,
  tcp: TcpTimes,
  traced: TracedWorkload | undefined,
): Listener {
  return create(ListenerSchema, {
    name: listenerName(listen.address, listen.port),
    address: socketAddress(listen.address, listen.port),
    ...serviceListener(
      meshConfig,
      port,
      { routes: serviceRoutesName(service.host, port.port), authority, traced },
      route,
      tcp,
    ),
  });
}

/** The same without a port of its own: a CONNECT to the service continues here, as if its address had been called. */
export function compileConnectListener(
  meshConfig: MeshConfig,
  service: Service,
  port: ServicePort,
  route: TcpRoute,
  tcp: TcpTimes,
  traced: TracedWorkload | undefined,
): Listener {
  return create(ListenerSchema, {
    name: connectListenerName(service.host, port.port),
    listenerSpecifier: { case: 'internalListener', value: {} },
    ...serviceListener(meshConfig, port, { routes: serviceRoutesName(service.host, port.port), traced }, route, tcp),
  });
}

function serviceListener(
  meshConfig: MeshConfig,
  port: ServicePort,
  http: OutboundHttp,
  route: TcpRoute,
  tcp: TcpTimes,
): ListenerInit {
  const bytes = tcpFilter(meshConfig, route, tcp);
  const requests = outboundHttpFilter(meshConfig, http);
  return {
    trafficDirection: TrafficDirection.OUTBOUND,
    ...inspection(port.protocol === 'detect' ? [httpInspector] : [], serverFirstTimeout),
    filterChains: byProtocol(port.protocol, [requests], [bytes], { http: plainHttp, bytes: [] }).map((chain) =>
      route.metadata !== undefined && chain.filters?.[0] === bytes ? { ...chain, metadata: route.metadata } : chain,
    ),
  };
}

/** One port of the workload as the mesh sees it: mTLS, and plaintext where no policy forbids it. */
export function compileInboundListener(
  snapshot: Snapshot,
  workload: Workload,
  place: WorkloadPort,
  protocol: PortProtocol,
): Listener {
  const { mode, source, path } = effectiveMode(snapshot, workload, place.port);
  const cluster = inboundClusterName(place.port);
  const policies = compilePolicyFilters(snapshot, workload, place);
  const requests = inboundHttpFilter(snapshot.meshConfig, {
    host: workload.serviceHost,
    port: place.port,
    cluster,
    traced: tracedWorkload(snapshot.meshConfig, workload),
    policies: policies.http,
  });
  const service = snapshot.services.byHost.get(workload.serviceHost);
  const pool = service && inboundPolicy(snapshot, service, place.port).connectionPool;
  const toApplication = { destinations: [{ name: cluster, weight: 1 }], statPrefix: cluster };
  const bytes = [...policies.network, tcpFilter(snapshot.meshConfig, toApplication, pool?.tcp)];
  const chains: ChainInit[] = [];
  if (mode !== 'DISABLE') {
    // Beside plaintext only handshakes of the mesh are ended here: the application may have a TLS of its own.
    const names = { http: acceptedAlpn.http, bytes: mode === 'PERMISSIVE' ? acceptedAlpn.bytes : [] };
    for (const chain of byProtocol(protocol, [requests], bytes, names))
      chains.push({
        ...chain,
        filterChainMatch: { ...chain.filterChainMatch, transportProtocol: 'tls' },
        transportSocket: downstreamTls(chain.filters === bytes ? acceptedAlpn.bytes : namesOfRequests(protocol)),
      });
  }
  if (mode !== 'STRICT') {
    for (const chain of byProtocol(protocol, [requests], bytes, { http: plainHttp, bytes: [] }))
      chains.push({ ...chain, filterChainMatch: { ...chain.filterChainMatch, transportProtocol: 'raw_buffer' } });
    if (carriedBy(protocol) !== 'requests')
      chains.push({ filterChainMatch: { transportProtocol: 'tls' }, filters: bytes });
  }
  return create(ListenerSchema, {
    name: listenerName(place.inbound.address, place.inbound.port),
    address: socketAddress(place.inbound.address, place.inbound.port),
    trafficDirection: TrafficDirection.INBOUND,
    ...inspection(
      protocol === 'detect' && mode !== 'STRICT' ? [tlsInspector, httpInspector] : [tlsInspector],
      carriedBy(protocol) === 'requests' || mode === 'STRICT' ? inspectionTimeout : serverFirstTimeout,
    ),
    filterChains: chains.map((chain, i) => ({ name: `${place.port}-${i}`, ...chain })),
    ...(source === undefined ? {} : { metadata: provenance(source, path) }),
  });
}

/** What may be chosen in a handshake for HTTP. Who says bytes to a port of HTTP is read as HTTP all the same. */
function namesOfRequests(protocol: PortProtocol): readonly string[] {
  const { http, plainHttp, bytes } = acceptedAlpn;
  return carriedBy(protocol) === 'either' ? http : [...http, ...plainHttp, ...bytes];
}

interface ProtocolNames {
  /** What tells HTTP. */
  readonly http: readonly string[];
  /** What tells bytes; empty: everything that is not HTTP. */
  readonly bytes: readonly string[];
}

/** The chain of a declared protocol, or the two between which the handshake or the first bytes decide. */
function byProtocol(protocol: PortProtocol, requests: Filter[], bytes: Filter[], names: ProtocolNames): ChainInit[] {
  const carried = carriedBy(protocol);
  if (carried === 'either')
    return [
      { filterChainMatch: { applicationProtocols: [...names.http] }, filters: requests },
      { filterChainMatch: { applicationProtocols: [...names.bytes] }, filters: bytes },
    ];
  const applicationProtocols = names.bytes.length === 0 ? [] : [...names.http, ...names.bytes];
  return [{ filterChainMatch: { applicationProtocols }, filters: carried === 'requests' ? requests : bytes }];
}

type Filter = NonNullable<ChainInit['filters']>[number];

/** Looks at the first bytes of a connection, where there is something to choose. */
function inspection(inspectors: NonNullable<ListenerInit['listenerFilters']>, timeout: Duration): ListenerInit {
  if (inspectors.length === 0) return {};
  return { listenerFilters: inspectors, listenerFiltersTimeout: timeout, continueOnListenerFiltersTimeout: true };
}

/** What a DestinationRule says of connections of bytes. */
export type TcpTimes = ConnectionPool['tcp'];

function tcpFilter(
  meshConfig: MeshConfig,
  { destinations, statPrefix }: Pick<TcpRoute, 'destinations' | 'statPrefix'>,
  tcp: TcpTimes,
): Filter {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    configType: {
      case: 'typedConfig' as const,
      value: typed(TcpProxySchema, {
        statPrefix,
        clusterSpecifier:
          destinations.length === 1
            ? { case: 'cluster', value: destinations[0]!.name }
            : { case: 'weightedClusters', value: { clusters: [...destinations] } },
        idleTimeout: durationOf(parseDurationMs(tcp?.idleTimeout ?? '1h')!),
        ...(tcp?.maxConnectionDuration === undefined
          ? {}
          : { maxDownstreamConnectionDuration: durationOf(parseDurationMs(tcp.maxConnectionDuration)!) }),
        accessLog: compileAccessLogs(meshConfig),
      }),
    },
  };
}
