// The HTTP side of a listener at work: its settings, its routes, and the list of layers that every request passes.
import type { Formatter } from '../../telemetry/access-log/format.js';
import type { Party } from '../../telemetry/istio-labels.js';
import type { SeriesRegistry } from '../../telemetry/series.js';
import type { Policies } from '../authorization/policies.js';
import type { Cluster } from '../cluster/cluster.js';
import type { Listener } from '../listener/listener.js';
import type { ServerLimits } from './request-handler.js';
import type { Http2Limits } from './http2/limits.js';
import type { PathForm } from './layers/normalize-path.js';
import type { RouteTable } from './route-table.js';
import type { TracingSettings } from './tracing.js';

/** Where log lines of a filter go. */
export interface AccessLogTarget {
  readonly format: Formatter;
  write(line: string): void;
}

/** Names of application protocols for a handshake, by the version of HTTP that is to be spoken. */
export interface UpstreamProtocols {
  readonly http1: readonly string[];
  readonly http2: readonly string[];
}

/** Settings that come from configuration. */
export interface HttpSettings extends PathForm {
  readonly direction: 'inbound' | 'outbound';
  readonly limits: ServerLimits;
  /** Authority that every request gets; undefined leaves it. */
  readonly authority: string | undefined;
  /** Whether the caller is named to the application, from the certificate. */
  readonly setClientCert: boolean;
  readonly takesConnect: boolean;
  /** Who may send which requests; undefined: everybody all. Replaced while connections are open. */
  readonly policies: Policies | undefined;
  /** Who may connect; undefined: everybody. */
  readonly connectionPolicies: Policies | undefined;
  /** Protocols to which callers may switch, lower-case; others are not asked for. */
  readonly upgrades: ReadonlySet<string>;
  /** How callers' bytes are read: as what they begin with, or as one version (Envoy: HttpConnectionManager.codec_type). */
  readonly codec: 'auto' | 'http1' | 'http2';
  readonly http2: Http2Limits;
  /** Protocols to offer to upstreams with mTLS, by the version that the upstream is spoken to in. */
  readonly upstreamProtocols: UpstreamProtocols;
  /** Whether routes may hinder requests. */
  readonly injectsFaults: boolean;
  /** Whether routes may have cross-origin rules. */
  readonly hasCors: boolean;
  /** Undefined: traces are nobody's concern here, their headers pass like any other. */
  readonly tracing: TracingSettings | undefined;
}

/** What the layers use of the workload's proxy. */
export interface HttpEnvironment {
  /** The routes in force at this moment; undefined before the first. */
  routes(): RouteTable | undefined;
  findCluster(name: string): Cluster | undefined;
  findListener(name: string): Listener | undefined;
  /** The workload itself, as a side of a call; changes when its labels do. */
  self(): Party;
  readonly registry: SeriesRegistry;
  readonly accessLogs: readonly AccessLogTarget[];
  readonly random: () => number;
  /** 36 characters, unique (x-request-id). */
  readonly newRequestId: () => string;
  /** Our own code threw while it handled a request; the request has been ended. */
  readonly onInternalError: (error: unknown) => void;
}
