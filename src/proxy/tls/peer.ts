// Who is at the other end of a TLS connection: read from the certificate after every handshake, and made believable before
// the first byte of anybody's data passes.
import { createHash } from 'node:crypto';
import type tls from 'node:tls';
import { checkPeer, refusePeer, type PeerRefusal } from '../../identity/peer-check.js';
import type { SpiffeId } from '../../identity/spiffe-id.js';
import type { Credentials } from './secret-store.js';

/** An authenticated peer. */
export interface Peer {
  readonly ok: true;
  readonly uri: string;
  readonly id: SpiffeId;
  /** SHA-256 of its certificate in hexadecimal, for x-forwarded-client-cert. */
  readonly certificateHash: string;
  /** Wall time at which the connection must have ended: the earlier end of both certificates. */
  readonly expiresAtMs: number;
}

/**
 * Checks the peer of a finished handshake, resumed or not.
 * @param leafDer its certificate
 * @param allowedIds the SPIFFE IDs of which it must have one; undefined: any of our trust domain
 * @returns the peer, or why it is refused
 */
export function authenticatePeer(
  socket: tls.TLSSocket,
  leafDer: Buffer | undefined,
  own: Credentials,
  allowedIds: ReadonlySet<string> | undefined,
): Peer | PeerRefusal {
  if (!socket.authorized) {
    const cause = socket.authorizationError?.message ?? String(socket.authorizationError ?? 'none was sent');
    const kind = cause === 'CERT_HAS_EXPIRED' ? 'expired certificate' : 'untrusted certificate';
    return refusePeer(kind, `the certificate is not trusted (${cause})`);
  }
  const verdict = checkPeer(leafDer, { trustDomain: own.id.trustDomain, allowedIds, nowMs: Date.now() });
  if (!verdict.ok) return verdict;
  return {
    ok: true,
    uri: verdict.uri,
    id: verdict.id,
    certificateHash: createHash('sha256').update(leafDer!).digest('hex'),
    expiresAtMs: Math.min(verdict.notAfterMs, own.notAfterMs),
  };
}
