// The proxy of one workload: its identity, its configuration stream, and everything that runs because of them. Several of
// these live in one process without sharing anything but the connection to the control plane and the log files.
import type { GrpcChannel } from '../util/grpc-channel.js';
import { randomUUID } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '@bufbuild/protobuf';
import { unknown, type Party } from '../telemetry/istio-labels.js';
import { ObservationClient } from '../telemetry/observation-client.js';
import { partyOf, type NodeMetadata } from '../telemetry/peer-metadata.js';
import { SeriesRegistry } from '../telemetry/series.js';
import { encodeSpan, type Span } from '../telemetry/spans/span.js';
import { SpanExporter } from '../telemetry/spans/span-exporter.js';
import { messageOf } from '../util/errors.js';
import type { Logger } from '../util/logger.js';
import {
  AdsClient,
  type ReceivedResource,
  type RejectedResource,
  type ResourceHandler,
} from '../xds/client/ads-client.js';
import type {
  Cluster as ClusterMessage,
  ClusterLoadAssignment,
  Listener as ListenerMessage,
  RouteConfiguration,
} from '../xds/messages.js';
import type { ResourceType } from '../xds/resources.js';
import { requestCertificate } from './certificate-client.js';
import { Cluster } from './cluster/cluster.js';
import { readCluster, readEndpoints, type EndpointConfig } from './config/cluster-config.js';
import { readListener, type ListenerFactory } from './config/listener-config.js';
import type { SpanCollector } from './config/tracing-config.js';
import { RouteTable } from './http/route-table.js';
import { Listener, type ListenerConfig } from './listener/listener.js';
import type { ConnectionServer } from './net/connection-server.js';
import { memoryPressure, type Relief } from './net/memory-pressure.js';
import { TlsAcceptor, type RefusalKind } from './tls/acceptor.js';
import { Connector } from './tls/connector.js';
import { SecretStore } from './tls/secret-store.js';

/** What makes a process one of several that serve the same workloads. */
export interface WorkerPlace {
  /** 0 to N-1: the control plane tells processes apart by it. */
  readonly index: number;
  /** Servers for ports that another process opens. */
  readonly createServer: () => ConnectionServer;
  /** The same in all of them: they resume each other's TLS sessions. */
  readonly ticketSecret: Uint8Array;
}

export interface WorkloadProxyOptions {
  /** Node ID: `sidecar~address~name.namespace~namespace.svc.cluster.local`. */
  readonly nodeId: string;
  readonly metadata: NodeMetadata;
  readonly channel: GrpcChannel;
  /** What proves to the control plane whose proxy it is, as headers: name, value. */
  readonly credentials: readonly string[];
  readonly version: string;
  readonly log: Logger;
  /** Where access log lines for a path go. */
  readonly openAccessLog: (path: string, onDrop: (lines: number) => void) => (line: string) => void;
  /** Called when it begins to serve, and when something keeps it from serving (`problem`). */
  readonly onState: (state: { readonly ready: boolean; readonly problem: string | undefined }) => void;
  readonly random?: () => number;
  /** Undefined for a process that serves alone. */
  readonly worker?: WorkerPlace | undefined;
}

/** How long new routes wait for the endpoints of clusters that they name. */
const longestWarmingMs = 5000;
/** How long the last spans may take at the end, at least and at most: a collector that is mute keeps nobody waiting. */
const flushMs = { least: 250, most: 1000 };

export class WorkloadProxy implements ResourceHandler {
  readonly #options: WorkloadProxyOptions;
  readonly #registry = new SeriesRegistry();
  readonly #secrets: SecretStore;
  readonly #connector: Connector;
  readonly #ads: AdsClient;
  readonly #observation: ObservationClient;
  readonly #factory: ListenerFactory;

