// Reads from the raw DER of a certificate what a peer check needs. Node's printed `subjectaltname` is not used: text inside
// a name can imitate further names there (CVE-2021-44532), raw bytes can not.
import { childrenOf, contentOf, DerError, expectTag, readTime, readWhole, tag, type DerElement } from './der.js';

export interface LeafCertificate {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Every URI among the subject alternative names, in order. */
  readonly uris: readonly string[];
  /** Whether basicConstraints marks it as an authority. */
  readonly isAuthority: boolean;
  /** Whether keyUsage lets its key sign certificates or revocation lists; without keyUsage it does not. */
  readonly maySignCertificates: boolean;
}

const oidSubjectAltName = Buffer.from([0x55, 0x1d, 0x11]);
const oidBasicConstraints = Buffer.from([0x55, 0x1d, 0x13]);
const oidKeyUsage = Buffer.from([0x55, 0x1d, 0x0f]);
/** keyCertSign and cRLSign, in the first byte of the bits (RFC 5280 section 4.2.1.3). */
const signingUsages = 0x04 | 0x02;
const tagVersion = 0xa0;
const tagExtensions = 0xa3;
const tagUriName = 0x86;

/**
 * Parses a certificate (RFC 5280 section 4.1).
 * @throws DerError where it is malformed
 */
export function parseLeafCertificate(der: Uint8Array): LeafCertificate {
  const [toBeSigned] = childrenOf(expectTag(readWhole(der), tag.sequence, 'certificate'));
  const fields = childrenOf(expectTag(toBeSigned, tag.sequence, 'tbsCertificate'));
  if (fields[0]?.tag === tagVersion) fields.shift();
  // serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, then optional parts
  const [notBefore, notAfter] = childrenOf(expectTag(fields[3], tag.sequence, 'validity'));
  if (notBefore === undefined || notAfter === undefined) throw new DerError('validity expected');
  const extensions = readExtensions(fields.find((field) => field.tag === tagExtensions));
  return {
    notBeforeMs: readTime(notBefore),
    notAfterMs: readTime(notAfter),
    uris: readUris(findExtension(extensions, oidSubjectAltName)),
    isAuthority: readIsAuthority(findExtension(extensions, oidBasicConstraints)),
    maySignCertificates: readMaySign(findExtension(extensions, oidKeyUsage)),
  };
}

interface Extension {
  readonly oid: Buffer;
  readonly value: Uint8Array;
}

function readExtensions(wrapper: DerElement | undefined): Extension[] {
  if (wrapper === undefined) return [];
  const [list] = childrenOf(wrapper);
  return childrenOf(expectTag(list, tag.sequence, 'extensions')).map((extension) => {
    const parts = childrenOf(expectTag(extension, tag.sequence, 'extension'));
    const oid = expectTag(parts[0], tag.objectIdentifier, 'extension identifier');
    const value = expectTag(parts.at(-1), tag.octetString, 'extension value');
    return { oid: Buffer.from(contentOf(oid)), value: contentOf(value) };
  });
}

/** At most one of a kind may be there (RFC 5280 section 4.2): readers could believe different ones. */
function findExtension(extensions: readonly Extension[], oid: Buffer): Uint8Array | undefined {
  const [found, second] = extensions.filter((extension) => extension.oid.equals(oid));
  if (second !== undefined) throw new DerError('an extension is there twice');
  return found?.value;
}

function readUris(value: Uint8Array | undefined): string[] {
  if (value === undefined) return [];
  return childrenOf(expectTag(readWhole(value), tag.sequence, 'subjectAltName'))
    .filter((name) => name.tag === tagUriName)
    .map((name) => Buffer.from(contentOf(name)).toString('latin1'));
}

function readIsAuthority(value: Uint8Array | undefined): boolean {
  if (value === undefined) return false;
  const [first] = childrenOf(expectTag(readWhole(value), tag.sequence, 'basicConstraints'));
  return first?.tag === tag.boolean && contentOf(first)[0] !== 0;
}

function readMaySign(value: Uint8Array | undefined): boolean {
  if (value === undefined) return false;
  const [, bits = 0] = contentOf(expectTag(readWhole(value), tag.bitString, 'keyUsage'));
  return (bits & signingUsages) !== 0;
}
