// A place where connections arrive. Looks at their first bytes where there is something to choose, ends TLS, and hands them
// to the chain that is meant for them. New configuration replaces chains at once; connections of old ones end in order.
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { unknownParty, type Party } from '../../telemetry/istio-labels.js';
import type { LearnedPort } from '../../telemetry/learned-ports.js';
import { believedParty, type NodeMetadata } from '../../telemetry/peer-metadata.js';
import { Backoff } from '../../util/backoff.js';
import { connectionLimit } from '../net/connection-limit.js';
import { createOwnServer, type ConnectionServer } from '../net/connection-server.js';
import { resetSocket } from '../net/reset-socket.js';
import { sweep, type Swept } from '../net/sweeper.js';
import type { RefusalKind } from '../tls/acceptor.js';
import type { Peer } from '../tls/peer.js';
import { exchangePreambles, hasPreamble } from '../tls/preamble.js';
import { readClientHello } from '../tls/client-hello.js';
import type { ConnectionInfo } from './connection-info.js';
import { detectHttp } from './detect-http.js';
import { findChain, type FilterChain, type Handled, type Inspection, type OpenedAhead } from './filter-chain.js';
import { PortKnowledge } from './port-knowledge.js';
import { UndecidedConnection } from './undecided-connection.js';

export interface ListenerConfig {
  readonly name: string;
  /** Undefined for a listener inside the proxy. */
  readonly address: { readonly address: string; readonly port: number } | undefined;
  readonly direction: 'inbound' | 'outbound';
  readonly inspectsTls: boolean;
  readonly inspectsHttp: boolean;
  /** How long the first bytes may take; then the server is given the word, or the connection counts as bytes. */
  readonly inspectionTimeoutMs: number;
  readonly chains: readonly FilterChain[];
  /** Route configurations that it refers to. */
  readonly routeNames: ReadonlySet<string>;
  /** Clusters to which it carries bytes. */
  readonly clusters: ReadonlySet<string>;
}

/** What a listener uses of the workload's proxy. */
export interface ListenerEnvironment {
  /** Absent: the process opens its ports itself. */
  readonly createServer?: () => ConnectionServer;
  readonly metadata: () => NodeMetadata;
  /** The workload's own SPIFFE ID, once it has one. */
  readonly ownUri: () => string;
  /** A connection was turned away. */
  readonly onRefused: (listener: string, kind: RefusalKind, reason: string) => void;
  /** Binding failed; it is tried again after `retryInMs`. */
  readonly onBindFailure: (listener: string, reason: string, retryInMs: number) => void;
}

/** How long connections of replaced chains may go on: Istio's drain duration. */
const drainMs = 45_000;

/** How long a beginning may stay one that could become several things. */
const longestDoubtMs = 1000;

/** How long before the end of a certificate a connection is asked to end. */
const expiryNoticeMs = 500;

/** The server of an undecided connection, and the chain by which it was found. */
interface Opened {
  readonly ahead: OpenedAhead;
  readonly chain: FilterChain;
}

interface Live {
  /** Undefined only while the filter takes over. */
  handled: Handled | undefined;
  readonly chain: FilterChain;
  readonly expiresAtMs: number;
}

export class Listener implements Swept {
  readonly #environment: ListenerEnvironment;
  readonly #live = new Set<Live>();
  /** Connections that no filter has yet; those of which it is not known what they are with what is known. */
  readonly #opening = new Map<Socket, UndecidedConnection | undefined>();
  readonly #knowledge = new PortKnowledge();
  readonly #backoff = new Backoff({ firstMs: 100, longestMs: 5000 });
  #config: ListenerConfig;
  #server: ConnectionServer | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #stopSweeping: () => void;

  constructor(config: ListenerConfig, environment: ListenerEnvironment) {
    this.#config = config;
    this.#environment = environment;
    this.#stopSweeping = sweep(this);
  }

