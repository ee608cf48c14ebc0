// The HTTP side of a listener: which routes it uses, what it adds to requests, which limits hold.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { MeshConfig } from '../api/mesh-config.js';
import {
  HeaderMutationSchema,
  HeaderValueOption_HeaderAppendAction,
  HttpConnectionManager_CodecType as CodecType,
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManager_ServerHeaderTransformation,
  HttpConnectionManagerSchema,
  RouterSchema,
  TypedStructSchema,
} from '../xds/messages.js';
import { compileAccessLogs } from './access-logs.js';
import type { PolicyFilters } from './authorization-policies.js';
import { durationOf, fromAds, typed } from './messages.js';
import { inboundRetries } from './retries.js';
import { routeFilters } from './route-filters.js';
import { offeredAlpn } from './tls-contexts.js';
import { compileTracing, type TracedWorkload } from './tracing.js';
import { http2Options } from './upstream-http.js';

type ManagerInit = Exclude<MessageInitShape<typeof HttpConnectionManagerSchema>, { $typeName: string }>;

const router = {
  name: 'envoy.filters.http.router',
  configType: { case: 'typedConfig' as const, value: typed(RouterSchema, {}) },
};

/** Istio's filter that offers other protocol names in the handshake for HTTP than for bytes. */
const alpn = {
  name: 'istio.alpn',
  configType: {
    case: 'typedConfig' as const,
    value: typed(TypedStructSchema, {
      typeUrl: 'type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig',
      value: {
        alpnOverride: [
          { upstreamProtocol: 'HTTP10', alpnOverride: [...offeredAlpn.http10] },
          { upstreamProtocol: 'HTTP11', alpnOverride: [...offeredAlpn.http11] },
          { upstreamProtocol: 'HTTP2', alpnOverride: [...offeredAlpn.http2] },
        ],
      },
    }),
  },
};

/** Istio lets WebSockets through everywhere. */
const websocket = { upgradeType: 'websocket' };

/** What is the same for every HTTP listener. Limits are on by default: a peer is never trusted to be polite. */
function common(meshConfig: MeshConfig, statPrefix: string, traced: TracedWorkload | undefined): ManagerInit {
  const tracing = compileTracing(meshConfig, traced);
  return {
    statPrefix,
    accessLog: compileAccessLogs(meshConfig),
    ...pathForm(meshConfig.pathNormalization.normalization),
    generateRequestId: true,
    preserveExternalRequestId: true,
    serverHeaderTransformation: HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH,
    maxRequestHeadersKb: 60,
    requestHeadersTimeout: durationOf(10_000),
    streamIdleTimeout: durationOf(300_000),
    drainTimeout: durationOf(45_000),
    commonHttpProtocolOptions: { idleTimeout: durationOf(3_600_000), maxHeadersCount: 100 },
    codecType: CodecType.AUTO,
    httpProtocolOptions: { acceptHttp10: true },
    http2ProtocolOptions: http2Options(),
    useRemoteAddress: false,
    ...(tracing === undefined ? {} : { tracing }),
  };
}

/** Istio's path modes in Envoy's terms. */
function pathForm(mode: MeshConfig['pathNormalization']['normalization']): ManagerInit {
  const keep = { pathWithEscapedSlashesAction: EscapedSlashes.KEEP_UNCHANGED };
  switch (mode) {
    case 'NONE':
      return { normalizePath: false, ...keep };
    case 'DEFAULT':
    case 'BASE':
      return { normalizePath: true, ...keep };
    case 'MERGE_SLASHES':
      return { normalizePath: true, mergeSlashes: true, ...keep };
    case 'DECODE_AND_MERGE_SLASHES':
      return {
        normalizePath: true,
        mergeSlashes: true,
        pathWithEscapedSlashesAction: EscapedSlashes.UNESCAPE_AND_FORWARD,
      };
  }
}

export interface OutboundHttp {
  /** Route configuration to use. */
  readonly routes: string;
  /** Authority that every request gets before anything looks at it; absent: as the application wrote it. */
  readonly authority?: string;
  /** Whether CONNECT is taken. */
  readonly connect?: boolean;
  /** Whose spans are made; undefined: nobody's. */
  readonly traced: TracedWorkload | undefined;
}

/** HTTP from the workload to the mesh. A certificate header that the application sends is not believed. */
export function outboundHttpFilter(
  meshConfig: MeshConfig,
  { routes, authority, connect = false, traced }: OutboundHttp,
) {
  return filter({
    ...common(meshConfig, `outbound_${routes}`, traced),
    routeSpecifier: { case: 'rds', value: { configSource: fromAds(), routeConfigName: routes } },
    httpFilters: [alpn, ...routeFilters, router],
    forwardClientCertDetails: ForwardClientCert.SANITIZE,
    upgradeConfigs: connect ? [websocket, { upgradeType: 'CONNECT' }] : [websocket],
    earlyHeaderMutationExtensions: authority === undefined ? [] : [overwriteAuthority(authority)],
  });
}

function overwriteAuthority(value: string) {
  return {
    name: 'envoy.http.early_header_mutation.header_mutation',
    typedConfig: typed(HeaderMutationSchema, {
      mutations: [
        {
          action: {
            case: 'append',
            value: {
              header: { key: ':authority', value },
              appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
            },
          },
        },
      ],
    }),
  };
}

export interface InboundHttp {
  /** Full name of the service. */
  readonly host: string;
  readonly port: number;
  /** Leads to the application. */
  readonly cluster: string;
  /** Whose spans are made; undefined: nobody's. */
  readonly traced: TracedWorkload | undefined;
  /** Filters by which policies are kept. */
  readonly policies: PolicyFilters['http'];
}

/** HTTP from the mesh to the workload: everything to its application, and the caller named in x-forwarded-client-cert. */
export function inboundHttpFilter(meshConfig: MeshConfig, { host, port, cluster, traced, policies }: InboundHttp) {
  return filter({
    ...common(meshConfig, `inbound_${port}`, traced),
    routeSpecifier: {
      case: 'routeConfig',
      value: {
        name: cluster,
        virtualHosts: [
          {
            name: `inbound|http|${port}`,
            domains: ['*'],
            routes: [
              {
                name: 'default',
                match: { pathSpecifier: { case: 'prefix', value: '/' } },
                decorator: { operation: `${host}:${port}/*` },
                action: {
                  case: 'route',
                  value: {
                    clusterSpecifier: { case: 'cluster', value: cluster },
                    timeout: durationOf(0),
                    // Callers of gRPC get the time that they ask for, counted from the beginning of a call (Istio's inbound route).
                    maxStreamDuration: { maxStreamDuration: durationOf(0), grpcTimeoutHeaderMax: durationOf(0) },
                    retryPolicy: inboundRetries(),
                  },
                },
              },
            ],
          },
        ],
      },
    },
    httpFilters: [...policies, ...routeFilters, router],
    upgradeConfigs: [websocket],
    // Set, not appended: what stood there before came from further away than the certificate vouches for.
    forwardClientCertDetails: ForwardClientCert.SANITIZE_SET,
    setCurrentClientCertDetails: { subject: true, uri: true },
  });
}

function filter(manager: ManagerInit) {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    configType: { case: 'typedConfig' as const, value: typed(HttpConnectionManagerSchema, manager) },
  };
}
