// A proxy between a caller and a server that exist only in memory, both in the hands of the test.
import assert from 'node:assert/strict';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { unlimitedConnections } from './connections.js';
import { typeRegistry as messages } from './resources.js';
import { MemorySocket, settle } from './memory-socket.js';
import type { AccessRecord } from '../../src/telemetry/access-log/record.js';
import { unknownParty, type Party } from '../../src/telemetry/istio-labels.js';
import { requestLayout, SeriesRegistry, type Series } from '../../src/telemetry/series.js';
import { RouteConfigurationSchema } from '../../src/xds/messages.js';
import { Cluster } from '../../src/proxy/cluster/cluster.js';
import type { ConnectionInfo } from '../../src/proxy/listener/connection-info.js';
import type { Listener } from '../../src/proxy/listener/listener.js';
import type { ClusterConfig } from '../../src/proxy/config/cluster-config.js';
import type { ConnectOptions, Connector, ConnectOutcome } from '../../src/proxy/tls/connector.js';
import type { HttpEnvironment, HttpSettings } from '../../src/proxy/http/environment.js';
import { defaultHttp2Limits } from '../../src/proxy/http/http2/limits.js';
import { HttpFilter } from '../../src/proxy/http/http-filter.js';
import { RouteTable } from '../../src/proxy/http/route-table.js';

export interface ProxyOptions {
  readonly settings?: Partial<HttpSettings>;
  readonly info?: Partial<ConnectionInfo>;
  /** Undefined: one route to the cluster `c`; null: no routes have arrived. */
  readonly routes?: JsonObject[] | null;
  readonly domains?: string[];
  /** Clusters that are there, each with one endpoint where true. */
  readonly clusters?: Readonly<Record<string, boolean>>;
  readonly random?: () => number;
  /** Settings of every cluster. */
  readonly clusterConfig?: Partial<ClusterConfig>;
  /** How many endpoints a cluster has. */
  readonly endpoints?: number;
  /** The listener of this proxy to which all clusters lead. */
  readonly internalListener?: string;
  readonly self?: Party;
}

const callers: MemorySocket[] = [];
/** Ends what is still under way, timers included. */
export function closeProxies(): void {
  for (const caller of callers.splice(0)) caller.destroy();
}