  /** Connections end before the certificates do under which they began. */
  onTick(): void {
    const nowMs = Date.now();
    for (const { handled, expiresAtMs } of this.#live) {
      if (nowMs < expiresAtMs - expiryNoticeMs) continue;
      handled?.drain();
      if (nowMs >= expiresAtMs && handled?.isIdle === true) handled.destroy();
    }
  }

  get config(): ListenerConfig {
    return this.#config;
  }

  /** What was learned of the port; undefined where it is declared, or nothing has come yet. */
  get learned(): LearnedPort | undefined {
    const { learned: protocol, sinceMs } = this.#knowledge;
    if (protocol === undefined || !this.#config.inspectsHttp) return undefined;
    return { listener: this.#config.name, protocol, sinceMs };
  }

  /** Whether it takes connections. */
  get isListening(): boolean {
    return this.#config.address === undefined || this.#server?.listening === true;
  }

  /** Whether a connection has something under way. */
  get hasWork(): boolean {
    return (
      [...this.#opening.values()].some((undecided) => undecided === undefined || undecided.hasSpoken) ||
      [...this.#live].some(({ handled }) => handled?.isIdle === false)
    );
  }

  /** Begins to listen, and goes on trying where the port is taken; `onListening` is called once it works. */
  bind(onListening: () => void): void {
    const { address } = this.#config;
    if (address === undefined) {
      onListening();
      return;
    }
    const server = (this.#environment.createServer ?? createOwnServer)();
    server.on('connection', (socket) => {
      if (connectionLimit.take(socket)) this.accept(socket, undefined);
      else this.#shed(socket);
    });
    server.on('drop', () => this.#tellTooMany());
    server.once('error', (error) => {
      if (this.#closed) return;
      const retryInMs = this.#backoff.next();
      this.#environment.onBindFailure(this.#config.name, error.message, retryInMs);
      this.#retry = setTimeout(() => this.bind(onListening), retryInMs);
    });
    server.listen({ host: address.address, port: address.port, backlog: 1024 }, () => {
      server.removeAllListeners('error');
      server.on('error', (error) => this.#environment.onRefused(this.#config.name, 'handshake', error.message)); // accept() failed, as with too many open files
      this.#server = server;
      connectionLimit.measure();
      if (this.#closed) server.close();
      else onListening();
    });
  }

  /** Takes new chains at once. Connections of chains that are gone are drained. */
  reconfigure(config: ListenerConfig): void {
    const kept = new Map(this.#config.chains.map((chain) => [chain.key, chain]));
    const chains = config.chains.map((chain) => {
      const old = kept.get(chain.key);
      if (old === undefined) return chain;
      if (chain.tls !== old.tls) chain.tls?.close();
      old.filter.takePolicies(chain.filter);
      return old;
    });
    const gone = this.#config.chains.filter((chain) => !chains.includes(chain));
    for (const { chain } of this.#live) if (!chains.includes(chain)) takePolicies(chain, chains);
    this.#config = { ...config, chains };
    this.#drainConnections((live) => gone.includes(live.chain));
    for (const chain of gone) chain.tls?.close();
  }

  /** Takes no more connections and ends the open ones in order; `onDrained` is called when none is left or time is up. */
  drain(onDrained?: () => void): void {
    this.#stopListening();
    this.#drainConnections(() => true);
    if (onDrained === undefined) return;
    const deadline = performance.now() + drainMs;
    const timer = setInterval(() => {
      if (this.#live.size > 0 && performance.now() < deadline) return;
      clearInterval(timer);
      this.close();
      onDrained();
    }, 1000);
    timer.unref();
  }

  close(): void {
    this.#stopListening();
    this.#stopSweeping();
    for (const { handled } of this.#live) handled?.destroy();
    for (const socket of this.#opening.keys()) socket.destroy();
    for (const chain of this.#config.chains) chain.tls?.close();
  }

  /** Handles a connection that has arrived, here or inside the proxy. */
  accept(socket: Socket, first: Buffer | undefined): void {
    this.#opening.set(socket, undefined);
    socket.on('error', ignore);
    socket.once('close', () => this.#opening.delete(socket));
    if (this.#config.inspectsTls || this.#config.inspectsHttp) this.#inspect(socket, first);
    else this.#route(socket, first, plainInspection);
  }

  #inspect(socket: Socket, first: Buffer | undefined): void {
    const { inspectionTimeoutMs } = this.#config;
    let chain: FilterChain | undefined;
    const undecided = new UndecidedConnection(socket, first, {
      tell: (bytes) => this.#tell(bytes),
      waitMs: this.#knowledge.waitMs(inspectionTimeoutMs),
      doubtMs: Math.max(longestDoubtMs, inspectionTimeoutMs),
      openAhead: (onServer) => {
        chain = findChain(this.#config.chains, plainInspection);
        return chain?.tls === undefined
          ? chain?.filter.openAhead?.(socket, plainInfo(socket, undefined), onServer)
          : undefined;
      },
      expectsRequest: () => this.#knowledge.isHttp,
      onServerFirst: () => this.#knowledge.note('server-first', Date.now()),
      onDecided: (told, held, ahead) => {
        this.#opening.set(socket, undefined);
        if (told !== undefined) this.#learn(told);
        this.#route(socket, held, told ?? plainInspection, ahead && { ahead, chain: chain! });
      },
    });
    this.#opening.set(socket, undecided);
    undecided.start();
  }

  /** Notes what a client's first bytes have told. */
  #learn({ transportProtocol, applicationProtocols }: Inspection): void {
    if (transportProtocol === 'tls' || !this.#config.inspectsHttp) return;
    if (applicationProtocols === detectedProtocols.http2) this.#knowledge.note('http2', Date.now());
    else this.#knowledge.note(applicationProtocols === detectedProtocols.http ? 'http' : 'client-first', Date.now());
  }

  /** What the bytes are; undefined where more are needed. */
  #tell(bytes: Buffer): Inspection | undefined {
    if (this.#config.inspectsTls) {
      const hello = readClientHello(bytes);
      if (hello.state === 'incomplete') return undefined;
      if (hello.state === 'complete')
        return {
          transportProtocol: 'tls',
          applicationProtocols: hello.hello.protocols,
          serverName: hello.hello.serverName,
        };
    }
    if (!this.#config.inspectsHttp) return plainInspection;
    const http = detectHttp(bytes);
    if (http === 'incomplete') return undefined;
    return { ...plainInspection, applicationProtocols: detectedProtocols[http] };
  }

  #route(socket: Socket, first: Buffer | undefined, inspection: Inspection, opened?: Opened): void {
    const chain = findChain(this.#config.chains, inspection);
    const ahead = opened !== undefined && opened.chain === chain && !this.#closed ? opened.ahead : undefined;
    if (ahead === undefined) opened?.ahead.abandon();
    if (chain === undefined || this.#closed) {
      const isTls = inspection.transportProtocol === 'tls';
      if (isTls) this.#refuse(socket, 'handshake', 'no filter chain takes this TLS connection');
      else this.#refuse(socket, 'plaintext', 'plaintext is not accepted');
      return;
    }
    if (chain.tls === undefined) {
      this.#handle(socket, first, chain, plainInfo(socket, inspection.serverName), ahead);
      return;
    }
    chain.tls.accept(socket, first ?? nothing, inspection.applicationProtocols, (accepted) => {
      this.#opening.delete(socket); // what it carries is another socket now, which has its own way to be open
      if (!accepted.ok) this.#environment.onRefused(this.#config.name, accepted.kind, accepted.reason); // the acceptor has ended it
      else
        this.#afterHandshake(accepted.socket, accepted.peer, chain, inspection.serverName, () =>
          socket.resetAndDestroy(),
        );
    });
  }

  #afterHandshake(
    socket: TLSSocket,
    peer: Peer,
    chain: FilterChain,
    serverName: string | undefined,
    reset: () => void,
  ): void {
    this.#opening.set(socket, undefined);
    socket.once('close', () => this.#opening.delete(socket));
    socket.on('error', ignore);
    const addresses = addressesOf(socket);
    const proceed = (source: Party, first: Buffer | undefined) =>
      this.#handle(socket, first, chain, {
        ...addresses,
        serverName,
        protocol: socket.alpnProtocol || undefined,
        security: 'mutual_tls',
        source,
        forwardedClientCert: `By=${this.#environment.ownUri()};Hash=${peer.certificateHash};Subject="";URI=${peer.uri}`,
        expiresAtMs: peer.expiresAtMs,
        reset,
      });
    if (!hasPreamble(socket.alpnProtocol)) {
      proceed(believedParty(undefined, peer.uri, peer.id), undefined);
      return;
    }
    exchangePreambles(socket, this.#environment.metadata(), (result) => {
      if (result.ok) proceed(believedParty(result.metadata, peer.uri, peer.id), result.rest);
      else this.#refuse(socket, 'handshake', result.reason);
    });
  }

  #handle(
    socket: Socket,
    first: Buffer | undefined,
    chain: FilterChain,
    info: ConnectionInfo,
    ahead?: OpenedAhead,
  ): void {
    this.#opening.delete(socket);
    const live: Live = { handled: undefined, chain, expiresAtMs: info.expiresAtMs };
    this.#live.add(live);
    if (!this.#config.chains.includes(chain)) takePolicies(chain, this.#config.chains); // it may have gone while it was opened
    const onClose = () => this.#live.delete(live);
    live.handled = ahead?.claim(first, onClose) ?? chain.filter.handle(socket, first, info, onClose);
    if (this.#closed || !this.#config.chains.includes(chain)) this.#drainConnections((other) => other === live);
  }

  /** Takes no part of a connection for which there is no room. */
  #shed(socket: Socket): void {
    socket.on('error', ignore);
    socket.resetAndDestroy();
    this.#tellTooMany();
  }

  #tellTooMany(): void {
    const reason = `${connectionLimit.most} connections are open, as many as the limit of open files allows`;
    this.#environment.onRefused(this.#config.name, 'too many connections', reason);
  }

  #refuse(socket: Socket, kind: RefusalKind, reason: string): void {
    this.#environment.onRefused(this.#config.name, kind, reason);
    this.#opening.delete(socket);
    socket.destroy();
  }

  #drainConnections(which: (live: Live) => boolean): void {
    const draining = [...this.#live].filter(which);
    for (const { handled } of draining) handled?.drain();
    if (draining.length === 0) return;
    const timer = setTimeout(() => {
      for (const live of draining) if (this.#live.has(live)) live.handled?.destroy();
    }, drainMs);
    timer.unref();
  }

  #stopListening(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#server?.close();
  }
}

const nothing = Buffer.alloc(0);
const plainInspection: Inspection = {
  transportProtocol: 'raw_buffer',
  applicationProtocols: [],
  serverName: undefined,
};
/** Names that Envoy's HTTP inspector gives to what it finds. */
const detectedProtocols = { http: ['http/1.1', 'http/1.0'], http2: ['h2c'], other: [] };
const anonymous = {
  protocol: undefined,
  security: 'none',
  source: unknownParty,
  forwardedClientCert: undefined,
  expiresAtMs: Infinity,
} as const;

/** Connections of a chain that has gone may carry one more request: the policies for it are those of what comes in its place. */
function takePolicies(gone: FilterChain, chains: readonly FilterChain[]): void {
  const likest = chains.find(({ match }) => isDeepStrictEqual(match, gone.match));
  if (likest !== undefined && gone.filter.takePolicies(likest.filter)) return;
  chains.some(({ filter }) => gone.filter.takePolicies(filter));
}

function plainInfo(socket: Socket, serverName: string | undefined): ConnectionInfo {
  return { ...addressesOf(socket), serverName, ...anonymous, reset: () => resetSocket(socket) };
}

function addressesOf(socket: Socket): Pick<ConnectionInfo, 'localAddress' | 'remoteAddress'> {
  return {
    localAddress: `${socket.localAddress}:${socket.localPort}`,
    remoteAddress: `${socket.remoteAddress}:${socket.remotePort}`,
  };
}

function ignore(): void {
  // 'close' follows every error of a socket
}
