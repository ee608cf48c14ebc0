// What the admin API shows: a read-only view that the composition root fills.
import type { Diagnostic } from '../api/diagnostic.js';
import type { MeshObject } from '../api/object.js';
import type { Collector } from '../telemetry/collector.js';
import type { ProxyConfigView } from './proxy-config-view.js';

/** An object as `get` prints it: in force, or refused with an older version in force, or refused. */
export interface ObjectView {
  readonly object: Pick<MeshObject, 'apiVersion' | 'kind' | 'name' | 'namespace' | 'origin'> &
    Partial<Pick<MeshObject, 'labels' | 'annotations' | 'spec'>>;
  readonly accepted: boolean;
  /** Why it is refused; empty where it is not. */
  readonly message: string;
}

export interface WorkloadView {
  /** Tells instances of the same name apart while one replaces the other; not for users. */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly service: string;
  readonly version: string;
  readonly spiffeId: string;
  readonly ready: boolean;
  readonly [key: string]: unknown;
}

/** How far a proxy has come. */
export interface ProxyView {
  /** Uid of the workload. */
  readonly workload: string;
  /** How many processes serve the workload and are connected (`--workers`). */
  readonly processes: number;
  /** Whether all of them have acknowledged all that they should have. */
  readonly synced: boolean;
  /** Whether all of that serves: acknowledged resources may still wait for others. */
  readonly inForce: boolean;
  readonly errors: readonly { readonly type: string; readonly message: string }[];
  /** What it said last, by type; of several processes one that is late, if any. */
  readonly applied: readonly {
    readonly type: string;
    readonly version: string;
    readonly resources: number;
    readonly waiting: number;
  }[];
}

/** How far the resources of one type have come: `waiting` ones were taken and serve once others are there. */
export type TypeState = 'synced' | 'waiting' | 'stale' | 'refused' | 'unknown';

/** What the proxy of a workload has applied of what it should have, as `lateen proxy-status` shows it. */
export interface ProxyStatusView {
  /** Name of the instance. */
  readonly name: string;
  readonly namespace: string;
  /** How many of its processes are connected. */
  readonly processes: number;
  /** One entry for each type of resource; `unknown` where no process is connected, or one has told nothing yet. */
  readonly types: readonly {
    readonly type: string;
    readonly state: TypeState;
    /** How many it should have. */
    readonly wanted: number;
    /** How many it said it has. */
    readonly applied: number;
  }[];
  readonly errors: ProxyView['errors'];
  /** Until when the certificate that it shows is valid, in ISO 8601; null before the first. */
  readonly certificateEnds: string | null;
}

export interface MeshView {
  readonly version: string;
  readonly directory: string;
  readonly trustDomain: string;
  /** Whether the mesh ends. */
  isEnding(): boolean;
  workloads(): readonly WorkloadView[];
  objects(): readonly ObjectView[];
  diagnostics(): readonly Diagnostic[];
  /** SPIFFE IDs or names of workloads that take plaintext. */
  plaintextWorkloads(): readonly string[];
  /** Every connected proxy. */
  proxies(): readonly ProxyView[];
  /** How far the proxy of every workload has come, connected or not. */
  proxyStatus(): readonly ProxyStatusView[];
  /** What the proxy of a workload should have; undefined where there is no such workload. */
  proxyConfig(namespace: string, workload: string): ProxyConfigView | undefined;
  readonly collector: Collector;
  /** Gets fresh numbers from the proxies, bounded in time. */
  refresh(): Promise<void>;
}
