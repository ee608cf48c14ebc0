// What is known of a connection that was accepted: addresses, and over mTLS who called.
import type { CallSeries } from '../../telemetry/series.js';
import type { Party } from '../../telemetry/istio-labels.js';

export interface ConnectionInfo {
  /** `address:port` of both ends. */
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** Server name that the client asked for. */
  readonly serverName: string | undefined;
  /** Application protocol that the handshake chose; undefined: none. */
  readonly protocol: string | undefined;
  readonly security: 'mutual_tls' | 'none';
  /** The caller; what is not proved is `unknown`. */
  readonly source: Party;
  /** Value for x-forwarded-client-cert; undefined over plaintext. */
  readonly forwardedClientCert: string | undefined;
  /** Wall time after which the connection should end; Infinity over plaintext. */
  readonly expiresAtMs: number;
  /** Ends the connection so that the caller cannot take it for an orderly end. */
  readonly reset: () => void;
  /** Series of calls by this caller, and the own workload under which they were resolved. */
  calls?: { readonly self: Party; readonly series: CallSeries };
}
