// Reads listeners from Envoy's messages; what this proxy cannot do is refused by name.
import { toBinary, type DescMessage } from '@bufbuild/protobuf';
import { anyUnpack, type Any } from '@bufbuild/protobuf/wkt';
import { contentHash } from '../../util/hash.js';
import { compileJsonFormat, compileTextFormat, type Formatter } from '../../telemetry/access-log/format.js';
import { HttpFilter } from '../http/http-filter.js';
import type { AccessLogTarget, HttpEnvironment, HttpSettings, UpstreamProtocols } from '../http/environment.js';
import type { Policies } from '../authorization/policies.js';
import { UnsupportedConfig } from '../http/matchers.js';
import { RouteTable } from '../http/route-table.js';
import type { FilterChain, FilterChainMatch, NetworkFilter } from '../listener/filter-chain.js';
import type { ListenerConfig } from '../listener/listener.js';
import { TcpFilter, type TcpDestination, type TcpEnvironment } from '../tcp/tcp-filter.js';
import type { TlsAcceptor } from '../tls/acceptor.js';
import {
  CorsSchema,
  DownstreamTlsContextSchema,
  FileAccessLogSchema,
  FilterChainSchema,
  HTTPFaultSchema,
  HeaderMutationSchema,
  HttpConnectionManager_CodecType as CodecType,
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManagerSchema,
  HttpInspectorSchema,
  RouterSchema,
  type TcpProxy,
  TcpProxySchema,
  TlsInspectorSchema,
  TrafficDirection,
  TypedStructSchema,
  type AccessLog,
  type FilterChain as FilterChainMessage,
  type HttpConnectionManager,
  type Listener as ListenerMessage,
} from '../../xds/messages.js';
import { readHttp2Limits } from './http2-config.js';
import { readFault } from './route-filters.js';
import { durationMs, timeLimitMs } from './duration.js';
import { readTracing, type OpenSpanSink } from './tracing-config.js';
import { isHttpPolicy, readHttpPolicies, readNetworkPolicies, withoutPolicies } from './policy-config.js';

/** What the running parts of a listener need. */
export interface ListenerFactory
  extends Omit<HttpEnvironment, 'routes' | 'accessLogs'>, Omit<TcpEnvironment, 'accessLogs'> {
  /** The routes of that name now. */
  findRoutes(name: string): RouteTable | undefined;
  createAcceptor(protocols: readonly string[]): TlsAcceptor;
  /** Where lines for that path go. */
  openAccessLog(path: string): (line: string) => void;
  readonly openSpanSink: OpenSpanSink;
}

/** What a listener names and needs. */
interface ListenerReferences {
  readonly routeNames: Set<string>;
  /** Clusters of its filters of bytes. */
  readonly clusters: Set<string>;
}

/** @throws UnsupportedConfig */
export function readListener(listener: ListenerMessage, factory: ListenerFactory): ListenerConfig {
  const direction = listener.trafficDirection === TrafficDirection.INBOUND ? 'inbound' : 'outbound';
  const references: ListenerReferences = { routeNames: new Set(), clusters: new Set() };
  const inspectors = new Set(
    listener.listenerFilters.map((filter) => {
      const config = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
      if (config !== undefined && anyUnpack(config, TlsInspectorSchema) !== undefined) return 'tls';
      if (config !== undefined && anyUnpack(config, HttpInspectorSchema) !== undefined) return 'http';
      throw new UnsupportedConfig(`listener filter ${filter.name} is not supported`);
    }),
  );
  if (listener.useOriginalDst === true) throw new UnsupportedConfig('redirected connections are not supported');
  return {
    name: listener.name,
    address: addressOf(listener),
    direction,
    inspectsTls: inspectors.has('tls'),
    inspectsHttp: inspectors.has('http'),
    inspectionTimeoutMs: timeLimitMs(listener.listenerFiltersTimeout, 15_000),
    chains: [
      ...listener.filterChains,
      ...(listener.defaultFilterChain === undefined ? [] : [listener.defaultFilterChain]),
    ].map((chain) => readChain(chain, direction, factory, references)),
    ...references,
  };
}

