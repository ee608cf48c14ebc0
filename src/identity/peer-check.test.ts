// Who may be talked to: the rules of RFC 5280 and X509-SVID for the certificate of a workload.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { buildCertificate, extension, names, oid } from '../../test/harness/certificate-der.js';
import { foreignAuthority, issue } from '../../test/harness/certificates.js';
import { fromPem, tag, writeElement } from './der.js';
import { checkPeer, type PeerProblem } from './peer-check.js';

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const nowMs = Date.UTC(2025, 5);
const anybody = { trustDomain: 'cluster.local', allowedIds: undefined, nowMs };

const basicConstraints = (...content: readonly number[]) =>
  extension(oid.basicConstraints, writeElement(tag.sequence, Buffer.from(content)));
const keyUsage = (...content: readonly number[]) =>
  extension(oid.keyUsage, writeElement(tag.bitString, Buffer.from(content)));

function refusal(der: Uint8Array | undefined, expected: Partial<Parameters<typeof checkPeer>[1]> = {}): PeerProblem {
  const verdict = checkPeer(der, { ...anybody, ...expected });
  assert.ok(!verdict.ok, 'it was let in');
  assert.notEqual(verdict.problem, '');
  return verdict.kind;
}

describe('a peer', () => {
  it('with one SPIFFE ID of the trust domain is let in under it', () => {
    const der = buildCertificate({
      notAfter: '260101000000Z',
      extensions: [names([web]), basicConstraints(), keyUsage(7, 0x80)],
    });
    assert.deepEqual(checkPeer(der, anybody), {
      ok: true,
      uri: web,
      id: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'web' },
      notAfterMs: Date.UTC(2026, 0),
    });
  });

  it('with a certificate of the mesh is let in', async () => {
    const { cert } = await issue(await foreignAuthority(), [web]);
    const [der] = fromPem('CERTIFICATE', cert);
    assert.equal(checkPeer(der, { ...anybody, nowMs: Date.now() }).ok, true);
  });

  it('without a certificate is refused', () => {
    assert.equal(refusal(undefined), 'untrusted certificate');
    assert.equal(refusal(Buffer.alloc(0)), 'untrusted certificate');
  });

  it('with a malformed certificate is refused', () => {
    const der = buildCertificate({ extensions: [names([web])] });
    for (let length = 1; length < der.length; length++)
      assert.equal(refusal(der.subarray(0, length)), 'untrusted certificate');
  });

  it('is refused before and after the validity of its certificate, and let in at its ends', () => {
    const der = buildCertificate({
      notBefore: '250101000000Z',
      notAfter: '260101000000Z',
      extensions: [names([web])],
    });
    assert.equal(refusal(der, { nowMs: Date.UTC(2025, 0) - 1 }), 'expired certificate');
    assert.equal(checkPeer(der, { ...anybody, nowMs: Date.UTC(2025, 0) }).ok, true);
    assert.equal(checkPeer(der, { ...anybody, nowMs: Date.UTC(2026, 0) - 1 }).ok, true);
    assert.equal(refusal(der, { nowMs: Date.UTC(2026, 0) }), 'expired certificate');
  });

  it('with the certificate of an authority is refused', () => {
    const der = buildCertificate({ extensions: [names([web]), basicConstraints(1, 1, 0xff)] });
    assert.equal(refusal(der), 'no SPIFFE ID');
  });

  it('whose key may sign certificates or revocation lists is refused', () => {
    for (const usage of [keyUsage(2, 0x84), keyUsage(1, 0x82)])
      assert.equal(refusal(buildCertificate({ extensions: [names([web]), usage] })), 'no SPIFFE ID');
  });

  for (const [what, uris] of [
    ['no URI', []],
    ['two URIs', [web, web]],
    ['a SPIFFE ID and another URI', [web, 'https://example.com/']],
    ['a URI of another scheme', ['https://cluster.local/ns/shop/sa/web']],
    ['a SPIFFE ID of another form', ['spiffe://cluster.local/web']],
    ['a SPIFFE ID that ends in a NUL', [`${web}\0`]],
    ['two SPIFFE IDs in one name', [`${web}, ${web}`]],
  ] as const)
    it(`with ${what} is refused`, () =>
      assert.equal(refusal(buildCertificate({ extensions: [names(uris)] })), 'no SPIFFE ID'));

  for (const trustDomain of ['cluster.locals', 'cluster.loca', 'sub.cluster.local', 'clusterxlocal'])
    it(`of the trust domain ${trustDomain} is refused`, () => {
      const der = buildCertificate({ extensions: [names([`spiffe://${trustDomain}/ns/shop/sa/web`])] });
      assert.equal(refusal(der), 'other trust domain');
      assert.equal(
        refusal(der, { allowedIds: new Set([`spiffe://${trustDomain}/ns/shop/sa/web`]) }),
        'other trust domain',
      );
    });

  it('is let in only under an identity that is expected, where some are', () => {
    const der = buildCertificate({ extensions: [names([web])] });
    assert.equal(
      checkPeer(der, { ...anybody, allowedIds: new Set(['spiffe://cluster.local/ns/shop/sa/a', web]) }).ok,
      true,
    );
    assert.equal(refusal(der, { allowedIds: new Set([`${web}s`]) }), 'other identity');
    assert.equal(refusal(der, { allowedIds: new Set() }), 'other identity');
  });

  it('with any bytes changed in its certificate is let in under the same name or not at all', () => {
    const der = buildCertificate({ extensions: [names([web]), basicConstraints()] });
    const at = der.indexOf(web, 0, 'latin1');
    const change = fc.tuple(
      fc.nat(der.length - 1).filter((i) => i < at || i >= at + web.length),
      fc.integer({ min: 0, max: 255 }),
    );
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const changed = Buffer.from(der);
        for (const [i, value] of changes) changed[i] = value;
        const verdict = checkPeer(changed, anybody);
        if (verdict.ok) assert.equal(verdict.uri, web);
      }),
      { numRuns: 1000 },
    );
  });
});
