// Carries connections of bytes to an endpoint of a cluster, and counts them as Istio counts TCP.
import type { Socket } from 'node:net';
import type { AccessRecord } from '../../telemetry/access-log/record.js';
import { unknownParty, type CalledService, type Party } from '../../telemetry/istio-labels.js';
import { connectionLayout, type Series, type SeriesRegistry } from '../../telemetry/series.js';
import { countDenial } from '../authorization/count-denial.js';
import type { Policies } from '../authorization/policies.js';
import { pickByWeight, type Weighted } from '../balance/pick-by-weight.js';
import type { Cluster } from '../cluster/cluster.js';
import type { Endpoint } from '../cluster/endpoint.js';
import type { AccessLogTarget } from '../http/environment.js';
import type { ConnectionInfo } from '../listener/connection-info.js';
import type { Handled, NetworkFilter, OpenedAhead, ServerNews } from '../listener/filter-chain.js';
import type { Connected } from '../tls/connector.js';
import { sweep, type Swept } from '../net/sweeper.js';
import { awaitServer, type AwaitedServer } from './await-server.js';
import { relay } from './relay.js';

export interface TcpDestination extends Weighted {
  readonly cluster: string;
}

export interface TcpSettings {
  readonly direction: 'inbound' | 'outbound';
  /** Clusters by weight; a sole one takes everything. */
  readonly destinations: readonly TcpDestination[];
  /** Without a byte in either direction. */
  readonly idleTimeoutMs: number;
  /** From the beginning of a connection to its end, whatever it carries; Infinity: no limit. */
  readonly maxDurationMs: number;
  /** Who may connect; undefined: everybody. Replaced for the connections that come. */
  readonly policies: Policies | undefined;
}

export interface TcpEnvironment {
  findCluster(name: string): Cluster | undefined;
  self(): Party;
  readonly random: () => number;
  readonly registry: SeriesRegistry;
  readonly accessLogs: readonly AccessLogTarget[];
}

export class TcpFilter implements NetworkFilter {
  #settings: TcpSettings;
  readonly #environment: TcpEnvironment;
  readonly #totalWeight: number;

  constructor(settings: TcpSettings, environment: TcpEnvironment) {
    this.#settings = settings;
    this.#environment = environment;
    this.#totalWeight = settings.destinations.reduce((sum, { weight }) => sum + weight, 0);
  }

  takePolicies(other: NetworkFilter): boolean {
    if (!(other instanceof TcpFilter)) return false;
    this.#settings = { ...this.#settings, policies: other.#settings.policies };
    return true;
  }