function addressOf(listener: ListenerMessage): ListenerConfig['address'] {
  if (listener.listenerSpecifier.case === 'internalListener') return undefined;
  const address = listener.address?.address;
  if (address?.case !== 'socketAddress' || address.value.portSpecifier.case !== 'portValue')
    throw new UnsupportedConfig('the listener has no address and port');
  return { address: address.value.address, port: address.value.portSpecifier.value };
}

function readChain(
  chain: FilterChainMessage,
  direction: HttpSettings['direction'],
  factory: ListenerFactory,
  references: ListenerReferences,
): FilterChain {
  const filter = chain.filters.at(-1);
  if (filter === undefined) throw new UnsupportedConfig(`filter chain ${chain.name} has no filter`);
  const config = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
  if (config === undefined) throw new UnsupportedConfig(`filter ${filter.name} has no typed configuration`);
  const policies = readNetworkPolicies(chain.filters.slice(0, -1));
  return {
    key: contentHash(toBinary(FilterChainSchema, withoutPolicies(chain))),
    match: readMatch(chain.filterChainMatch),
    tls: readDownstreamTls(chain, factory),
    filter: readFilter(filter.name, config, policies, direction, factory, references),
  };
}

function readMatch(match: FilterChainMessage['filterChainMatch']): FilterChainMatch {
  if (match === undefined) return { transportProtocol: '', applicationProtocols: [], serverNames: [] };
  if (
    match.destinationPort !== undefined ||
    match.prefixRanges.length > 0 ||
    match.sourcePrefixRanges.length > 0 ||
    match.sourcePorts.length > 0
  )
    throw new UnsupportedConfig('filter chains can be chosen by TLS, application protocol and server name only');
  const { transportProtocol, applicationProtocols, serverNames } = match;
  return { transportProtocol, applicationProtocols, serverNames };
}

function readDownstreamTls(chain: FilterChainMessage, factory: ListenerFactory): TlsAcceptor | undefined {
  const config = chain.transportSocket?.configType.value;
  if (config === undefined) return undefined;
  const context = anyUnpack(config, DownstreamTlsContextSchema);
  if (context === undefined) throw new UnsupportedConfig(`transport socket ${config.typeUrl} is not supported`);
  if (context.requireClientCertificate !== true)
    throw new UnsupportedConfig('TLS without client certificates is not supported');
  return factory.createAcceptor(context.commonTlsContext?.alpnProtocols ?? []);
}

function readFilter(
  name: string,
  config: Any,
  policies: Policies | undefined,
  direction: HttpSettings['direction'],
  factory: ListenerFactory,
  { routeNames, clusters }: ListenerReferences,
): NetworkFilter {
  const tcp = anyUnpack(config, TcpProxySchema);
  if (tcp !== undefined) {
    const destinations = readTcpDestinations(tcp);
    for (const { cluster } of destinations) clusters.add(cluster);
    const environment: TcpEnvironment = { ...factory, accessLogs: readAccessLogs(tcp.accessLog, factory) };
    return new TcpFilter(
      {
        direction,
        destinations,
        idleTimeoutMs: timeLimitMs(tcp.idleTimeout, 3_600_000),
        maxDurationMs: durationMs(tcp.maxDownstreamConnectionDuration) ?? Infinity,
        policies,
      },
      environment,
    );
  }
  const manager = anyUnpack(config, HttpConnectionManagerSchema);
  if (manager === undefined) throw new UnsupportedConfig(`filter ${name} is not supported`);
  const { routes, fixed } = readRoutes(manager, factory, routeNames);
  const environment: HttpEnvironment = {
    ...factory,
    routes,
    accessLogs: readAccessLogs(manager.accessLog, factory),
  };
  return new HttpFilter(
    { ...readSettings(manager, direction, factory, fixed), connectionPolicies: policies },
    environment,
  );
}

