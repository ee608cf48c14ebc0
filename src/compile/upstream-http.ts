// Which version of HTTP a cluster's endpoints are spoken to in, from the port's protocol and DestinationRules, as Istio decides it.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ConnectionPool } from '../api/connection-policy.js';
import type { MeshConfig } from '../api/mesh-config.js';
import type { PortProtocol } from '../api/port-protocol.js';
import { carriedBy } from '../model/service.js';
import { parseDurationMs } from '../util/duration.js';
import { HttpProtocolOptionsSchema, type ClusterSchema, type Http2ProtocolOptionsSchema } from '../xds/messages.js';
import { durationOf, typed } from './messages.js';

type ClusterInit = Exclude<MessageInitShape<typeof ClusterSchema>, { $typeName: string }>;
type Http2Init = Exclude<MessageInitShape<typeof Http2ProtocolOptionsSchema>, { $typeName: string }>;

/** `downstream`: as the caller speaks it. */
export type UpstreamHttp = 'http1' | 'http2' | 'downstream';

/** Requests that are under way on one connection, where nobody says otherwise. */
const defaultStreams = 100;

/** Limits of HTTP/2 towards peers of every kind: those that Envoy advises for an edge. */
export function http2Options(maxConcurrentStreams = 0): Http2Init {
  return {
    maxConcurrentStreams: maxConcurrentStreams === 0 ? defaultStreams : maxConcurrentStreams,
    initialStreamWindowSize: 256 * 1024,
    initialConnectionWindowSize: 1024 * 1024,
    allowConnect: true, // by which WebSockets travel
  };
}

/** Towards the endpoints of a service. */
export function outboundHttp(
  meshConfig: MeshConfig,
  protocol: PortProtocol,
  pool: ConnectionPool | undefined,
): UpstreamHttp {
  const { useClientProtocol = false, h2UpgradePolicy = 'DEFAULT' } = pool?.http ?? {};
  if (useClientProtocol) return 'downstream';
  if (h2UpgradePolicy === 'UPGRADE') return 'http2';
  const isUpgraded = h2UpgradePolicy === 'DEFAULT' && meshConfig.h2UpgradePolicy === 'UPGRADE' && protocol === 'http';
  return isUpgraded ? 'http2' : declaredHttp(protocol);
}

/** Towards the application: what is carried in HTTP/2 between proxies need not be that here. */
export function inboundHttp(protocol: PortProtocol, pool: ConnectionPool | undefined): UpstreamHttp {
  const { useClientProtocol = false, h2UpgradePolicy = 'DEFAULT' } = pool?.http ?? {};
  if (useClientProtocol) return 'downstream';
  // In Istio an upgraded request is one of HTTP/2 to everybody after that; here each says in which version it was written.
  return protocol === 'detect' && h2UpgradePolicy === 'UPGRADE' ? 'http2' : declaredHttp(protocol);
}

function declaredHttp(protocol: PortProtocol): UpstreamHttp {
  switch (carriedBy(protocol)) {
    case 'either':
      return 'downstream';
    case 'requests':
      return protocol === 'http' ? 'http1' : 'http2';
    case 'bytes':
      return 'http1'; // is never asked for
  }
}

/** The cluster's options for HTTP; none where Envoy's defaults, HTTP/1.1 among them, say the same. */
export function httpOptions(http: UpstreamHttp, pool: ConnectionPool | undefined): ClusterInit {
  const commonHttpProtocolOptions = connectionTimes(pool);
  if (http === 'http1' && commonHttpProtocolOptions === undefined) return {};
  return {
    typedExtensionProtocolOptions: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(HttpProtocolOptionsSchema, {
        ...(commonHttpProtocolOptions === undefined ? {} : { commonHttpProtocolOptions }),
        upstreamProtocolOptions: versionOptions(http, http2Options(pool?.http?.maxConcurrentStreams)),
      }),
    },
  };
}

function versionOptions(http: UpstreamHttp, http2ProtocolOptions: Http2Init) {
  const explicit = (protocolConfig: ExplicitInit['protocolConfig']) => ({
    case: 'explicitHttpConfig' as const,
    value: { protocolConfig },
  });
  switch (http) {
    case 'http1':
      return explicit({ case: 'httpProtocolOptions', value: {} });
    case 'http2':
      return explicit({ case: 'http2ProtocolOptions', value: http2ProtocolOptions });
    case 'downstream':
      return {
        case: 'useDownstreamProtocolConfig' as const,
        value: { httpProtocolOptions: {}, http2ProtocolOptions },
      };
  }
}

interface ExplicitInit {
  readonly protocolConfig:
    | { readonly case: 'httpProtocolOptions'; readonly value: object }
    | { readonly case: 'http2ProtocolOptions'; readonly value: Http2Init };
}

function connectionTimes(pool: ConnectionPool | undefined) {
  const idleTimeout = pool?.http?.idleTimeout ?? pool?.tcp?.idleTimeout;
  const maxConnectionDuration = pool?.tcp?.maxConnectionDuration;
  const maxRequestsPerConnection = pool?.http?.maxRequestsPerConnection ?? 0;
  if (idleTimeout === undefined && maxConnectionDuration === undefined && maxRequestsPerConnection === 0)
    return undefined;
  return {
    ...(idleTimeout === undefined ? {} : { idleTimeout: durationOf(parseDurationMs(idleTimeout)!) }),
    ...(maxConnectionDuration === undefined
      ? {}
      : { maxConnectionDuration: durationOf(parseDurationMs(maxConnectionDuration)!) }),
    ...(maxRequestsPerConnection === 0 ? {} : { maxRequestsPerConnection }),
  };
}
