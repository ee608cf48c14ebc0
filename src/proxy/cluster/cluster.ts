// A named group of endpoints: keeps what is the same when configuration changes, so that connections survive it.
import { isDeepStrictEqual } from 'node:util';
import { unknownParty, type CalledService, type Party } from '../../telemetry/istio-labels.js';
import { partyOfSummary } from '../../telemetry/peer-metadata.js';
import { createBalancer, type Balancer } from '../balance/balancer.js';
import { transportFor, type ClusterConfig, type EndpointConfig } from '../config/cluster-config.js';
import type { Connector } from '../tls/connector.js';
import { Endpoint } from './endpoint.js';
import { NameResolver } from './name-resolver.js';
import { OutlierDetector } from './outlier-detector.js';
import { ClusterUsage } from './usage.js';

export class Cluster {
  readonly name: string;
  readonly #connector: Connector;
  readonly #random: () => number;
  #config: ClusterConfig;
  #endpointConfigs: readonly EndpointConfig[] = [];
  #endpoints = new Map<string, Endpoint>();
  #balancer: Balancer<Endpoint>;
  #resolver: NameResolver | undefined;
  readonly usage = new ClusterUsage();
  /** Takes failing endpoints out of the choice; undefined where that is not configured. */
  outliers: OutlierDetector<Endpoint> | undefined;
  #stopTicking: (() => void) | undefined;
  /** Whether endpoints have arrived, be it none. */
  isWarm = false;

  constructor(config: ClusterConfig, connector: Connector, random: () => number) {
    this.name = config.name;
    this.#config = config;
    this.#connector = connector;
    this.#random = random;
    this.#balancer = createBalancer(config.balancer, [], random);
    this.#applyPolicies();
    if (config.edsName === undefined && config.dnsRefreshMs === undefined) this.setEndpoints(config.endpoints);
    this.#lookUp();
  }

  get config(): ClusterConfig {
    return this.#config;
  }

  /** The service that is called through it. */
  get service(): CalledService {
    return this.#config.service ?? { host: this.name, name: this.name, namespace: unknownParty.namespace };
  }

  get endpoints(): readonly Endpoint[] {
    return [...this.#endpoints.values()];
  }

  /** An endpoint for a request, or undefined where there is none. */
  pick(): Endpoint | undefined {
    return this.#balancer.pick();
  }

  /** Takes a new configuration of the same name. */
  reconfigure(config: ClusterConfig): void {
    const comeAlong = config.edsName === undefined && config.dnsRefreshMs === undefined;
    const endpoints = comeAlong ? config.endpoints : this.#endpointConfigs;
    const sameTransports =
      isDeepStrictEqual(config.transports, this.#config.transports) &&
      config.connectTimeoutMs === this.#config.connectTimeoutMs;
    this.#config = config;
    this.#applyPolicies();
    this.#rebuild(endpoints, sameTransports);
    this.#lookUp();
  }

  /** Takes a new list of endpoints; connections to those that stay are kept. */
  setEndpoints(configs: readonly EndpointConfig[]): void {
    this.isWarm = true;
    this.#rebuild(configs, true);
  }

  /** Requests go on new connections from here on. */
  retireConnections(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.retireConnections();
  }

  close(): void {
    this.#resolver?.close();
    for (const endpoint of this.#endpoints.values()) endpoint.drain();
    this.#endpoints.clear();
    this.#stopTicking?.();
  }

  /** Follows the addresses of names, where endpoints have names. */
  #lookUp(): void {
    this.#resolver?.close();
    const { dnsRefreshMs, endpoints } = this.#config;
    this.#resolver =
      dnsRefreshMs === undefined
        ? undefined
        : new NameResolver(endpoints, dnsRefreshMs, (resolved) => this.setEndpoints(resolved));
  }

  #applyPolicies(): void {
    const { limits, outlierDetection } = this.#config;
    this.usage.limits = limits;
    this.#stopTicking?.();
    this.#stopTicking = undefined;
    if (outlierDetection === undefined) {
      this.outliers = undefined;
      return;
    }
    if (this.outliers === undefined)
      this.outliers = new OutlierDetector(outlierDetection, () => performance.now(), this.#balanceAgain);
    else this.outliers.config = outlierDetection;
    const { outliers } = this;
    const timer = setInterval(() => outliers.tick(), outlierDetection.intervalMs);
    timer.unref();
    this.#stopTicking = () => clearInterval(timer);
  }

  /** Chooses from now on among the endpoints that are not ejected. */
  readonly #balanceAgain = (): void => {
    const { outliers } = this;
    const all = [...this.#endpoints.values()];
    const healthy = all.filter((endpoint) => outliers?.isEjected(endpoint) !== true);
    // With too few left, sending to all of them is the lesser evil (Envoy's panic).
    const panics = healthy.length * 100 < all.length * (outliers?.config.panicThresholdPercent ?? 0);
    this.#balancer = createBalancer(this.#config.balancer, panics ? all : healthy, this.#random);
  };

  #rebuild(configs: readonly EndpointConfig[], keep: boolean): void {
    const before = this.#endpoints;
    const known = new Map(this.#endpointConfigs.map((config) => [keyOf(config), config]));
    const after = new Map<string, Endpoint>();
    for (const config of configs) {
      const key = keyOf(config);
      const old = before.get(key);
      const reusable = keep && old !== undefined && isSamePlace(known.get(key), config);
      if (reusable) old.weight = config.weight;
      after.set(key, reusable ? old : this.#create(config));
    }
    this.#endpoints = after;
    this.#endpointConfigs = configs;
    this.outliers?.setEndpoints([...after.values()]);
    this.#balanceAgain();
    for (const [key, endpoint] of before) if (after.get(key) !== endpoint) endpoint.drain();
  }

  #create(config: EndpointConfig): Endpoint {
    const { tls, protocols } = transportFor(this.#config, config);
    const party: Party = config.workloadSummary === undefined ? unknownParty : partyOfSummary(config.workloadSummary);
    const options = {
      address: config.address,
      port: config.port,
      connectTimeoutMs: this.#config.connectTimeoutMs,
      tls,
      protocols,
      party,
      connector: this.#connector,
      usage: this.usage,
      poolSettings: () => this.#config,
    };
    return new Endpoint(options, config.weight);
  }
}

/** Whether connections to `old` are connections to `config`: all but its weight is the same. */
function isSamePlace(old: EndpointConfig | undefined, config: EndpointConfig): boolean {
  return old !== undefined && isDeepStrictEqual({ ...old, weight: config.weight }, config);
}

function keyOf({ address, port }: EndpointConfig): string {
  return `${address} ${port}`;
}