  handle(socket: Socket, first: Buffer | undefined, info: ConnectionInfo, onClose: () => void): Handled {
    const connection = this.#create(socket, info);
    if (connection.claim(first, onClose, this.#settings.policies)) connection.connect(undefined);
    return connection;
  }

  openAhead(socket: Socket, info: ConnectionInfo, onServer: (news: ServerNews) => void): OpenedAhead | undefined {
    if (this.#settings.policies?.findDenial(info, undefined) !== undefined) return undefined;
    const connection = this.#create(socket, info);
    connection.connect(onServer);
    return {
      claim: (first, onClose) => {
        if (connection.claim(first, onClose, this.#settings.policies)) connection.proceed();
        return connection;
      },
      abandon: () => connection.abandon(),
    };
  }

  #create(socket: Socket, info: ConnectionInfo): TcpConnection {
    const { destinations } = this.#settings;
    const cluster = pickByWeight(destinations, this.#totalWeight, this.#environment.random)?.cluster ?? '';
    return new TcpConnection(socket, info, cluster, this.#settings, this.#environment);
  }
}

class TcpConnection implements Handled, AccessRecord, Swept {
  readonly #socket: Socket;
  readonly #info: ConnectionInfo;
  readonly upstreamCluster: string;
  readonly #settings: TcpSettings;
  readonly #environment: TcpEnvironment;
  /** Undefined while it is not known whether the client's connection is one of bytes. */
  #claim: { readonly first: Buffer | undefined; readonly onClose: () => void } | undefined;
  #onServer: ((news: ServerNews) => void) | undefined;
  readonly #cluster: Cluster | undefined;
  #endpoint: Endpoint | undefined;
  #upstream: Connected | undefined;
  #waiting: AwaitedServer | undefined;
  #failure: { readonly flags: string; readonly destination: Party } | undefined;
  #series: Series | undefined;
  #giveUp: (() => void) | undefined;
  #over = false;
  #lastByteMs = performance.now();
  readonly #stopSweeping = sweep(this);

  readonly startTimeMs = Date.now();
  readonly #startMs = performance.now();
  durationMs = 0;
  readonly protocol = undefined;
  readonly responseCode = 0;
  responseFlags = '-';
  readonly responseCodeDetails = undefined;
  connectionTerminationDetails: string | undefined;
  upstreamTransportFailureReason: string | undefined;
  bytesReceived = 0;
  bytesSent = 0;
  upstreamHost: string | undefined;
  upstreamLocalAddress: string | undefined;
  readonly routeName = undefined;
  readonly grpcStatus = undefined;

  constructor(
    socket: Socket,
    info: ConnectionInfo,
    cluster: string,
    settings: TcpSettings,
    environment: TcpEnvironment,
  ) {
    this.#socket = socket;
    this.#info = info;
    this.upstreamCluster = cluster;
    this.#settings = settings;
    this.#environment = environment;
    this.#cluster = environment.findCluster(cluster);
  }

  readonly isIdle = false;

  /**
   * Takes the client's side over, unless it may not connect.
   * @returns whether it may
   */
  claim(first: Buffer | undefined, onClose: () => void, policies: Policies | undefined): boolean {
    this.#claim = { first, onClose };
    this.#socket.pause();
    // Envoy waits for the first byte; here a server that speaks first is not heard by those who may not connect.
    const denial = policies?.findDenial(this.#info, undefined);
    if (denial === undefined) return true;
    countDenial(this.#environment, denial, 'tcp');
    this.connectionTerminationDetails = denial.details;
    this.#upstream?.socket.destroy();
    this.#finish('-', unknownParty);
    return false;
  }

  /** @param onServer what the server does before the connection is claimed; undefined where it is */
  connect(onServer: ((news: ServerNews) => void) | undefined): void {
    this.#onServer = onServer;
    this.#socket.once('close', this.#onEarlyClose);
    this.#endpoint = this.#cluster?.pick();
    if (this.#endpoint === undefined) {
      this.#fail(this.#cluster === undefined ? 'NC' : 'UH', unknownParty);
      return;
    }
    const { usage, outliers } = this.#cluster!;
    if (!usage.hasRoomForConnection) {
      this.#endpoint = undefined;
      this.#fail('UO', unknownParty);
      return;
    }
    const endpoint = this.#endpoint;
    endpoint.active++;
    usage.connections++;
    this.upstreamHost = endpoint.host;
    this.#giveUp = endpoint.connect((outcome) => {
      this.#giveUp = undefined;
      outliers?.record(endpoint, outcome.ok ? 200 : 'failed');
      if (outcome.ok) this.#onConnected(outcome.connection);
      else {
        this.upstreamTransportFailureReason = outcome.reason.replace(/\s/g, '_');
        this.#fail('UF,URX', endpoint.options.party);
      }
    });
  }

  /** Goes on with what has become of the server while the connection was not claimed. */
  proceed(): void {
    if (this.#failure !== undefined) this.#finish(this.#failure.flags, this.#failure.destination);
    else if (this.#waiting !== undefined) this.#join(this.#waiting.stop());
  }

  /** Ends the way to the server as if it had not been opened; the client's side is somebody else's. */
  abandon(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.off('close', this.#onEarlyClose);
    this.#giveUp?.();
    this.#upstream?.socket.destroy();
    this.#release();
  }

  /** Bytes cannot be drained: the connection goes on until its ends close it, or until the drain time is over. */
  drain(): void {
    // nothing to do before `destroy`
  }

  destroy(): void {
    this.#socket.destroy();
    this.#upstream?.socket.destroy();
  }

  #onConnected(connected: Connected): void {
    this.#upstream = connected;
    connected.socket.on('error', () => undefined); // 'close' follows
    this.upstreamLocalAddress = `${connected.socket.localAddress}:${connected.socket.localPort}`;
    if (this.#claim !== undefined) this.#join(connected);
    else this.#waiting = awaitServer(connected, (news) => this.#onServer?.(news));
  }

  #join({ socket: upstream, first: firstOfUpstream, peer, reset }: Connected): void {
    const socket = this.#socket;
    const { first } = this.#claim!;
    if (upstream.destroyed) {
      this.#finish('-', peer ?? this.#endpoint!.options.party);
      return;
    }
    socket.off('close', this.#onEarlyClose);
    const series = this.#open('-', peer ?? this.#endpoint!.options.party, peer !== undefined);
    relay(
      { socket, first, reset: this.#info.reset },
      { socket: upstream, first: firstOfUpstream, reset },
      {
        onForward: (bytes) => {
          this.#lastByteMs = performance.now();
          this.bytesReceived += bytes;
          series.add(connectionLayout.receivedBytes, bytes);
        },
        onBackward: (bytes) => {
          this.#lastByteMs = performance.now();
          this.bytesSent += bytes;
          series.add(connectionLayout.sentBytes, bytes);
        },
        onClose: () => this.#close(),
      },
    );
  }

  onTick(nowMs: number): void {
    const { idleTimeoutMs, maxDurationMs } = this.#settings;
    const isOld = nowMs - this.#startMs > maxDurationMs;
    if (isOld) this.responseFlags = 'DT';
    if (isOld || nowMs - this.#lastByteMs > idleTimeoutMs) this.destroy();
  }

  readonly #onEarlyClose = (): void => {
    this.#giveUp?.();
    this.#upstream?.socket.destroy();
    this.#finish('DC', this.#endpoint?.options.party ?? unknownParty);
  };

  /** There is no server; whoever has claimed the connection loses it now, others when they do. */
  #fail(flags: string, destination: Party): void {
    this.#failure = { flags, destination };
    if (this.#claim !== undefined) this.proceed();
    else queueMicrotask(() => this.#onServer?.('over'));
  }

  /** Ends a connection that never reached its endpoint. */
  #finish(flags: string, destination: Party): void {
    if (this.#over) return;
    this.responseFlags = flags;
    this.#open(flags, destination, false);
    this.#socket.destroy();
    this.#close();
  }

  #open(flags: string, destination: Party, proved: boolean): Series {
    const { registry } = this.#environment;
    const self = this.#environment.self();
    const service: CalledService = this.#cluster?.service ?? {
      host: this.upstreamCluster,
      name: this.upstreamCluster,
      namespace: unknownParty.namespace,
    };
    const anonymousSelf = { ...self, principal: unknownParty.principal };
    const inbound = this.#settings.direction === 'inbound';
    const calls = inbound
      ? registry.call({
          reporter: 'destination',
          source: this.#info.source,
          destination: this.#info.security === 'mutual_tls' ? self : anonymousSelf,
          service,
          security: this.#info.security,
        })
      : registry.call({
          reporter: 'source',
          source: proved ? self : anonymousSelf,
          destination,
          service,
          security: 'unknown',
        });
    this.#series = calls.connections(flags);
    this.#series.add(connectionLayout.opened, 1);
    return this.#series;
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    this.durationMs = performance.now() - this.#startMs;
    this.#series?.add(connectionLayout.closed, 1);
    this.#release();
    for (const log of this.#environment.accessLogs) log.write(log.format(this));
    this.#claim?.onClose();
  }

  #release(): void {
    this.#stopSweeping();
    if (this.#endpoint === undefined) return;
    this.#endpoint.active--;
    this.#cluster!.usage.connections--;
  }

  get downstreamLocalAddress(): string {
    return this.#info.localAddress;
  }

  get downstreamRemoteAddress(): string {
    return this.#info.remoteAddress;
  }

  get requestedServerName(): string | undefined {
    return this.#info.serverName;
  }

  requestHeader(): undefined {
    return undefined;
  }

  responseHeader(): undefined {
    return undefined;
  }
}
