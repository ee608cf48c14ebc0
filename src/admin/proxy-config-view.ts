// What one workload's proxy should have, as `lateen proxy-config` shows it: the compiled resources, each with what people look for.
import type { LearnedProtocol } from '../telemetry/learned-ports.js';

export interface ListenerView {
  readonly name: string;
  /** `address:port`; null for one inside the proxy, which serves CONNECT. */
  readonly address: string | null;
  readonly direction: 'inbound' | 'outbound';
  /** Full name of the service, and its port, for which it stands; null for the one for every HTTP host. */
  readonly service: string | null;
  readonly port: number | null;
  /** Protocol of the port; `detect`: the first bytes of each connection tell. */
  readonly declared: string | null;
  /** What connections carried where nothing is declared; null: nothing yet. */
  readonly learned: LearnedProtocol | null;
  /** Since when, in ISO 8601. */
  readonly since: string | null;
  readonly chains: readonly ChainView[];
  readonly resource: unknown;
}

export interface ChainView {
  /** Which connections it takes, such as `mTLS lateen-h2 +4` or `plaintext`. */
  readonly match: string;
  /** Whether it reads requests or carries bytes. */
  readonly carries: 'HTTP' | 'bytes';
  /** Route configuration, or clusters with their weights. */
  readonly to: string;
}

export interface RouteView {
  /** Route configuration that it stands in. */
  readonly configuration: string;
  readonly domains: readonly string[];
  readonly match: string;
  readonly to: string;
  /** `Kind/namespace/name field` of the rule; null for a service's own route. */
  readonly source: string | null;
}

export interface ClusterView {
  readonly name: string;
  /** How HTTP is spoken to it; `as caller`: in the version of the request. */
  readonly http: 'HTTP/1.1' | 'HTTP/2' | 'as caller';
  readonly security: 'mTLS where taken' | 'plaintext';
  readonly balancer: string;
  readonly endpoints: number;
  readonly source: string | null;
  readonly resource: unknown;
}

export interface EndpointView {
  readonly cluster: string;
  readonly address: string;
  readonly weight: number;
  readonly security: 'mTLS' | 'plaintext';
  /** Name of what answers there; null where it is not known. */
  readonly workload: string | null;
}

export interface ProxyConfigView {
  /** Name of the instance. */
  readonly workload: string;
  readonly namespace: string;
  readonly listeners: readonly ListenerView[];
  readonly routes: readonly RouteView[];
  readonly clusters: readonly ClusterView[];
  readonly endpoints: readonly EndpointView[];
  /** Route configurations as they are sent; a route of the list stands in one of them. */
  readonly routeConfigurations: readonly unknown[];
}
