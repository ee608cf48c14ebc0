// A loopback port in clear text in front of an inbound port: judges that cannot show a certificate of the mesh are judged with one.
import net, { type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import { exchangePreambles, hasPreamble } from '../../src/proxy/tls/preamble.js';
import type { NodeMetadata } from '../../src/telemetry/peer-metadata.js';
import type { Credentials } from '../harness/certificates.js';

export interface RelayOptions {
  readonly port: number;
  readonly credentials: Credentials;
  readonly serverName: string;
  /** ALPN names that are offered; one of Lateen's own has both sides tell of themselves first. */
  readonly protocols: readonly string[];
}

/** What is told to a proxy of the mesh. */
const stranger: NodeMetadata = {
  NAME: 'judge-0',
  NAMESPACE: 'default',
  WORKLOAD_NAME: 'judge',
  SERVICE_ACCOUNT: 'client',
  CLUSTER_ID: 'Kubernetes',
  LABELS: {},
};

/** Passes bytes on, and how each side ends. */
export class TlsRelay {
  readonly #sockets = new Set<Socket>();
  readonly #server: net.Server;

  private constructor(options: RelayOptions) {
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#relay(socket, options));
  }

  static async start(options: RelayOptions): Promise<TlsRelay> {
    const relay = new TlsRelay(options);
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #relay(near: Socket, { port, credentials: { key, cert }, serverName, protocols }: RelayOptions): void {
    const below = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    const far = tls.connect({
      socket: below,
      key,
      cert,
      rejectUnauthorized: false,
      servername: serverName,
      ALPNProtocols: [...protocols],
    });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroySoon();
      });
    }
    below.on('error', () => near.resetAndDestroy());
    const join = (first?: Buffer) => {
      if (first !== undefined) near.write(first);
      near.pipe(far);
      far.pipe(near);
    };
    if (!protocols.some(hasPreamble)) join();
    else
      far.once('secureConnect', () =>
        exchangePreambles(far, stranger, (result) => (result.ok ? join(result.rest) : near.resetAndDestroy())),
      );
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
