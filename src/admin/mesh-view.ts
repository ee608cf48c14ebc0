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
  /** What the proxy of a workload should have; undefined where there is no such workload. */
  proxyConfig(namespace: string, workload: string): ProxyConfigView | undefined;
  readonly collector: Collector;
  /** Gets fresh numbers from the proxies, bounded in time. */
  refresh(): Promise<void>;
}
