// What the authority issues, and to whom.
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto';
import { before, describe, it } from 'node:test';
import * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import { fromPem, toPem } from '../identity/der.js';
import { checkPeer } from '../identity/peer-check.js';
import { createSigningRequest } from '../identity/signing-request.js';
import { Authority, SigningRefused } from './authority.js';

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const names = [{ type: 'url', value: web }] as const;
const hourMs = 3_600_000;
const nowMs = Date.UTC(2030, 0, 1, 12) + 123;
const request = { names, lifetimeMs: 24 * hourMs, nowMs };

let authority: Authority;
let file: string;
before(async () => {
  ({ authority, file } = await Authority.create('cluster.local', nowMs));
});

const der = (pem: string) => fromPem('CERTIFICATE', pem)[0]!;

describe('the root', () => {
  it('may sign certificates and nothing else', () => {
    const root = new x509.X509Certificate(authority.rootPem);
    assert.equal(root.getExtension(x509.BasicConstraintsExtension)?.ca, true);
    assert.equal(root.getExtension(x509.BasicConstraintsExtension)?.critical, true);
    const usage = root.getExtension(x509.KeyUsagesExtension);
    assert.equal(usage?.usages, x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign);
    assert.equal(usage?.critical, true);
    assert.ok(new X509Certificate(authority.rootPem).verify(new X509Certificate(authority.rootPem).publicKey));
  });

  it('is the same after it was opened from its file', async () => {
    const opened = await Authority.open(file);
    assert.equal(opened.rootPem, authority.rootPem);
    assert.equal(opened.rootNotAfterMs, authority.rootNotAfterMs);
    const { chain } = await opened.sign(createSigningRequest().csrPem, request);
    assert.ok(new X509Certificate(chain[0]!).verify(new X509Certificate(authority.rootPem).publicKey));
  });

  it('is not opened from a file that lacks a part or holds anything else', async () => {
    const [key] = fromPem('PRIVATE KEY', file);
    for (const broken of [
      '',
      'nonsense',
      authority.rootPem,
      toPem('PRIVATE KEY', key!),
      toPem('PRIVATE KEY', Buffer.from([0x30, 0])) + authority.rootPem,
      toPem('PRIVATE KEY', key!) + toPem('CERTIFICATE', Buffer.from([0x30, 0])),
    ])
      await assert.rejects(Authority.open(broken));
  });

  it('is not opened with the key of another', async () => {
    const other = await Authority.create('cluster.local', nowMs);
    const [key] = fromPem('PRIVATE KEY', other.file);
    await assert.rejects(Authority.open(toPem('PRIVATE KEY', key!) + authority.rootPem), /belong/);
  });
});

