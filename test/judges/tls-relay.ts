// A loopback port in clear text in front of an inbound port: judges that cannot show a certificate of the mesh are judged with one.
import net, { type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import type { Credentials } from '../harness/certificates.js';

export interface RelayOptions {
  readonly port: number;
  readonly credentials: Credentials;
  readonly serverName: string;
  /** ALPN names that are offered. */
  readonly protocols: readonly string[];
}

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
      from.pipe(to);
    }
    below.on('error', () => near.resetAndDestroy());
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