function readTcpDestinations({ clusterSpecifier }: TcpProxy): TcpDestination[] {
  switch (clusterSpecifier.case) {
    case 'cluster':
      return [{ cluster: clusterSpecifier.value, weight: 1 }];
    case 'weightedClusters':
      if (clusterSpecifier.value.clusters.some(({ metadataMatch }) => metadataMatch !== undefined))
        throw new UnsupportedConfig('a choice of endpoints by metadata is not supported');
      return clusterSpecifier.value.clusters.map(({ name, weight }) => ({ cluster: name, weight }));
    default:
      throw new UnsupportedConfig('a TCP proxy names no cluster');
  }
}

function readRoutes(
  manager: HttpConnectionManager,
  factory: ListenerFactory,
  routeNames: Set<string>,
): { readonly routes: () => RouteTable | undefined; readonly fixed: RouteTable | undefined } {
  const { routeSpecifier } = manager;
  if (routeSpecifier.case === 'routeConfig') {
    const table = new RouteTable(routeSpecifier.value);
    return { routes: () => table, fixed: table };
  }
  if (routeSpecifier.case !== 'rds')
    throw new UnsupportedConfig(`routes by ${routeSpecifier.case ?? '(nothing)'} are not supported`);
  const { routeConfigName } = routeSpecifier.value;
  routeNames.add(routeConfigName);
  return { routes: () => factory.findRoutes(routeConfigName), fixed: undefined };
}

/** @param routes the routes, where they can never change */
function readSettings(
  manager: HttpConnectionManager,
  direction: HttpSettings['direction'],
  factory: ListenerFactory,
  routes: RouteTable | undefined,
): Omit<HttpSettings, 'connectionPolicies'> {
  const unsupportedUpgrade = manager.upgradeConfigs.find(
    ({ upgradeType, filters }) => !/^(connect|websocket)$/i.test(upgradeType) || filters.length > 0,
  );
  if (unsupportedUpgrade !== undefined)
    throw new UnsupportedConfig(`upgrade to ${unsupportedUpgrade.upgradeType} is not supported`);
  return {
    direction,
    limits: {
      bytes: (manager.maxRequestHeadersKb ?? 60) * 1024,
      fields: manager.commonHttpProtocolOptions?.maxHeadersCount ?? 100,
      headTimeoutMs: timeLimitMs(manager.requestHeadersTimeout, Infinity),
      idleTimeoutMs: timeLimitMs(manager.commonHttpProtocolOptions?.idleTimeout, 3_600_000),
      streamIdleTimeoutMs: timeLimitMs(manager.streamIdleTimeout, 300_000),
    },
    authority: readAuthority(manager),
    normalizePath: manager.normalizePath === true,
    mergeSlashes: manager.mergeSlashes,
    unescapeSlashes: readsEscapedSlashes(manager),
    setClientCert: manager.forwardClientCertDetails === ForwardClientCert.SANITIZE_SET,
    upgrades: new Set(
      manager.upgradeConfigs
        .filter(({ enabled }) => enabled !== false)
        .map(({ upgradeType }) => upgradeType.toLowerCase())
        .filter((type) => type !== 'connect'),
    ),
    takesConnect: manager.upgradeConfigs.some(({ upgradeType }) => /^connect$/i.test(upgradeType)),
    policies: readHttpPolicies(manager.httpFilters),
    codec: readCodec(manager.codecType),
    http2: readHttp2Limits(manager.http2ProtocolOptions),
    upstreamProtocols: readUpstreamProtocols(manager),
    injectsFaults: hasFilter(manager, HTTPFaultSchema) && routes?.usesFaults !== false,
    hasCors: hasFilter(manager, CorsSchema) && routes?.usesCors !== false,
    tracing: readTracing(manager.tracing, factory.openSpanSink),
  };
}

function readCodec(type: CodecType): HttpSettings['codec'] {
  switch (type) {
    case CodecType.AUTO:
      return 'auto';
    case CodecType.HTTP1:
      return 'http1';
    case CodecType.HTTP2:
      return 'http2';
    default:
      throw new UnsupportedConfig(`codec ${CodecType[type] ?? type} is not supported`);
  }
}

