// Makes a workload's key and the certificate signing request for it (RFC 2986). Written by hand because it runs in the data
// plane, where an X.509 library would cost 15 MB of memory for sixty lines.
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { tag, toPem, writeElement } from './der.js';

export interface SigningRequest {
  /** Never leaves the process that made it. */
  readonly privateKey: KeyObject;
  readonly csrPem: string;
}

const oidEcdsaWithSha256 = Buffer.from([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);
const version0 = Buffer.from([tag.integer, 1, 0]);
const noAttributes = Buffer.from([0xa0, 0]);

/** A new ECDSA P-256 key and a request that proves its possession; it names nobody, the authority decides who asks. */
export function createSigningRequest(): SigningRequest {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const emptySubject = writeElement(tag.sequence);
  const publicKeyInfo = publicKey.export({ type: 'spki', format: 'der' });
  const info = writeElement(tag.sequence, version0, emptySubject, publicKeyInfo, noAttributes);
  const algorithm = writeElement(tag.sequence, writeElement(tag.objectIdentifier, oidEcdsaWithSha256));
  const signature = writeElement(tag.bitString, Buffer.from([0]), sign('sha256', info, privateKey));
  return { privateKey, csrPem: toPem('CERTIFICATE REQUEST', writeElement(tag.sequence, info, algorithm, signature)) };
}
