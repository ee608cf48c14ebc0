// Ends TLS for connections that somebody else accepted. Chain and identity are checked here after every handshake; whoever
// fails is disconnected before a byte of theirs is read.
import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { PeerProblem } from '../../identity/peer-check.js';
import type { SecretStore } from './secret-store.js';
import { authenticatePeer, type Peer } from './peer.js';

const handshakeTimeoutMs = 10_000;

/** Why a connection is turned away, in few fixed words. */
export type RefusalKind = PeerProblem | 'plaintext' | 'handshake' | 'too many connections';

/** The outcome of a handshake; where it failed the connection has been ended. */
export type Accepted =
  | { readonly ok: true; readonly socket: tls.TLSSocket; readonly peer: Peer }
  | { readonly ok: false; readonly kind: RefusalKind; readonly reason: string };

/** One set of application protocols served with one workload's certificate. */
export class TlsAcceptor {
  readonly #secrets: SecretStore;
  readonly #protocols: readonly string[];
  /** With and without protocol negotiation: OpenSSL refuses a client with whom it has no protocol in common, we do not. */
  readonly #negotiating: tls.Server;
  readonly #plain: tls.Server;
  readonly #waiting = new Map<string, (accepted: Accepted) => void>();
  readonly #stopWatching: () => void;

  constructor(secrets: SecretStore, protocols: readonly string[]) {
    this.#secrets = secrets;
    this.#protocols = protocols;
    this.#negotiating = this.#createServer([...protocols]);
    this.#plain = this.#createServer([]);
    this.#stopWatching = secrets.watch(({ serverOptions }) => {
      for (const server of [this.#negotiating, this.#plain]) server.setSecureContext(serverOptions);
    });
  }

  close(): void {
    this.#stopWatching();
  }

  /**
   * Takes over `socket`, which was read up to `first`, and calls back once.
   * @param offered protocols that the client offers
   */
  accept(socket: Socket, first: Buffer, offered: readonly string[], done: (accepted: Accepted) => void): void {
    if (this.#secrets.credentials === undefined) {
      socket.destroy();
      done({ ok: false, kind: 'handshake', reason: 'the workload has no certificate yet' });
      return;
    }
    const key = keyOf(socket);
    let finished = false;
    const finish = (accepted: Accepted) => {
      if (finished) return;
      finished = true;
      this.#waiting.delete(key);
      done(accepted);
    };
    this.#waiting.set(key, finish);
    socket.once('close', () =>
      finish({ ok: false, kind: 'handshake', reason: 'the client closed the connection during the handshake' }),
    );
    socket.pause();
    socket.unshift(first);
    socket.allowHalfOpen = false; // until the handshake is over: whoever ends before has gone
    const server = offered.some((protocol) => this.#protocols.includes(protocol)) ? this.#negotiating : this.#plain;
    server.emit('connection', socket);
  }

  #createServer(protocols: string[]): tls.Server {
    const server = tls.createServer({
      requestCert: true,
      rejectUnauthorized: false, // decided in #onSecure, where the reason can be told
      handshakeTimeout: handshakeTimeoutMs,
      ...(protocols.length === 0 ? {} : { ALPNProtocols: protocols }),
    });
    server.on('secureConnection', (socket) => this.#onSecure(socket));
    server.on('tlsClientError', (error, socket) =>
      this.#finish(socket, { ok: false, kind: 'handshake', reason: error.message }),
    );
    return server;
  }

  #onSecure(socket: tls.TLSSocket): void {
    const peer = authenticatePeer(socket, socket.getPeerX509Certificate()?.raw, this.#secrets.credentials!, undefined);
    if (!peer.ok) {
      // Told first: a destroyed socket has no address by which its connection is found.
      this.#finish(socket, { ok: false, kind: peer.kind, reason: peer.problem });
      socket.on('error', () => undefined);
      socket.destroy();
    } else {
      socket.allowHalfOpen = true;
      this.#finish(socket, { ok: true, socket, peer });
    }
  }

  #finish(socket: tls.TLSSocket, accepted: Accepted): void {
    this.#waiting.get(keyOf(socket))?.(accepted);
  }
}

/** Both addresses: a client may use one port of its own for connections to two addresses of ours. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
