// What the supervisor and the mesh's own processes tell each other. Tokens travel here and nowhere else: the channel is an
// inherited file descriptor.
import type { Diagnostic } from '../api/diagnostic.js';
import type { MeshConfig } from '../api/mesh-config.js';
import type { Service } from '../model/service.js';
import type { Workload } from '../model/workload.js';
import type { RunEntry } from '../local/run-file.js';
import type { ProxiedWorkload } from '../proxy/data-plane.js';

/** First message to the control plane. */
export interface ControlStart {
  readonly kind: 'start';
  /** The folder of mesh.yaml. */
  readonly directory: string;
  readonly socketPath: string;
  /** Ports to try for HTTP, in this order; 0 is any. */
  readonly httpPorts: readonly number[];
  /** 0: closed. */
  readonly xdsPort: number;
  readonly xdsTlsPort: number;
}

/** Everything that runs, whole, whenever it changes. */
export interface MeshState {
  readonly kind: 'mesh';
  /** Counts up; `synced` names it. */
  readonly sequence: number;
  /** Whether everything is about to end: nobody should be sent here any more. */
  readonly isEnding: boolean;
  readonly meshConfig: MeshConfig;
  readonly workloadLifetimeMs: number;
  readonly services: readonly Service[];
  readonly workloads: readonly Workload[];
  /** Token of each workload by uid. */
  readonly tokens: Readonly<Record<string, string>>;
  readonly run: readonly RunEntry[];
  readonly diagnostics: readonly Diagnostic[];
}

export type ToControl = ControlStart | MeshState;

export type FromControl =
  | {
      readonly kind: 'listening';
      readonly httpPort: number;
      readonly authorityIsNew: boolean;
      readonly rootNotAfterMs: number;
    }
  /** It cannot work at all; starting it again will not help. */
  | { readonly kind: 'fatal'; readonly message: string }
  /** Every connected proxy has taken the state of that sequence. */
  | { readonly kind: 'synced'; readonly sequence: number }
  | {
      readonly kind: 'diagnostics';
      readonly diagnostics: readonly Diagnostic[];
      readonly plaintext: readonly string[];
    };

/** A step of the end; `drained` answers it. */
export interface DrainOrder {
  /**
   * `callers`: workloads that only call others take no new connections. `quiet`: all go on until nothing is under way any more, so
   * that what was let in can still call others. `close`: nothing goes on.
   */
  readonly step: 'callers' | 'quiet' | 'close';
  /** Workloads that only call others, by key. */
  readonly callers: readonly string[];
  readonly longestMs: number;
}

/** Everything that a data plane carries, whole, whenever it changes. */
export interface ToDataPlane {
  readonly kind: 'workloads';
  readonly directory: string;
  readonly socketPath: string;
  readonly workloads: readonly ProxiedWorkload[];
  /** Set at the end of the mesh. */
  readonly drain?: DrainOrder;
}

export type FromDataPlane =
  | { readonly kind: 'state'; readonly key: string; readonly ready: boolean; readonly problem: string | undefined }
  /** The proxy of a workload has ended what it carried. */
  | { readonly kind: 'ended'; readonly key: string }
  | { readonly kind: 'drained' }
  /** The workers of this data plane, where there are several. */
  | { readonly kind: 'workers'; readonly pids: readonly number[] }
  /** Something that people should know. */
  | { readonly kind: 'problem'; readonly message: string };
