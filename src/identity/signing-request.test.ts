// Keys and requests of workloads.
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { it } from 'node:test';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { createSigningRequest } from './signing-request.js';
import { fromPem } from './der.js';

it('a signing request proves its key, names nobody and asks for nothing', async () => {
  const { csrPem, privateKey } = createSigningRequest();
  const [der] = fromPem('CERTIFICATE REQUEST', csrPem);
  const request = new Pkcs10CertificateRequest(new Uint8Array(der!));
  assert.equal(await request.verify(), true);
  assert.equal(request.subject, '');
  assert.equal(request.attributes.length, 0);
  const requested = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' });
  assert.ok(requested.equals(createPublicKey(privateKey)));
});

it('every signing request has a key of its own, which the request does not hold', () => {
  const [a, b] = [createSigningRequest(), createSigningRequest()];
  assert.equal(a.privateKey.equals(b.privateKey), false);
  const secret = Buffer.from(a.privateKey.export({ format: 'jwk' }).d!, 'base64url');
  assert.equal(fromPem('CERTIFICATE REQUEST', a.csrPem)[0]!.includes(secret), false);
});
