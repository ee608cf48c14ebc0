// Decides whether a peer's certificate names somebody we may talk to. It runs after every handshake, resumed ones too:
// Node checks nothing on resumption, and a session outlives the certificate that it began with.
import { parseLeafCertificate, type LeafCertificate } from './leaf-certificate.js';
import { parseSpiffeId, type SpiffeId } from './spiffe-id.js';

/** Why a peer is refused, in few fixed words: fit for a label whatever the peer sends. */
export type PeerProblem =
  | 'untrusted certificate'
  | 'expired certificate'
  | 'no SPIFFE ID'
  | 'other trust domain'
  | 'other identity';

/** A refusal: the kind, and one sentence. */
export interface PeerRefusal {
  readonly ok: false;
  readonly kind: PeerProblem;
  readonly problem: string;
}

/** Who the peer is, or why it is nobody. */
export type PeerVerdict =
  | { readonly ok: true; readonly uri: string; readonly id: SpiffeId; readonly notAfterMs: number }
  | PeerRefusal;

export interface PeerExpectation {
  /** The only trust domain whose identities count. */
  readonly trustDomain: string;
  /** SPIFFE IDs of which the peer must have one; undefined: any of the trust domain. */
  readonly allowedIds: ReadonlySet<string> | undefined;
  /** Wall time in milliseconds. */
  readonly nowMs: number;
}

/**
 * Checks validity, the single SPIFFE ID, trust domain and expected identity of a leaf certificate (X509-SVID section 5.2).
 * The chain to a trusted root is the TLS library's to check, at the handshake that made the session.
 */
export function checkPeer(leafDer: Uint8Array | undefined, expected: PeerExpectation): PeerVerdict {
  if (leafDer === undefined || leafDer.length === 0)
    return refusePeer('untrusted certificate', 'the peer sent no certificate');
  let leaf: LeafCertificate;
  try {
    leaf = parseLeafCertificate(leafDer);
  } catch {
    return refusePeer('untrusted certificate', 'the certificate is malformed');
  }
  if (expected.nowMs < leaf.notBeforeMs)
    return refusePeer('expired certificate', `the certificate is not valid before ${iso(leaf.notBeforeMs)}`);
  if (expected.nowMs >= leaf.notAfterMs)
    return refusePeer('expired certificate', `the certificate expired at ${iso(leaf.notAfterMs)}`);
  if (leaf.isAuthority) return refusePeer('no SPIFFE ID', 'the certificate belongs to an authority, not to a workload');
  if (leaf.maySignCertificates)
    return refusePeer('no SPIFFE ID', 'the key of the certificate may sign certificates, which no workload may');
  const [uri, second] = leaf.uris;
  if (uri === undefined || second !== undefined)
    return refusePeer('no SPIFFE ID', `the certificate has ${leaf.uris.length} URI names instead of one`);
  const id = parseSpiffeId(uri);
  if (id === undefined)
    return refusePeer(
      'no SPIFFE ID',
      'the certificate has no SPIFFE ID of the form spiffe://<trust domain>/ns/<namespace>/sa/<account>',
    );
  if (id.trustDomain !== expected.trustDomain)
    return refusePeer('other trust domain', `${uri} is of trust domain ${id.trustDomain}, not ${expected.trustDomain}`);
  if (expected.allowedIds !== undefined && !expected.allowedIds.has(uri))
    return refusePeer('other identity', `${uri} is not ${[...expected.allowedIds].join(' or ')}`);
  return { ok: true, uri, id, notAfterMs: leaf.notAfterMs };
}

export function refusePeer(kind: PeerProblem, problem: string): PeerRefusal {
  return { ok: false, kind, problem };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
