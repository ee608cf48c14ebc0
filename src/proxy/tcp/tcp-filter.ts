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
import type { Handled, NetworkFilter } from '../listener/filter-chain.js';
import type { Connected } from '../tls/connector.js';
import { sweep, type Swept } from '../net/sweeper.js';
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
    const { destinations } = this.#settings;
    const cluster = pickByWeight(destinations, this.#totalWeight, this.#environment.random)?.cluster ?? '';
    const connection = new TcpConnection(socket, info, cluster, this.#settings, this.#environment, onClose);
    connection.open(first);
    return connection;
  }
}

class TcpConnection implements Handled, AccessRecord, Swept {
  readonly #socket: Socket;
  readonly #info: ConnectionInfo;
  readonly upstreamCluster: string;
  readonly #settings: TcpSettings;
  readonly #environment: TcpEnvironment;
  readonly #onClose: () => void;
  #cluster: Cluster | undefined;
  #endpoint: Endpoint | undefined;
  #upstream: Socket | undefined;
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
    onClose: () => void,
  ) {
    this.#socket = socket;
    this.#info = info;
    this.upstreamCluster = cluster;
    this.#settings = settings;
    this.#environment = environment;
    this.#onClose = onClose;
  }

  readonly isIdle = false;

  open(first: Buffer | undefined): void {
    const socket = this.#socket;
    socket.pause();
    socket.once('close', this.#onEarlyClose);
    this.#cluster = this.#environment.findCluster(this.upstreamCluster);
    // Envoy waits for the first byte; here a server that speaks first is not heard by those who may not connect.
    const denial = this.#settings.policies?.findDenial(this.#info, undefined);
    if (denial !== undefined) {
      countDenial(this.#environment, denial, 'tcp');
      this.connectionTerminationDetails = denial.details;
      this.#finish('-', unknownParty);
      return;
    }
    this.#endpoint = this.#cluster?.pick();
    if (this.#endpoint === undefined) {
      this.#finish(this.#cluster === undefined ? 'NC' : 'UH', unknownParty);
      return;
    }
    const { usage, outliers } = this.#cluster!;
    if (!usage.hasRoomForConnection) {
      this.#endpoint = undefined;
      this.#finish('UO', unknownParty);
      return;
    }
    const endpoint = this.#endpoint;
    endpoint.active++;
    usage.connections++;
    this.upstreamHost = endpoint.host;
    this.#giveUp = endpoint.connect((outcome) => {
      this.#giveUp = undefined;
      outliers?.record(endpoint, outcome.ok ? 200 : 'failed');
      if (outcome.ok) this.#join(first, outcome.connection);
      else {
        this.upstreamTransportFailureReason = outcome.reason.replace(/\s/g, '_');
        this.#finish('UF,URX', endpoint.options.party);
      }
    });
  }

  /** Bytes cannot be drained: the connection goes on until its ends close it, or until the drain time is over. */
  drain(): void {
    // nothing to do before `destroy`
  }

  destroy(): void {
    this.#socket.destroy();
    this.#upstream?.destroy();
  }

  #join(first: Buffer | undefined, { socket: upstream, first: firstOfUpstream, peer, reset }: Connected): void {
    const socket = this.#socket;
    socket.off('close', this.#onEarlyClose);
    this.#upstream = upstream;
    this.upstreamLocalAddress = `${upstream.localAddress}:${upstream.localPort}`;
    upstream.on('error', () => undefined); // 'close' follows
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
    this.#finish('DC', this.#endpoint?.options.party ?? unknownParty);
  };

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
    this.#stopSweeping();
    this.durationMs = performance.now() - this.#startMs;
    this.#series?.add(connectionLayout.closed, 1);
    if (this.#endpoint !== undefined) {
      this.#endpoint.active--;
      this.#cluster!.usage.connections--;
    }
    for (const log of this.#environment.accessLogs) log.write(log.format(this));
    this.#onClose();
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
