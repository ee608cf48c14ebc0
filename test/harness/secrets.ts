// A workload's secrets as its proxy holds them, from an authority in the same process.
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { Authority } from '../../src/ca/authority.js';
import { SecretStore, type Credentials } from '../../src/proxy/tls/secret-store.js';
import type { NodeMetadata } from '../../src/telemetry/peer-metadata.js';

export interface Secrets {
  readonly store: SecretStore;
  readonly credentials: Credentials;
}

/** A store that has its first certificate. */
export async function openSecrets(authority: Authority, uri: string, lifetimeMs = 3_600_000): Promise<Secrets> {
  const store = new SecretStore({
    requestCertificate: async (csr) => {
      const names = [{ type: 'url', value: uri }] as const;
      return (await authority.sign(csr, { names, lifetimeMs, nowMs: Date.now() })).chain;
    },
    onFailure: (reason) => {
      throw new Error(reason);
    },
  });
  const first = new Promise<Credentials>((resolve) => store.watch(resolve));
  store.start();
  return { store, credentials: await first };
}

export const metadataOf = (account: string, namespace = 'shop'): NodeMetadata => ({
  NAME: `${account}-0`,
  NAMESPACE: namespace,
  WORKLOAD_NAME: `${account}-v1`,
  SERVICE_ACCOUNT: account,
  CLUSTER_ID: 'Kubernetes',
  LABELS: { app: account, version: 'v1' },
});

/** Listens on a free loopback port; the listener keeps both halves of connections apart, as those of proxies do. */
export async function listenTcp(onSocket: (socket: Socket) => void): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
