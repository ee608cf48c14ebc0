// A workload: one running instance of an application, with its identity and the places where its proxy listens.

export interface Address {
  readonly address: string;
  readonly port: number;
}

/** One port of a workload, seen from the service, the mesh and the application. */
export interface WorkloadPort {
  /** Port of the service, and so the workload's port in policies. */
  readonly port: number;
  /** Where the proxy takes connections from the mesh. */
  readonly inbound: Address;
  /** Where the application listens. */
  readonly app: Address;
}

/** A loopback port through which the workload reaches one port of a service. */
export interface Upstream {
  readonly host: string;
  readonly port: number;
  readonly listen: Address;
}

export interface Workload {
  /** Unique in the mesh; while an instance is replaced, old and new differ in nothing else that names them. */
  readonly uid: string;
  /** Name of the instance, such as `reviews-v1-0`. */
  readonly name: string;
  readonly namespace: string;
  /** What the instance is one of, such as `reviews-v1`: the workload name of Istio's metrics. */
  readonly workloadName: string;
  /** Full name of the service that it serves. */
  readonly serviceHost: string;
  readonly serviceAccount: string;
  readonly spiffeId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Whether its application takes connections; only then it is an endpoint. */
  readonly ready: boolean;
  readonly ports: readonly WorkloadPort[];
  readonly outboundHttp: Address;
  readonly upstreams: readonly Upstream[];
}

/** Whether `labels` has all of `wanted`. */
export function matchesLabels(
  labels: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}
