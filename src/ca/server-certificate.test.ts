// The control plane's own certificate.
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { it } from 'node:test';
import { checkPeer } from '../identity/peer-check.js';
import { Authority } from './authority.js';
import { createServerCertificate } from './server-certificate.js';

it('the certificate of the control plane names its hosts, is no workload, and lives as long as the root', async () => {
  const nowMs = Date.now();
  const { authority } = await Authority.create('cluster.local', nowMs);
  const { privateKeyPem, chainPem } = await createServerCertificate(authority, nowMs);
  const certificate = new X509Certificate(chainPem);
  assert.ok(certificate.checkPrivateKey(createPrivateKey(privateKeyPem)));
  assert.ok(certificate.verify(new X509Certificate(authority.rootPem).publicKey));
  for (const host of ['localhost', 'istiod.istio-system.svc']) assert.equal(certificate.checkHost(host), host);
  assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1');
  assert.equal(Date.parse(certificate.validTo), authority.rootNotAfterMs);
  const verdict = checkPeer(certificate.raw, { trustDomain: 'cluster.local', allowedIds: undefined, nowMs });
  assert.equal(verdict.ok ? undefined : verdict.kind, 'no SPIFFE ID');
});
