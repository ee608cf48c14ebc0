// TLS between workloads: which certificate is shown, which roots are trusted, which identities and protocols are taken.
import {
  DownstreamTlsContextSchema,
  SubjectAltNameMatcher_SanType,
  UpstreamTlsContextSchema,
} from '../xds/messages.js';
import { fromAds, typed } from './messages.js';

/**
 * Names of application protocols in the handshake. After a handshake that chose one of ours both sides send their metadata
 * before anything else; Istio's say what is carried without that exchange.
 *
 * `lateen-h2`: requests of every version of HTTP between Lateen proxies, many on one connection; each says in which version its
 * application wrote it. Istio's `istio-h2` means that requests are of HTTP/2. `lateen-http/1.1` is what proxies before that spoke.
 */
const multiplexed = 'lateen-h2';
const bytes = ['lateen-tcp', 'istio'] as const;

/** What a client offers, dearest first: by the version of HTTP that it speaks to everybody but Lateen, or for bytes. */
export const offeredAlpn = {
  http10: [multiplexed, 'lateen-http/1.1', 'istio-http/1.0', 'istio', 'http/1.0'],
  http11: [multiplexed, 'lateen-http/1.1', 'istio-http/1.1', 'istio', 'http/1.1'],
  http2: [multiplexed, 'istio-h2', 'istio', 'h2'],
  bytes,
} as const;

/** What a server takes, dearest first. The chain for a connection is that which names what its client offers first. */
export const acceptedAlpn = {
  http: [multiplexed, 'lateen-http/1.1', 'istio-http/1.1', 'istio-http/1.0', 'istio-h2'],
  /** Of clients that know no mesh, where nothing but HTTP is expected. */
  plainHttp: ['h2', 'http/1.1'],
  bytes,
} as const;

/** Names under which a proxy keeps its own certificate and the roots that it trusts, as in Istio. */
const ownCertificate = { tlsCertificateSdsSecretConfigs: [{ name: 'default', sdsConfig: fromAds() }] };
const roots = { name: 'ROOTCA', sdsConfig: fromAds() };

export function upstreamTls(serverName: string, identities: readonly string[]) {
  return {
    name: 'envoy.transport_sockets.tls',
    configType: {
      case: 'typedConfig' as const,
      value: typed(UpstreamTlsContextSchema, {
        sni: serverName,
        commonTlsContext: {
          ...ownCertificate,
          alpnProtocols: [...offeredAlpn.bytes],
          validationContextType: {
            case: 'combinedValidationContext',
            value: {
              defaultValidationContext: {
                matchTypedSubjectAltNames: identities.map((identity) => ({
                  sanType: SubjectAltNameMatcher_SanType.URI,
                  matcher: { matchPattern: { case: 'exact' as const, value: identity } },
                })),
              },
              validationContextSdsSecretConfig: roots,
            },
          },
        },
      }),
    },
  };
}

/** @param protocols what the chain reads, dearest first */
export function downstreamTls(protocols: readonly string[]) {
  return {
    name: 'envoy.transport_sockets.tls',
    configType: {
      case: 'typedConfig' as const,
      value: typed(DownstreamTlsContextSchema, {
        requireClientCertificate: true,
        commonTlsContext: {
          ...ownCertificate,
          alpnProtocols: [...protocols],
          validationContextType: {
            case: 'combinedValidationContext',
            value: { defaultValidationContext: {}, validationContextSdsSecretConfig: roots },
          },
        },
      }),
    },
  };
}
