// The control plane's own certificate, for those who reach it over TLS instead of the local socket.
import { generateKeyPairSync } from 'node:crypto';
import { PublicKey } from '@peculiar/x509';
import type { Authority } from './authority.js';

export interface ServerCertificate {
  readonly privateKeyPem: string;
  readonly chainPem: string;
}

/** A new key and a certificate for it, as long as the root lives (Istio does the same for istiod). */
export async function createServerCertificate(authority: Authority, nowMs: number): Promise<ServerCertificate> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chain } = await authority.issue({
    publicKey: new PublicKey(publicKey.export({ type: 'spki', format: 'der' })),
    names: [
      { type: 'dns', value: 'localhost' },
      { type: 'dns', value: 'istiod.istio-system.svc' },
      { type: 'ip', value: '127.0.0.1' },
    ],
    lifetimeMs: authority.rootNotAfterMs - nowMs,
    nowMs,
  });
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    chainPem: chain.slice(0, -1).join(''),
  };
}