/** A proxy between a caller and a server, both in the hands of the test. */
export function proxy(options: ProxyOptions = {}) {
  const caller = new MemorySocket();
  callers.push(caller);
  const servers: MemorySocket[] = [];
  const pending: ((outcome: ConnectOutcome) => void)[] = [];
  const called: string[] = [];
  const logged: AccessRecord[] = [];
  const registry = new SeriesRegistry();
  const accepted: (string | undefined)[] = [];
  const internalErrors: unknown[] = [];
  const listener = { accept: (_: unknown, first?: Buffer) => accepted.push(first?.toString()) } as unknown as Listener;
  const connector = {
    connect: ({ address }: ConnectOptions, done: (outcome: ConnectOutcome) => void) => {
      called.push(address);
      pending.push(done);
      return () => undefined;
    },
  } as unknown as Connector;
  const endpoint = { address: '10.0.0.1', port: 80, weight: 1, transportLabels: {}, workloadSummary: undefined };
  const clusters = new Map(
    Object.entries(options.clusters ?? { c: true }).map(([name, hasEndpoint]) => [
      name,
      new Cluster(
        {
          name,
          edsName: undefined,
          connectTimeoutMs: 1000,
          balancer: 'round-robin',
          service: { host: `${name}.example`, name, namespace: 'shop' },
          provenance: undefined,
          internalListener: options.internalListener,
          endpoints: hasEndpoint
            ? Array.from({ length: options.endpoints ?? 1 }, (_, i) => ({ ...endpoint, address: `10.0.0.${i + 1}` }))
            : [],
          transports: [],
          ...unlimitedConnections,
          ...options.clusterConfig,
        },
        connector,
        () => 0,
      ),
    ]),
  );
  const routes = options.routes === undefined ? [{ match: { prefix: '/' }, route: { cluster: 'c' } }] : options.routes;
  const virtualHosts = [{ name: 'a', domains: options.domains ?? ['*'], routes: routes ?? [] }];
  const table = new RouteTable(fromJson(RouteConfigurationSchema, { virtualHosts }, { registry: messages }));
  const settings: HttpSettings = {
    direction: 'outbound',
    limits: { bytes: 8192, fields: 50, headTimeoutMs: 1e6, idleTimeoutMs: 1e6, streamIdleTimeoutMs: 1e6 },
    authority: undefined,
    normalizePath: false,
    mergeSlashes: false,
    unescapeSlashes: false,
    setClientCert: false,
    takesConnect: false,
    policies: undefined,
    connectionPolicies: undefined,
    upgrades: new Set(),
    codec: 'auto',
    http2: defaultHttp2Limits,
    upstreamProtocols: { http1: [], http2: [] },
    injectsFaults: true,
    hasCors: true,
    tracing: undefined,
    ...options.settings,
  };
  const environment: HttpEnvironment = {
    routes: () => (routes === null ? undefined : table),
    findCluster: (name) => clusters.get(name),
    findListener: (name) => (name === 'inner' ? listener : undefined),
    self: () => options.self ?? unknownParty,
    registry,
    accessLogs: [{ format: (record) => (logged.push(record), ''), write: () => undefined }],
    random: options.random ?? (() => 0),
    newRequestId: () => 'new-id',
    onInternalError: (error) => internalErrors.push(error),
  };
  const info: ConnectionInfo = {
    localAddress: '127.0.0.1:1',
    remoteAddress: '127.0.0.1:2',
    serverName: undefined,
    security: 'none',
    source: unknownParty,
    forwardedClientCert: undefined,
    expiresAtMs: Infinity,
    protocol: undefined,
    reset: () => caller.destroy(),
    ...options.info,
  };
  const filter = new HttpFilter(settings, environment);
  filter.handle(caller.socket, undefined, info, () => undefined);
  return {
    caller,
    servers,
    /** Addresses to which connections were opened, in order. */
    called,
    /** How many connections are being opened. */
    opening: () => pending.length,
    logged,
    registry,
    internalErrors,
    clusters,
    /** New configuration brings other policies. */
    takePolicies: (policies: HttpSettings['policies']): boolean =>
      filter.takePolicies(new HttpFilter({ ...settings, policies }, environment)),
    /** What arrived first on connections that the inner listener took. */
    accepted,
    /** What the caller gets for what it sends, while nobody else does anything. */
    send: async (text: string): Promise<string> => {
      const before = caller.sent.length;
      caller.receive(text);
      await settle();
      return caller.sent.slice(before);
    },
    connect: async (): Promise<MemorySocket> => {
      const server = new MemorySocket();
      servers.push(server);
      const connection = {
        first: undefined,
        peer: undefined,
        expiresAtMs: Infinity,
        protocol: undefined,
        reset: () => undefined,
      };
      pending.shift()!({ ok: true, connection: { socket: server.socket, ...connection } });
      await settle();
      return server;
    },
    refuse: async (timedOut = false): Promise<void> => {
      pending.shift()!({ ok: false, reason: 'connection refused', timedOut });
      await settle();
    },
    requests: () =>
      requestSeries(registry).map(({ labels, values }) => [
        labelsOf(labels)['response_code'],
        values[requestLayout.count],
      ]),
    labels: () => requestSeries(registry).map(({ labels }) => labelsOf(labels)),
  };
}

export function requestSeries(registry: SeriesRegistry): Series[] {
  return registry.all.filter(({ name, labels }) => name === '' && labels.length > 0);
}

function labelsOf(labels: readonly string[]): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(labels.flatMap((name, i) => (i % 2 === 0 ? [[name, labels[i + 1]]] : [])));
}

export type Proxy = ReturnType<typeof proxy>;

export const get = (path = '/', ...fields: string[]) =>
  `GET ${path} HTTP/1.1\r\nHost: shop\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
export const ok = (body = '', ...fields: string[]) =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n${body}`;

/** The head that a server receives for a request. */
export async function forwarded(options: ProxyOptions, text = get()): Promise<string[]> {
  const through = proxy(options);
  assert.equal(await through.send(text), '');
  return (await through.connect()).sent.split('\r\n');
}

/** What a caller gets for what a server sends. */
export async function answered(text: string, options: ProxyOptions = {}): Promise<{ through: Proxy; answer: string }> {
  const through = proxy(options);
  await through.send(get());
  const server = await through.connect();
  server.receive(text);
  await settle();
  return { through, answer: through.caller.sent };
}
