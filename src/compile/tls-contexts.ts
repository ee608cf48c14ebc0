// TLS between workloads: which certificate is shown, which roots are trusted, which identities and protocols are taken.
import {
  DownstreamTlsContextSchema,
  SubjectAltNameMatcher_SanType,
  UpstreamTlsContextSchema,
} from '../xds/messages.js';
import { fromAds, typed } from './messages.js';

/**
 * Names of application protocols in the handshake. Ours come first; after a handshake that chose one of them both sides
 * send their metadata before anything else. Istio's say the same without that exchange.
 */
export const meshAlpn = {
  /** HTTP/1.1 between Lateen proxies. */
  http: ['lateen-http/1.1', 'istio-http/1.1', 'istio-http/1.0'],
  /** Bytes between Lateen proxies. */
  tcp: ['lateen-tcp', 'istio'],
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
          alpnProtocols: [...meshAlpn.tcp],
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

export function downstreamTls() {
  return {
    name: 'envoy.transport_sockets.tls',
    configType: {
      case: 'typedConfig' as const,
      value: typed(DownstreamTlsContextSchema, {
        requireClientCertificate: true,
        commonTlsContext: {
          ...ownCertificate,
          alpnProtocols: [...meshAlpn.http, ...meshAlpn.tcp],
          validationContextType: {
            case: 'combinedValidationContext',
            value: { defaultValidationContext: {}, validationContextSdsSecretConfig: roots },
          },
        },
      }),
    },
  };
}
