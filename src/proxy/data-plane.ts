// The proxies of one process: one for a sidecar, any number for a machine. They share the connection to the control plane
// and the log files, and nothing else.
import { createHmac } from 'node:crypto';
import { FileSink } from '../telemetry/access-log/file-sink.js';
import type { NodeMetadata } from '../telemetry/peer-metadata.js';
import type { Logger } from '../util/logger.js';
import { Http2Channel } from './grpc/channel.js';
import { WorkloadProxy, type WorkerPlace } from './workload-proxy.js';

/** What a process must know of a workload to be its proxy. */
export interface ProxiedWorkload {
  /** Unique among the workloads of the process. */
  readonly key: string;
  /** Proves to the control plane that this is the workload's proxy. */
  readonly token: string;
  readonly nodeId: string;
  readonly metadata: NodeMetadata;
}

export interface ProxyState {
  readonly key: string;
  readonly ready: boolean;
  readonly problem: string | undefined;
}

export interface DataPlaneOptions {
  /** Address of the control plane as gRPC writes it, such as `unix:/run/x.sock`. */
  readonly control: string;
  readonly version: string;
  readonly log: Logger;
  /** Turns a path of an access log into the file to open. */
  readonly resolveLogPath: (path: string) => string;
  readonly onState: (state: ProxyState) => void;
  /** The proxy of a workload that was taken away has ended what it carried. */
  readonly onEnded: (key: string) => void;
  /** Undefined for a process that serves alone. */
  readonly worker?: WorkerPlace | undefined;
}

/** Without a request for so long a caller that keeps connections has seen that they end, or has nothing to ask. */
const quietMs = 200;
/** How long what a workload carries may go on after it was taken away, while its application runs: Istio's drain duration. */
const longestDrainMs = 45_000;

export class DataPlane {
  readonly #options: DataPlaneOptions;
  readonly #channel: Http2Channel;
  readonly #proxies = new Map<string, { readonly proxy: WorkloadProxy; readonly token: string }>();
  readonly #sinks = new Map<string, FileSink>();

  constructor(options: DataPlaneOptions) {
    this.#options = options;
    this.#channel = new Http2Channel(options.control);
  }

  /** Starts proxies that are new, updates those that stay, ends those that are gone. */
  setWorkloads(workloads: readonly ProxiedWorkload[]): void {
    const wanted = new Map(workloads.map((workload) => [workload.key, workload]));
    for (const [key, { proxy, token }] of this.#proxies) {
      const workload = wanted.get(key);
      if (workload?.token === token) proxy.setMetadata(workload.metadata);
      else {
        this.#proxies.delete(key);
        void proxy.drain(longestDrainMs).then(() => {
          proxy.close();
          this.#options.onEnded(key);
        });
      }
    }
    for (const workload of workloads) if (!this.#proxies.has(workload.key)) this.#start(workload);
  }

  /**
   * Waits until nothing is under way and nothing has been for a moment, for at most `longestMs`.
   * @param refusing keys of workloads that take no new connections from now on
   */
  async quieten(refusing: readonly string[], longestMs: number): Promise<void> {
    const deadlineMs = performance.now() + longestMs;
    for (const key of refusing) this.#proxies.get(key)?.proxy.stopListening();
    const watched = refusing.length === 0 ? [...this.#proxies.keys()] : refusing;
    let quietSinceMs = performance.now();
    for (let nowMs = quietSinceMs; nowMs < deadlineMs && nowMs - quietSinceMs < quietMs; nowMs = performance.now()) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (watched.some((key) => this.#proxies.get(key)?.proxy.hasWork === true)) quietSinceMs = performance.now();
    }
  }

  /** Ends traffic in order: no new connections, what is under way goes on for at most `longestMs`. */
  async drain(longestMs: number): Promise<void> {
    await Promise.all([...this.#proxies.values()].map(({ proxy }) => proxy.drain(longestMs)));
  }

  async close(): Promise<void> {
    for (const { proxy } of this.#proxies.values()) proxy.close();
    await Promise.all([...this.#sinks.values()].map((sink) => sink.close()));
    this.#channel.close();
  }

  #start(workload: ProxiedWorkload): void {
    const { log, version, onState, worker } = this.#options;
    const proxy = new WorkloadProxy({
      nodeId: workload.nodeId,
      metadata: workload.metadata,
      channel: this.#channel,
      credentials: ['authorization', `Bearer ${workload.token}`],
      version,
      log,
      openAccessLog: (path, onDrop) => this.#openAccessLog(path, workload.metadata.NAME, onDrop),
      onState: ({ ready, problem }) => onState({ key: workload.key, ready, problem }),
      worker: worker && { ...worker, ticketSecret: secretFor(worker.ticketSecret, workload.key) },
    });
    this.#proxies.set(workload.key, { proxy, token: workload.token });
    proxy.start();
  }

  /** On standard output, where other processes write too, every line begins with the name of the workload. */
  #openAccessLog(path: string, name: string, onDrop: (lines: number) => void): (line: string) => void {
    const file = this.#options.resolveLogPath(path);
    let sink = this.#sinks.get(file);
    if (sink === undefined) {
      sink = new FileSink(file, onDrop, (reason) =>
        this.#options.log.error('cannot write the access log; its lines are dropped and counted until it works', {
          file,
          reason,
        }),
      );
      this.#sinks.set(file, sink);
    }
    const target = sink;
    return file === '/dev/stdout' ? (line) => target.write(`[${name}] ${line}`) : (line) => target.write(line);
  }
}

/** Sessions of one workload are nothing to another. */
function secretFor(secret: Uint8Array, key: string): Uint8Array {
  return createHmac('sha256', secret).update(key).digest();
}