  readonly #clusters = new Map<string, Cluster>();
  /** Endpoints that have come and have not been given to their clusters yet, by name. */
  readonly #newEndpoints = new Map<string, readonly EndpointConfig[]>();
  /** Clusters that were removed while routes in force still name them. */
  readonly #leaving = new Set<string>();
  readonly #routes = new Map<string, RouteTable>();
  /** Routes that wait until the clusters that they name have endpoints. */
  readonly #warming = new Map<string, RouteTable>();
  readonly #listeners = new Map<string, Listener>();
  /** New configurations of listeners that wait until the clusters to which they carry bytes have endpoints. */
  readonly #warmingListeners = new Map<string, ListenerConfig>();
  /** Listeners that wait for routes or for the first certificate. */
  readonly #unbound = new Set<Listener>();
  readonly #draining = new Set<Listener>();
  readonly #exporters = new Map<string, SpanExporter>();
  #warmingTimer: NodeJS.Timeout | undefined;
  #received = new Set<ResourceType>();
  #metadata: NodeMetadata;
  #self: Party;
  #ready = false;
  #closed = false;
  #internalErrorToldMs = -Infinity;
  readonly #stopWatching: () => void;
  #relief: Relief = 'nothing';

  constructor(options: WorkloadProxyOptions) {
    this.#options = options;
    this.#metadata = options.metadata;
    this.#self = partyOf(options.metadata, unknown);
    const { channel, credentials, log, worker } = options;
    const random = options.random ?? Math.random;
    this.#secrets = new SecretStore({
      requestCertificate: (csrPem) => requestCertificate(channel, credentials, csrPem),
      onFailure: (reason, retryInMs) =>
        log.warn('no certificate', { workload: this.name, reason, retryInMs: Math.round(retryInMs) }),
      random,
      ...(worker === undefined ? {} : { ticketSecret: worker.ticketSecret }),
    });
    let trusted: string | undefined;
    this.#secrets.watch(({ uri, trust }) => {
      if (this.#self.principal !== uri) this.#self = partyOf(this.#metadata, uri);
      // Who was let in by roots that are gone has to show what the present ones vouch for.
      if (trusted !== undefined && trusted !== trust)
        for (const cluster of this.#clusters.values()) cluster.retireConnections();
      trusted = trust;
      this.#bindWaiting();
    });
    this.#connector = new Connector(this.#secrets, () => this.#metadata);
    this.#ads = new AdsClient({
      channel,
      headers: () => credentials,
      node: () => ({
        id: options.nodeId,
        cluster: `${this.#metadata.WORKLOAD_NAME}.${this.#metadata.NAMESPACE}`,
        metadata: this.#metadata as unknown as JsonObject,
      }),
      handler: this,
      onDisconnect: (reason) =>
        log.info('configuration stream ended; what is in force stays', { workload: this.name, reason }),
    });
    this.#observation = new ObservationClient({
      channel,
      headers: () => credentials,
      registry: this.#registry,
      worker: worker?.index ?? 0,
      certificate: () => {
        const current = this.#secrets.credentials;
        return current === undefined ? undefined : { spiffeId: current.uri, notAfterMs: current.notAfterMs };
      },
      applied: () =>
        this.#ads.taken().map(({ type, typeUrl, version, resources }) => ({
          typeUrl,
          version,
          resources,
          waiting: this.#countWaiting(type),
        })),
      learned: () => [...this.#listeners.values()].flatMap(({ learned }) => learned ?? []),
    });
    // One for each proxy, of however many processes.
    if ((worker?.index ?? 0) === 0)
      this.#registry.gauge('istio_build', 'component', 'proxy', 'tag', options.version).set(0, 1);
    const pressure = this.#registry.gauge(
      'lateen_memory_pressure',
      'workload',
      this.#metadata.WORKLOAD_NAME,
      'namespace',
      this.#metadata.NAMESPACE,
    );
    this.#stopWatching = memoryPressure.watch((share, relief) => {
      pressure.set(0, Math.round(share * 100) / 100); // a change that nobody would notice is not reported
      this.#tellRelief(relief);
    });
    const droppedLines = this.#registry.counter('lateen_access_log_lines_dropped_total');
    this.#factory = {
      findRoutes: (name) => this.#routes.get(name),
      findCluster: (name) => this.#clusters.get(name),
      findListener: (name) => this.#listeners.get(name),
      self: () => this.#self,
      registry: this.#registry,
      random,
      newRequestId: randomUUID,
      onInternalError: (error) => this.#onInternalError(error),
      createAcceptor: (protocols) => new TlsAcceptor(this.#secrets, protocols),
      openAccessLog: (path) => options.openAccessLog(path, (lines) => droppedLines.add(0, lines)),
      openSpanSink: (collector) => this.#openSpanSink(collector),
    };
  }

  /** Name of the instance. */
  get name(): string {
    return this.#metadata.NAME;
  }

  get isReady(): boolean {
    return this.#ready;
  }

  start(): void {
    this.#secrets.start();
    this.#ads.start();
    this.#observation.start();
  }

  /** Takes new labels of the workload; its identity never changes. */
  setMetadata(metadata: NodeMetadata): void {
    if (isDeepStrictEqual(metadata, this.#metadata)) return;
    this.#metadata = metadata;
    this.#self = partyOf(metadata, this.#self.principal);
  }

  /** Takes no new connections; open ones end with their next answer. */
  stopListening(): void {
    for (const listener of this.#listeners.values()) listener.drain();
  }

  /** Whether anything is under way. */
  get hasWork(): boolean {
    return [...this.#listeners.values(), ...this.#draining].some((listener) => listener.hasWork);
  }

  /** Takes no new connections and ends the open ones in order; resolves when they have ended or `longestMs` have passed. */
  async drain(longestMs: number): Promise<void> {
    const listeners = [...this.#listeners.values(), ...this.#draining];
    for (const listener of listeners) listener.drain();
    const deadline = performance.now() + longestMs;
    while (listeners.some((listener) => listener.hasWork) && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const leftMs = Math.min(Math.max(deadline - performance.now(), flushMs.least), flushMs.most);
    await Promise.all([...this.#exporters.values()].map((exporter) => exporter.flush(leftMs)));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#warmingTimer);
    this.#stopWatching();
    this.#observation.close();
    this.#ads.close();
    this.#secrets.close();
    for (const listener of [...this.#listeners.values(), ...this.#draining]) listener.close();
    for (const cluster of this.#clusters.values()) cluster.close();
    for (const exporter of this.#exporters.values()) exporter.close();
  }

  /** Every listener that names the same collector shares one way to it. */
  #openSpanSink({ cluster, path, hostname }: SpanCollector): (span: Span) => void {
    const key = JSON.stringify([cluster, path, hostname]);
    let exporter = this.#exporters.get(key);
    if (exporter === undefined) {
      const sent = this.#registry.counter('lateen_spans_sent_total');
      const dropped = this.#registry.counter('lateen_spans_dropped_total');
      exporter = new SpanExporter({
        findCollector: () => {
          const endpoint = this.#clusters.get(cluster)?.pick();
          return endpoint?.options.tls === undefined ? endpoint?.options : undefined; // posts are not encrypted
        },
        path,
        hostname,
        onSent: (spans) => sent.add(0, spans),
        onDropped: (spans) => dropped.add(0, spans),
        onFailing: (reason) =>
          this.#options.log.warn('cannot send spans', { workload: this.name, collector: hostname, reason }),
      });
      this.#exporters.set(key, exporter);
    }
    const target = exporter;
    const { nodeId } = this.#options;
    const address = nodeId.split('~')[1];
    const ipv4 = address !== undefined && isIPv4(address) ? address : undefined;
    return (span) => {
      const { canonicalService, namespace } = this.#self;
      span.tags['node_id'] = nodeId;
      target.report(encodeSpan(span, { serviceName: `${canonicalService}.${namespace}`, ipv4 }));
    };
  }

  // ---- configuration

  apply<T extends ResourceType>(
    type: T,
    changed: readonly ReceivedResource<T>[],
    removed: readonly string[],
  ): readonly RejectedResource[] {
    const rejected: RejectedResource[] = [];
    for (const { name, message } of changed) {
      try {
        this.#applyOne(type, name, message);
      } catch (error) {
        rejected.push({ name, reason: messageOf(error) });
      }
    }
    for (const name of removed) this.#remove(type, name);
    if (type === 'endpoints') this.#giveEndpoints();
    if (type === 'cluster')
      this.#ads.setNames(
        'endpoints',
        new Set(
          [...this.#clusters.values()].flatMap(({ name, config }) =>
            this.#leaving.has(name) ? [] : (config.edsName ?? []),
          ),
        ),
      );
    if (type === 'listener')
      this.#ads.setNames('routes', new Set(this.#listenerConfigs().flatMap(({ routeNames }) => [...routeNames])));
    this.#received.add(type);
    if (type === 'listener') this.#dropUnnamedRoutes();
    this.#promoteRoutes(false);
    this.#bindWaiting();
    for (const { name, reason } of rejected)
      this.#options.log.warn('refused configuration', { workload: this.name, type, name, reason });
    return rejected;
  }

  #applyOne(type: ResourceType, name: string, message: unknown): void {
    switch (type) {
      case 'cluster':
        this.#applyCluster(message as ClusterMessage);
        break;
      case 'endpoints':
        this.#newEndpoints.set(name, readEndpoints(message as ClusterLoadAssignment));
        break;
      case 'listener':
        this.#applyListener(message as ListenerMessage);
        break;
      case 'routes':
        this.#warming.set(name, new RouteTable(message as RouteConfiguration));
        break;
    }
  }

  /** One pass for all that came together: thousands may. */
  #giveEndpoints(): void {
    for (const cluster of this.#clusters.values()) {
      const endpoints = this.#newEndpoints.get(cluster.config.edsName ?? '');
      if (endpoints !== undefined) cluster.setEndpoints(endpoints);
    }
    this.#newEndpoints.clear();
  }

  #applyCluster(message: ClusterMessage): void {
    const config = readCluster(message);
    this.#leaving.delete(config.name);
    const existing = this.#clusters.get(config.name);
    if (existing === undefined)
      this.#clusters.set(config.name, new Cluster(config, this.#connector, this.#factory.random));
    else existing.reconfigure(config);
  }

  #applyListener(message: ListenerMessage): void {
    const config = readListener(message, this.#factory);
    const existing = this.#listeners.get(config.name);
    if (existing !== undefined && isDeepStrictEqual(existing.config.address, config.address)) {
      this.#warmingListeners.set(config.name, config); // in force as soon as it can be, in `#promoteListeners`
      return;
    }
    this.#warmingListeners.delete(config.name);
    if (existing !== undefined) this.#drainListener(existing);
    const listener = new Listener(config, {
      ...(this.#options.worker && { createServer: this.#options.worker.createServer }),
      metadata: () => this.#metadata,
      ownUri: () => this.#self.principal,
      onRefused: (name, kind, reason) => this.#onRefused(name, kind, reason),
      onBindFailure: (name, reason, retryInMs) => {
        this.#options.log.warn('cannot listen', {
          workload: this.name,
          listener: name,
          reason,
          retryInMs: Math.round(retryInMs),
        });
        this.#options.onState({ ready: false, problem: `cannot listen on ${name.replace('_', ':')}: ${reason}` });
      },
    });
    this.#listeners.set(config.name, listener);
    this.#unbound.add(listener);
  }

  #remove(type: ResourceType, name: string): void {
    switch (type) {
      case 'cluster':
        this.#leaving.add(name);
        break;
      case 'endpoints':
        break; // as in Envoy they go with their cluster: no endpoints is an empty list, not a missing one
      case 'listener': {
        const listener = this.#listeners.get(name);
        this.#listeners.delete(name);
        this.#warmingListeners.delete(name);
        if (listener !== undefined) this.#drainListener(listener);
        break;
      }
      case 'routes':
        this.#warming.delete(name); // what is in force goes with the listeners that name it
        break;
    }
  }

  #drainListener(listener: Listener): void {
    this.#unbound.delete(listener);
    this.#draining.add(listener);
    listener.drain(() => {
      this.#draining.delete(listener);
      this.#dropUnnamedRoutes();
      this.#dropLeaving();
    });
  }

  /** Puts routes in force whose clusters are there: what was in force serves until then. */
  #promoteRoutes(force: boolean): void {
    for (const [name, table] of this.#warming) {
      if (this.#isCold(table.clusters) && !force) continue;
      this.#routes.set(name, table);
      this.#warming.delete(name);
    }
    this.#promoteListeners(force);
    this.#dropLeaving();
    clearTimeout(this.#warmingTimer);
    if (this.#warming.size + this.#warmingListeners.size > 0 && !this.#closed)
      this.#warmingTimer = setTimeout(() => this.#promoteRoutes(true), longestWarmingMs);
    if (force) this.#bindWaiting();
  }

  /** The same for listeners that carry bytes: their filters name clusters themselves. */
  #promoteListeners(force: boolean): void {
    for (const [name, config] of this.#warmingListeners) {
      // What is let in is never decided later than it can be.
      if (config.direction === 'outbound' && this.#isCold(config.clusters) && !force) continue;
      this.#warmingListeners.delete(name);
      this.#listeners.get(name)?.reconfigure(config);
    }
  }

  /** Of all listeners, in force and on their way to it. */
  #listenerConfigs(): ListenerConfig[] {
    return [...[...this.#listeners.values()].map(({ config }) => config), ...this.#warmingListeners.values()];
  }

  /** Whether one of the clusters that are there waits for its endpoints. */
  #isCold(clusters: ReadonlySet<string>): boolean {
    return [...clusters].some((cluster) => this.#clusters.get(cluster)?.isWarm === false);
  }

  /** Routes go with the last listener that names them; one that drains still routes what it carries. */
  #dropUnnamedRoutes(): void {
    const named = new Set(
      [...this.#listenerConfigs(), ...[...this.#draining].map(({ config }) => config)].flatMap(({ routeNames }) => [
        ...routeNames,
      ]),
    );
    for (const routes of [this.#routes, this.#warming])
      for (const name of routes.keys()) if (!named.has(name)) routes.delete(name);
  }

  #dropLeaving(): void {
    for (const name of this.#leaving) {
      // The routes that replace these may still be warming.
      if ([...this.#routes.values()].some((table) => table.clusters.has(name))) continue;
      const isReplacedSoon = [...this.#warmingListeners.keys()].some((listener) =>
        this.#listeners.get(listener)?.config.clusters.has(name),
      );
      if (isReplacedSoon) continue;
      this.#leaving.delete(name);
      this.#clusters.get(name)?.close();
      this.#clusters.delete(name);
    }
  }

  /** Opens listeners that have all they need. */
  #bindWaiting(): void {
    if (this.#secrets.credentials === undefined) return;
    for (const listener of this.#unbound) {
      if ([...listener.config.routeNames].some((name) => !this.#routes.has(name))) continue;
      this.#unbound.delete(listener);
      listener.bind(() => this.#tellReady());
    }
    this.#tellReady();
  }

  #countWaiting(type: ResourceType): number {
    if (type === 'routes') return this.#warming.size;
    if (type !== 'listener') return 0;
    return (
      this.#warmingListeners.size + [...this.#listeners.values()].filter((listener) => !listener.isListening).length
    );
  }

  #tellReady(): void {
    const ready =
      this.#received.has('cluster') &&
      this.#received.has('listener') &&
      this.#unbound.size === 0 &&
      [...this.#listeners.values()].every((listener) => listener.isListening);
    if (ready && !this.#ready) {
      this.#ready = true;
      this.#options.onState({ ready: true, problem: undefined });
    } else if (!ready) this.#ready = false;
  }

  #tellRelief(relief: Relief): void {
    if (relief === this.#relief) return;
    this.#relief = relief;
    const { log } = this.#options;
    if (relief === 'nothing') log.info('there is memory again', { workload: this.name });
    else log.warn(`hardly any memory is left; gives up ${relief} until there is`, { workload: this.name });
  }

  #onInternalError(error: unknown): void {
    const { WORKLOAD_NAME, NAMESPACE } = this.#metadata;
    this.#registry.counter('lateen_internal_errors_total', 'workload', WORKLOAD_NAME, 'namespace', NAMESPACE).add(0, 1);
    const nowMs = performance.now();
    if (nowMs - this.#internalErrorToldMs < 1000) return; // callers must not be able to fill the log
    this.#internalErrorToldMs = nowMs;
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.log.error('an error of the proxy itself; please report it', { workload: this.name, stack });
  }

  #onRefused(listener: string, kind: RefusalKind, reason: string): void {
    this.#registry
      .counter(
        'lateen_connections_refused_total',
        'workload',
        this.#metadata.WORKLOAD_NAME,
        'namespace',
        this.#metadata.NAMESPACE,
        'reason',
        kind,
      )
      .add(0, 1);
    this.#options.log.info('refused a connection', { workload: this.name, listener, reason });
  }
}