describe('a leaf', () => {
  it('is a workload certificate by the rules of X509-SVID', async () => {
    const { csrPem, privateKey } = createSigningRequest();
    const { chain, notAfterMs } = await authority.sign(csrPem, request);
    assert.equal(chain.length, 2);
    assert.equal(chain[1], authority.rootPem);
    const leaf = new x509.X509Certificate(chain[0]!);
    assert.equal(leaf.subject, '');
    const alternative = leaf.getExtension(x509.SubjectAlternativeNameExtension);
    assert.deepEqual(alternative?.names.toJSON(), [{ type: 'url', value: web }]);
    assert.equal(alternative?.critical, true, 'critical because the subject is empty (RFC 5280 section 4.2.1.6)');
    assert.equal(leaf.getExtension(x509.BasicConstraintsExtension)?.ca, false);
    const usage = leaf.getExtension(x509.KeyUsagesExtension);
    assert.equal(usage?.usages, x509.KeyUsageFlags.digitalSignature);
    assert.equal(usage?.critical, true);
    assert.deepEqual(Array.from(leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [], String), [
      '1.3.6.1.5.5.7.3.1', // serverAuth
      '1.3.6.1.5.5.7.3.2', // clientAuth
    ]);
    const node = new X509Certificate(chain[0]!);
    assert.ok(node.checkPrivateKey(privateKey));
    assert.ok(node.verify(new X509Certificate(authority.rootPem).publicKey));
    assert.ok(node.checkIssued(new X509Certificate(authority.rootPem)));
    const verdict = checkPeer(der(chain[0]!), { trustDomain: 'cluster.local', allowedIds: new Set([web]), nowMs });
    assert.ok(verdict.ok);
    assert.equal(verdict.notAfterMs, notAfterMs);
  });

  it('begins a minute before now, or half its life where that is less', async () => {
    for (const [lifetimeMs, backMs] of [
      [24 * hourMs, 60_000],
      [6000, 3000],
    ] as const) {
      const { chain } = await authority.sign(createSigningRequest().csrPem, { ...request, lifetimeMs });
      const leaf = new X509Certificate(chain[0]!);
      assert.equal(Date.parse(leaf.validFrom), Math.floor((nowMs - backMs) / 1000) * 1000);
    }
  });

  it('ends with the root at the latest', async () => {
    const { notAfterMs } = await authority.sign(createSigningRequest().csrPem, { ...request, lifetimeMs: 1e13 });
    assert.equal(notAfterMs, authority.rootNotAfterMs);
  });

  it('is not issued once the root has expired', async () => {
    const late = { ...request, nowMs: authority.rootNotAfterMs };
    await assert.rejects(authority.sign(createSigningRequest().csrPem, late), /root certificate/);
  });

  it('has times in whole seconds in the forms of RFC 5280, after 2050 too', async () => {
    const late = Date.UTC(2055, 0, 1) + 123;
    const { authority: later } = await Authority.create('cluster.local', late - hourMs);
    const { chain, notAfterMs } = await later.sign(createSigningRequest().csrPem, { ...request, nowMs: late });
    const verdict = checkPeer(der(chain[0]!), { trustDomain: 'cluster.local', allowedIds: undefined, nowMs: late });
    assert.ok(verdict.ok, 'it can be read');
    assert.equal(verdict.notAfterMs, notAfterMs);
    assert.equal(notAfterMs % 1000, 0);
  });

  it('has a serial number of its own, positive and at most 20 bytes', async () => {
    const serials = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const { chain } = await authority.sign(createSigningRequest().csrPem, request);
        return new X509Certificate(chain[0]!).serialNumber;
      }),
    );
    assert.equal(new Set(serials).size, 5);
    for (const serial of serials) assert.match(serial, /^[4-7][0-9A-F]{31}$/);
  });
});

describe('a signing request', () => {
  const refused = (pem: string) => assert.rejects(authority.sign(pem, request), SigningRefused);

  it('gets the names that the caller proved, not those that it asks for', async () => {
    const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
    const greedy = await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=admin',
      keys,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: 'spiffe://cluster.local/ns/shop/sa/admin' }]),
        new x509.BasicConstraintsExtension(true),
      ],
    });
    const { chain } = await authority.sign(greedy.toString('pem'), request);
    const leaf = new X509Certificate(chain[0]!);
    assert.equal(leaf.subjectAltName, `URI:${web}`);
    assert.equal(leaf.subject ?? '', '');
    assert.equal(leaf.ca, false);
  });

  it('of another kind of key is refused', async () => {
    for (const algorithm of [
      { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-256' },
      { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
      { name: 'Ed25519' },
    ]) {
      const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
      const other = await x509.Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm });
      await refused(other.toString('pem'));
    }
  });

  it('signed by another key is refused', async () => {
    const csr = Buffer.from(fromPem('CERTIFICATE REQUEST', createSigningRequest().csrPem)[0]!);
    const own = createPublicKey(createSigningRequest().privateKey).export({ type: 'spki', format: 'der' });
    const at = csr.indexOf(own.subarray(0, 26));
    own.copy(csr, at);
    await refused(toPem('CERTIFICATE REQUEST', csr));
  });

  it('that is none is refused', async () => {
    const { csrPem } = createSigningRequest();
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });
    for (const text of [
      '',
      'nonsense',
      csrPem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'),
      toPem('CERTIFICATE REQUEST', Buffer.from([0x30, 0])),
      toPem('CERTIFICATE REQUEST', key),
      toPem('CERTIFICATE REQUEST', der(authority.rootPem)),
      csrPem + ' '.repeat(16 * 1024),
    ])
      await refused(text);
  });

  it('with any byte changed is refused with a reason, or issued for the same key', async () => {
    const { csrPem, privateKey } = createSigningRequest();
    const [csr] = fromPem('CERTIFICATE REQUEST', csrPem);
    await fc.assert(
      fc.asyncProperty(fc.nat(csr!.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const changed = Buffer.from(csr!);
        changed[at]! ^= change;
        try {
          const { chain } = await authority.sign(toPem('CERTIFICATE REQUEST', changed), request);
          // The library reads lengths loosely around what is signed, which proves nothing else.
          assert.ok(new X509Certificate(chain[0]!).checkPrivateKey(privateKey));
        } catch (error) {
          assert.ok(error instanceof SigningRefused, String(error));
        }
      }),
      { numRuns: 150 },
    );
  });
});
