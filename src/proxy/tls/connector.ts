// Opens connections to endpoints: plaintext to applications and to workloads without mTLS, mutual TLS to everybody else.
import net, { type Socket } from 'node:net';
import tls from 'node:tls';
import { believedParty, type NodeMetadata } from '../../telemetry/peer-metadata.js';
import type { Party } from '../../telemetry/istio-labels.js';
import { connectionLimit } from '../net/connection-limit.js';
import { resetSocket } from '../net/reset-socket.js';
import { authenticatePeer } from './peer.js';
import { exchangePreambles, hasPreamble } from './preamble.js';
import type { Credentials, SecretStore } from './secret-store.js';

/** How to reach an endpoint securely. */
export interface TlsTarget {
  readonly serverName: string;
  /** SPIFFE IDs of which the server must have one. */
  readonly identities: ReadonlySet<string>;
}

/** An open connection, paused, with nobody listening to it. */
export interface Connected {
  readonly socket: Socket;
  /** Bytes that were read already. */
  readonly first: Buffer | undefined;
  /** Undefined over plaintext. */
  readonly peer: Party | undefined;
  /** Wall time at which it must have ended; Infinity over plaintext. */
  readonly expiresAtMs: number;
  /** Application protocol that the handshake chose; undefined: none. */
  readonly protocol: string | undefined;
  /** Ends it so that the other side cannot take it for an orderly end. */
  readonly reset: () => void;
}

export type ConnectOutcome =
  | { readonly ok: true; readonly connection: Connected }
  | { readonly ok: false; readonly reason: string; readonly timedOut: boolean };

/** A session that may be resumed. */
interface StoredSession {
  /** Generation of our certificate under which it was made. */
  readonly generation: number;
  readonly session: Buffer;
  /** The certificate that the server showed when the session began: a resumed handshake shows none to a client. */
  readonly serverDer: Buffer;
}

/** Sessions of one endpoint, by the protocols that were asked for. */
export type SessionCache = Map<string, StoredSession>;

export interface ConnectOptions {
  readonly address: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly tls: TlsTarget | undefined;
  readonly protocols: readonly string[];
  readonly sessions: SessionCache;
}

/** Opens connections with one workload's identity. */
export class Connector {
  readonly #secrets: SecretStore;
  readonly #metadata: () => NodeMetadata;

  constructor(secrets: SecretStore, metadata: () => NodeMetadata) {
    this.#secrets = secrets;
    this.#metadata = metadata;
  }

  /** Connects and calls back once; the returned function gives up without a call. */
  connect(options: ConnectOptions, done: (outcome: ConnectOutcome) => void): () => void {
    const credentials = this.#secrets.credentials;
    if (options.tls !== undefined && credentials === undefined) {
      queueMicrotask(() => done({ ok: false, reason: 'the workload has no certificate yet', timedOut: false }));
      return () => undefined;
    }
    const raw = net.connect({ host: options.address, port: options.port, allowHalfOpen: true, noDelay: true });
    connectionLimit.countOnward(raw);
    const reset = () => resetSocket(raw);
    const socket = options.tls === undefined ? raw : startTls(raw, options, options.tls, credentials!);
    let finished = false;
    const finish = (outcome: ConnectOutcome) => {
      if (finished) return;
      finished = true;
      clearTimeout(timer);
      socket.off('error', onError);
      socket.off('close', onClose);
      if (!outcome.ok) {
        socket.on('error', () => undefined);
        socket.destroy();
      }
      done(outcome);
    };
    const onError = (error: Error) => finish({ ok: false, reason: describeError(error), timedOut: false });
    const onClose = () =>
      finish({ ok: false, reason: 'the connection was closed while it was opened', timedOut: false });
    const timer = setTimeout(
      () => finish({ ok: false, reason: `no connection within ${options.timeoutMs} ms`, timedOut: true }),
      options.timeoutMs,
    );
    socket.on('error', onError);
    socket.on('close', onClose);
    if (options.tls === undefined)
      socket.once('connect', () =>
        finish({
          ok: true,
          connection: { socket, first: undefined, peer: undefined, expiresAtMs: Infinity, protocol: undefined, reset },
        }),
      );
    else this.#afterHandshake(socket as tls.TLSSocket, options, options.tls, credentials!, reset, finish);
    return () => {
      if (finished) return;
      finished = true;
      clearTimeout(timer);
      socket.destroy();
    };
  }

  /** @param credentials those that the handshake began with; others may be there by its end */
  #afterHandshake(
    socket: tls.TLSSocket,
    options: ConnectOptions,
    target: TlsTarget,
    credentials: Credentials,
    reset: () => void,
    finish: (outcome: ConnectOutcome) => void,
  ): void {
    socket.once('secureConnect', () => {
      const cacheKey = options.protocols.join(',');
      // Identity and validity count on resumed sessions too, for the certificate under which the session began.
      const serverDer = socket.isSessionReused()
        ? options.sessions.get(cacheKey)?.serverDer
        : socket.getPeerX509Certificate()?.raw;
      const peer = authenticatePeer(socket, serverDer, credentials, target.identities);
      if (!peer.ok) {
        options.sessions.delete(cacheKey);
        finish({ ok: false, reason: `TLS error: ${peer.problem}`, timedOut: false });
        return;
      }
      socket.on('session', (session) =>
        options.sessions.set(cacheKey, { generation: credentials.generation, session, serverDer: serverDer! }),
      );
      const protocol = socket.alpnProtocol || undefined;
      const ready = (party: Party, first: Buffer | undefined) =>
        finish({
          ok: true,
          connection: { socket, first, peer: party, expiresAtMs: peer.expiresAtMs, protocol, reset },
        });
      if (!hasPreamble(socket.alpnProtocol)) {
        socket.pause();
        ready(believedParty(undefined, peer.uri, peer.id), undefined);
        return;
      }
      exchangePreambles(socket, this.#metadata(), (result) => {
        if (result.ok) ready(believedParty(result.metadata, peer.uri, peer.id), result.rest);
        else {
          // A session with which the server refuses us would be refused again.
          options.sessions.delete(cacheKey);
          finish({ ok: false, reason: `TLS error: ${result.reason}`, timedOut: false });
        }
      });
    });
  }
}

function startTls(
  raw: Socket,
  { protocols, sessions }: ConnectOptions,
  target: TlsTarget,
  credentials: Credentials,
): tls.TLSSocket {
  const stored = sessions.get(protocols.join(','));
  return tls.connect({
    socket: raw,
    secureContext: credentials.clientContext,
    servername: target.serverName,
    ALPNProtocols: [...protocols],
    rejectUnauthorized: true,
    checkServerIdentity: () => undefined, // #afterHandshake checks the identity, on resumed sessions too
    ...(stored?.generation === credentials.generation ? { session: stored.session } : {}),
  });
}

function describeError(error: Error & { code?: string }): string {
  const known: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connection refused',
    ECONNRESET: 'connection reset',
    EHOSTUNREACH: 'host is unreachable',
    ENETUNREACH: 'network is unreachable',
    CERT_HAS_EXPIRED: 'TLS error: the certificate has expired',
  };
  if (error.code !== undefined && known[error.code] !== undefined) return known[error.code]!;
  return error.code?.startsWith('ERR_SSL') === true || /CERT|SIGNATURE|ISSUER/.test(error.code ?? '')
    ? `TLS error: ${error.message}`
    : error.message;
}
