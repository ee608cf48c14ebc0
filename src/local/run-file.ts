// What runs, for people and for other commands: `lateen get workloads` prints it, DIR/.lateen/run.json keeps it.
import { splitServiceHost } from '../model/host.js';
import type { Address, Workload } from '../model/workload.js';
import type { PlannedInstance } from './plan.js';

/** One instance. */
export interface RunEntry {
  readonly name: string;
  readonly namespace: string;
  readonly service: string;
  /** Empty for a service without versions. */
  readonly version: string;
  readonly spiffeId: string;
  /** Process of the application; null where it is not ours or does not run. */
  readonly pid: number | null;
  /** Process of its proxy. */
  readonly proxyPid: number | null;
  /** Processes that do the proxy's work with `--workers`; else there are none beside `proxyPid`. */
  readonly workerPids: readonly number[];
  /** Null for a workload that only calls others. */
  readonly app: Address | null;
  readonly inbound: Address | null;
  readonly outboundHttp: Address;
  /** Loopback port by service: `name`, `name.namespace` from another namespace, `:port` behind it for ports after the first. */
  readonly upstreams: Readonly<Record<string, number>>;
  readonly ready: boolean;
}

/** DIR/.lateen/run.json. */
export interface RunFile {
  readonly workloads: readonly RunEntry[];
  /** Processes of the mesh itself; `data` is null where every workload has its own (`proxyPid`). */
  readonly pids: { readonly supervisor: number; readonly control: number | null; readonly data: number | null };
  /** Address of API, metrics and status page. */
  readonly url: string;
  readonly directory: string;
  /** Start times of `pids` and of applications, to tell them from later processes with the same numbers. */
  readonly startTimes: Readonly<Record<string, string>>;
  /** Names this run in the environment of applications. */
  readonly runId: string;
}

export interface RunningInstance {
  readonly planned: PlannedInstance;
  readonly workload: Workload;
  readonly pid: number | undefined;
  readonly proxyPid: number | undefined;
  readonly workerPids: readonly number[];
}

export function createRunEntry({ planned, workload, pid, proxyPid, workerPids }: RunningInstance): RunEntry {
  const [first] = workload.ports;
  return {
    name: workload.name,
    namespace: workload.namespace,
    service: planned.service,
    version: planned.version ?? '',
    spiffeId: workload.spiffeId,
    pid: pid ?? null,
    proxyPid: proxyPid ?? null,
    workerPids,
    app: first?.app ?? null,
    inbound: first?.inbound ?? null,
    outboundHttp: workload.outboundHttp,
    upstreams: upstreamPorts(workload),
    ready: workload.ready,
  };
}

function upstreamPorts(workload: Workload): Record<string, number> {
  const ports: Record<string, number> = {};
  const seen = new Set<string>();
  for (const { host, port, listen } of workload.upstreams) {
    const parts = splitServiceHost(host);
    const base =
      parts === undefined
        ? host
        : parts.namespace === workload.namespace
          ? parts.name
          : `${parts.name}.${parts.namespace}`;
    ports[seen.has(base) ? `${base}:${port}` : base] = listen.port;
    seen.add(base);
  }
  return ports;
}