/** Whether `%2F` and `%5C` in paths are slashes; by default they stay what they are. */
function readsEscapedSlashes({ pathWithEscapedSlashesAction: action }: HttpConnectionManager): boolean {
  if (action === EscapedSlashes.REJECT_REQUEST || action === EscapedSlashes.UNESCAPE_AND_REDIRECT)
    throw new UnsupportedConfig(`escaped slashes in paths can be kept or decoded only, not ${EscapedSlashes[action]}`);
  return action === EscapedSlashes.UNESCAPE_AND_FORWARD;
}

/** The one early mutation that is supported: overwriting the authority. */
function readAuthority(manager: HttpConnectionManager): string | undefined {
  let authority: string | undefined;
  for (const { name, typedConfig } of manager.earlyHeaderMutationExtensions) {
    const mutation = typedConfig === undefined ? undefined : anyUnpack(typedConfig, HeaderMutationSchema);
    for (const { action } of mutation?.mutations ?? []) {
      if (action.case !== 'append' || action.value.header?.key !== ':authority')
        throw new UnsupportedConfig(`early header mutation ${name} changes something else than :authority`);
      authority = action.value.header.value;
    }
  }
  return authority;
}

/** Istio's alpn filter: what to offer to upstreams when HTTP is sent. */
function readUpstreamProtocols(manager: HttpConnectionManager): UpstreamProtocols {
  const protocols: { http1: readonly string[]; http2: readonly string[] } = { http1: [], http2: [] };
  for (const filter of manager.httpFilters) {
    const config = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    if (config !== undefined && (anyUnpack(config, RouterSchema) !== undefined || isRouteFilter(config))) continue;
    if (isHttpPolicy(filter)) continue;
    const struct = config === undefined ? undefined : anyUnpack(config, TypedStructSchema);
    if (struct?.typeUrl !== 'type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig')
      throw new UnsupportedConfig(`HTTP filter ${filter.name} is not supported`);
    const overrides = struct.value?.['alpnOverride'];
    for (const override of Array.isArray(overrides) ? overrides : []) {
      const entry = override as { upstreamProtocol?: string; alpnOverride?: string[] };
      if (entry.upstreamProtocol === 'HTTP11') protocols.http1 = entry.alpnOverride ?? [];
      if (entry.upstreamProtocol === 'HTTP2') protocols.http2 = entry.alpnOverride ?? [];
    }
  }
  return protocols;
}

/** Filters that do what routes say, and nothing of their own. */
function isRouteFilter(config: Any): boolean {
  const fault = anyUnpack(config, HTTPFaultSchema);
  if (fault !== undefined && readFault(fault) !== undefined)
    throw new UnsupportedConfig('faults of a listener are not supported, only those of routes');
  return fault !== undefined || anyUnpack(config, CorsSchema) !== undefined;
}

function hasFilter(manager: HttpConnectionManager, schema: DescMessage): boolean {
  return manager.httpFilters.some(
    ({ configType }) => configType.case === 'typedConfig' && anyUnpack(configType.value, schema) !== undefined,
  );
}

function readAccessLogs(logs: readonly AccessLog[], factory: ListenerFactory): AccessLogTarget[] {
  return logs.map((log) => {
    const config = log.configType.case === 'typedConfig' ? log.configType.value : undefined;
    const file = config === undefined ? undefined : anyUnpack(config, FileAccessLogSchema);
    if (file?.accessLogFormat.case !== 'logFormat')
      throw new UnsupportedConfig(`access log ${log.name} is not supported`);
    const { format } = file.accessLogFormat.value;
    let formatter: Formatter;
    if (format.case === 'jsonFormat') formatter = compileJsonFormat(format.value);
    else if (format.case === 'textFormatSource' && format.value.specifier.case === 'inlineString')
      formatter = compileTextFormat(format.value.specifier.value);
    else throw new UnsupportedConfig(`access log format ${format.case ?? '(empty)'} is not supported`);
    return { format: formatter, write: factory.openAccessLog(file.path) };
  });
}
