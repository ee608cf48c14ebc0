// Reads what configuration says of HTTP/2, towards callers and towards endpoints; what this proxy cannot do is refused by name.
import { isFieldSet } from '@bufbuild/protobuf';
import { defaultHttp2Limits, type Http2Limits } from '../http/http2/limits.js';
import { UnsupportedConfig } from '../http/matchers.js';
import {
  Http2ProtocolOptionsSchema,
  type HttpProtocolOptions,
  type Cluster,
  type Http2ProtocolOptions,
} from '../../xds/messages.js';

/** How HTTP is spoken to endpoints; `downstream`: as the caller spoke it. */
export type HttpProtocol = 'http1' | 'http2' | 'downstream';

/** Fields that are read, extended CONNECT, which is there in any case, and a choice between Envoy's own codecs. */
const knownFields = new Set([
  'max_concurrent_streams',
  'initial_stream_window_size',
  'initial_connection_window_size',
  'allow_connect',
  'use_oghttp2_codec',
]);

/**
 * Limits that are not there have our defaults: Envoy's leave it to the peer.
 * @throws UnsupportedConfig
 */
export function readHttp2Limits(options: Http2ProtocolOptions | undefined): Http2Limits {
  if (options === undefined) return defaultHttp2Limits;
  const other = Http2ProtocolOptionsSchema.fields.find(
    (field) => isFieldSet(options, field) && !knownFields.has(field.name),
  );
  if (other !== undefined) throw new UnsupportedConfig(`${other.name} of HTTP/2 is not supported`);
  return {
    maxConcurrentStreams: options.maxConcurrentStreams ?? defaultHttp2Limits.maxConcurrentStreams,
    streamWindowBytes: options.initialStreamWindowSize ?? defaultHttp2Limits.streamWindowBytes,
    connectionWindowBytes: options.initialConnectionWindowSize ?? defaultHttp2Limits.connectionWindowBytes,
  };
}

/** What a cluster says of the version of HTTP. */
export interface UpstreamHttpConfig {
  readonly httpProtocol: HttpProtocol;
  readonly http2: Http2Limits;
}

/**
 * @param options the cluster's, where it has any; without them HTTP/1.1 is spoken, as by Envoy
 * @throws UnsupportedConfig
 */
export function readUpstreamHttp(cluster: Cluster, options: HttpProtocolOptions | undefined): UpstreamHttpConfig {
  if (cluster.http2ProtocolOptions !== undefined)
    throw new UnsupportedConfig(
      'http2_protocol_options of a cluster is not supported; they belong into its typed_extension_protocol_options',
    );
  const upstream = options?.upstreamProtocolOptions;
  switch (upstream?.case) {
    case undefined:
      return { httpProtocol: 'http1', http2: defaultHttp2Limits };
    case 'explicitHttpConfig': {
      const { protocolConfig } = upstream.value;
      if (protocolConfig.case === 'http2ProtocolOptions')
        return { httpProtocol: 'http2', http2: readHttp2Limits(protocolConfig.value) };
      if (protocolConfig.case === 'http3ProtocolOptions') throw new UnsupportedConfig('HTTP/3 is not supported');
      return { httpProtocol: 'http1', http2: defaultHttp2Limits };
    }
    case 'useDownstreamProtocolConfig':
      if (upstream.value.http3ProtocolOptions !== undefined) throw new UnsupportedConfig('HTTP/3 is not supported');
      return { httpProtocol: 'downstream', http2: readHttp2Limits(upstream.value.http2ProtocolOptions) };
    case 'autoConfig':
      throw new UnsupportedConfig('a version of HTTP that the handshake with an endpoint decides is not supported');
  }
}
