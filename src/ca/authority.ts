// The mesh's own certificate authority: one root, made at first start, and short-lived leaves for workloads.
import 'reflect-metadata';
import {
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  webcrypto,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { fromPem, readWhole, toPem } from '../identity/der.js';

type CryptoKey = webcrypto.CryptoKey;

x509.cryptoProvider.set(webcrypto);

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signature = { name: 'ECDSA', hash: 'SHA-256' } as const;
const dayMs = 24 * 3_600_000;
/** Istio's lifetime of a root that it makes itself. */
const rootLifetimeMs = 3650 * dayMs;
/** How far a certificate begins before now, against clocks that disagree. */
const backdatingMs = 60_000;

export interface Issued {
  /** PEM certificates: the leaf, then what leads to the root, the root last; each ends in a newline. */
  readonly chain: readonly string[];
  readonly notAfterMs: number;
}

/** What a leaf is for. */
export interface LeafRequest {
  readonly publicKey: x509.PublicKey;
  /** The names that it vouches for. */
  readonly names: readonly { readonly type: 'url' | 'dns' | 'ip'; readonly value: string }[];
  readonly lifetimeMs: number;
  readonly nowMs: number;
}

/** A request for a certificate that is refused; the message may be told to the caller. */
export class SigningRefused extends Error {
  override readonly name = 'SigningRefused';
}

/** Issues certificates with one key that never leaves this object. */
export class Authority {
  readonly #root: x509.X509Certificate;
  readonly #rootPem: string;
  readonly #key: CryptoKey;

  private constructor(root: x509.X509Certificate, key: CryptoKey) {
    this.#root = root;
    this.#rootPem = withNewline(root.toString('pem'));
    this.#key = key;
  }

  /**
   * Makes a new root.
   * @returns the authority, and the one file that keeps it: private key and certificate together, so that they never differ
   */
  static async create(trustDomain: string, nowMs: number): Promise<{ authority: Authority; file: string }> {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: algorithm.namedCurve });
    const signingKey = await importSigningKey(privateKey);
    const root = await x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: `O=${trustDomain}`,
      issuer: `O=${trustDomain}`,
      notBefore: new Date(nowMs - backdatingMs),
      notAfter: new Date(nowMs + rootLifetimeMs),
      publicKey: new x509.PublicKey(publicKey.export({ type: 'spki', format: 'der' })),
      signingKey,
      signingAlgorithm: signature,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(
          new x509.PublicKey(publicKey.export({ type: 'spki', format: 'der' })),
        ),
      ],
    });
    const file =
      toPem('PRIVATE KEY', privateKey.export({ type: 'pkcs8', format: 'der' })) + withNewline(root.toString('pem'));
    return { authority: new Authority(root, signingKey), file };
  }

  /** Opens what `create` returned as `file`; throws where it is not that. */
  static async open(file: string): Promise<Authority> {
    const [keyDer] = fromPem('PRIVATE KEY', file);
    const [rootDer] = fromPem('CERTIFICATE', file);
    if (keyDer === undefined || rootDer === undefined)
      throw new Error('it does not hold a private key and a certificate');
    const privateKey = createPrivateKey({ key: keyDer, format: 'der', type: 'pkcs8' });
    if (!new X509Certificate(rootDer).checkPrivateKey(privateKey))
      throw new Error('its private key does not belong to its certificate');
    const key = await importSigningKey(privateKey);
    return new Authority(new x509.X509Certificate(new Uint8Array(rootDer)), key);
  }

  /** The root, as everybody may have it. */
  get rootPem(): string {
    return this.#rootPem;
  }

  get rootNotAfterMs(): number {
    return this.#root.notAfter.getTime();
  }

  /**
   * Issues a certificate for whoever holds the key of a signing request. Names in the request are ignored.
   * @throws SigningRefused where the request is malformed, of another kind of key, or not signed by its own key
   */
  async sign(csrPem: string, request: Omit<LeafRequest, 'publicKey'>): Promise<Issued> {
    return this.issue({ ...request, publicKey: await provenKey(parseRequest(csrPem)) });
  }

  /**
   * Issues a certificate for a public key.
   * @throws Error where the root has expired: nobody would believe it
   */
  async issue({ publicKey, names, lifetimeMs, nowMs }: LeafRequest): Promise<Issued> {
    if (nowMs >= this.rootNotAfterMs)
      throw new Error(`the root certificate expired at ${this.#root.notAfter.toISOString()}`);
    const notAfterMs = Math.min(nowMs + lifetimeMs, this.rootNotAfterMs);
    const leaf = await x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      issuer: this.#root.subject,
      notBefore: new Date(nowMs - Math.min(backdatingMs, lifetimeMs / 2)),
      notAfter: new Date(notAfterMs),
      publicKey,
      signingKey: this.#key,
      signingAlgorithm: signature,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        // The subject is empty, so the names are critical (RFC 5280 section 4.2.1.6).
        new x509.SubjectAlternativeNameExtension([...names], true),
        await x509.AuthorityKeyIdentifierExtension.create(this.#root),
      ],
    });
    // Times in certificates have whole seconds: what counts is what was written.
    return { chain: [withNewline(leaf.toString('pem')), this.#rootPem], notAfterMs: leaf.notAfter.getTime() };
  }
}

function parseRequest(csrPem: string): x509.Pkcs10CertificateRequest {
  if (csrPem.length > 16 * 1024) throw new SigningRefused('the request is larger than 16 KiB');
  const [der] = fromPem('CERTIFICATE REQUEST', csrPem);
  if (der === undefined) throw new SigningRefused('the request is not a PEM certificate request');
  try {
    readWhole(der); // the library takes an outer length that does not fit what is inside
    return new x509.Pkcs10CertificateRequest(new Uint8Array(der));
  } catch {
    throw new SigningRefused('the request is malformed');
  }
}

/** The key of a request, once it is clear that the request is signed by it. */
async function provenKey(csr: x509.Pkcs10CertificateRequest): Promise<x509.PublicKey> {
  const kind = await readable(() => csr.publicKey.algorithm);
  if (kind.name !== algorithm.name || (kind as webcrypto.EcKeyAlgorithm).namedCurve !== algorithm.namedCurve)
    throw new SigningRefused('the key is not ECDSA with the curve P-256');
  if (!(await readable(() => csr.verify()))) throw new SigningRefused('the request is not signed by its own key');
  return csr.publicKey;
}

/** What the libraries cannot read they throw at, each in its own words. */
async function readable<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch {
    throw new SigningRefused('the key or the signature of the request cannot be read');
  }
}

async function importSigningKey(key: KeyObject): Promise<CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), algorithm, false, ['sign']);
}

/** 127 random bits, written in hexadecimal; positive and never zero in its first byte. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function withNewline(pem: string): string {
  return pem.endsWith('\n') ? pem : `${pem}\n`;
}
