// The HTTP side of a listener: which routes it uses, what it adds to requests, which limits hold.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { MeshConfig } from '../api/mesh-config.js';
import {
  HeaderMutationSchema,
  HeaderValueOption_HeaderAppendAction,
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
  HttpConnectionManager_ServerHeaderTransformation,
  HttpConnectionManagerSchema,
  RouterSchema,
  TypedStructSchema,
} from '../xds/messages.js';
import { compileAccessLogs } from './access-logs.js';
import { durationOf, fromAds, typed } from './messages.js';
import { inboundRetries } from './retries.js';
import { routeFilters } from './route-filters.js';
import { meshAlpn } from './tls-contexts.js';

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
        alpnOverride: ['HTTP10', 'HTTP11'].map((upstreamProtocol) => ({
          upstreamProtocol,
          alpnOverride: [...meshAlpn.http],
        })),
      },
    }),
  },
};

/** Istio lets WebSockets through everywhere. */
const websocket = { upgradeType: 'websocket' };

/** What is the same for every HTTP listener. Limits are on by default: a peer is never trusted to be polite. */
function common(meshConfig: MeshConfig, statPrefix: string): ManagerInit {
  return {
    statPrefix,
    accessLog: compileAccessLogs(meshConfig),
    normalizePath: true,
    generateRequestId: true,
    preserveExternalRequestId: true,
    serverHeaderTransformation: HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH,
    maxRequestHeadersKb: 60,
    requestHeadersTimeout: durationOf(10_000),
    streamIdleTimeout: durationOf(300_000),
    drainTimeout: durationOf(45_000),
    commonHttpProtocolOptions: { idleTimeout: durationOf(3_600_000), maxHeadersCount: 100 },
    httpProtocolOptions: { acceptHttp10: true },
    useRemoteAddress: false,
  };
}

export interface OutboundHttp {
  /** Route configuration to use. */
  readonly routes: string;
  /** Authority that every request gets before anything looks at it; absent: as the application wrote it. */
  readonly authority?: string;
  /** Whether CONNECT is taken. */
  readonly connect?: boolean;
}

/** HTTP from the workload to the mesh. A certificate header that the application sends is not believed. */
export function outboundHttpFilter(meshConfig: MeshConfig, { routes, authority, connect = false }: OutboundHttp) {
  return filter({
    ...common(meshConfig, `outbound_${routes}`),
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

/** HTTP from the mesh to the workload: everything to its application, and the caller named in x-forwarded-client-cert. */
export function inboundHttpFilter(meshConfig: MeshConfig, port: number, cluster: string) {
  return filter({
    ...common(meshConfig, `inbound_${port}`),
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
                action: {
                  case: 'route',
                  value: {
                    clusterSpecifier: { case: 'cluster', value: cluster },
                    timeout: durationOf(0),
                    retryPolicy: inboundRetries(),
                  },
                },
              },
            ],
          },
        ],
      },
    },
    httpFilters: [...routeFilters, router],
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
