// Certificates written byte by byte, for what no library would write. Their signatures are none.
import { tag, writeElement } from '../../src/identity/der.js';

export const oid = {
  names: Buffer.from([0x55, 0x1d, 0x11]),
  basicConstraints: Buffer.from([0x55, 0x1d, 0x13]),
  keyUsage: Buffer.from([0x55, 0x1d, 0x0f]),
} as const;

export interface CertificateParts {
  readonly version?: 1 | 3;
  /** UTCTime. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** Each as `extension` gives it. */
  readonly extensions?: readonly Buffer[];
}

export function buildCertificate({
  version = 3,
  notBefore = '200101000000Z',
  notAfter = '490101000000Z',
  extensions = [],
}: CertificateParts): Buffer {
  const algorithm = writeElement(tag.sequence, writeElement(tag.objectIdentifier, Buffer.from([0x2a, 0x03])));
  const name = writeElement(tag.sequence);
  const toBeSigned = writeElement(
    tag.sequence,
    ...(version === 3 ? [writeElement(0xa0, Buffer.from([tag.integer, 1, 2]))] : []),
    Buffer.from([tag.integer, 1, 1]),
    algorithm,
    name,
    writeElement(
      tag.sequence,
      writeElement(tag.utcTime, Buffer.from(notBefore)),
      writeElement(tag.utcTime, Buffer.from(notAfter)),
    ),
    name,
    writeElement(tag.sequence, algorithm, writeElement(tag.bitString, Buffer.from([0]))),
    ...(extensions.length === 0 ? [] : [writeElement(0xa3, writeElement(tag.sequence, ...extensions))]),
  );
  return writeElement(tag.sequence, toBeSigned, algorithm, writeElement(tag.bitString, Buffer.from([0])));
}

export function extension(identifier: Buffer, value: Buffer): Buffer {
  return writeElement(
    tag.sequence,
    writeElement(tag.objectIdentifier, identifier),
    writeElement(tag.octetString, value),
  );
}

/** The subject alternative names, all of them URIs. */
export function names(uris: readonly string[]): Buffer {
  return extension(
    oid.names,
    writeElement(tag.sequence, ...uris.map((uri) => writeElement(0x86, Buffer.from(uri, 'latin1')))),
  );
}
