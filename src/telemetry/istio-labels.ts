// The labels of Istio's standard metrics: who called whom, as dashboards and queries know them.

/** One side of a call. Unknown values are `unknown`, as in Istio. */
export interface Party {
  readonly workload: string;
  readonly namespace: string;
  /** SPIFFE ID, where the connection proved it. */
  readonly principal: string;
  readonly app: string;
  readonly version: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly cluster: string;
}

/** The service that was called. */
export interface CalledService {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

/** Everything that is the same for all requests between two parties, as one reporter sees it. */
export interface Call {
  readonly reporter: 'source' | 'destination';
  readonly source: Party;
  readonly destination: Party;
  readonly service: CalledService;
  /** `mutual_tls` or `none` at the destination, `unknown` at the source. */
  readonly security: 'mutual_tls' | 'none' | 'unknown';
}

/** How one request or connection ended. */
export interface Outcome {
  readonly protocol: 'http' | 'grpc' | 'tcp';
  /** HTTP status; 0 where none was sent. */
  readonly code: number;
  /** Envoy's flags, `-` for none. */
  readonly flags: string;
  /** Number of gRPC's status; empty for what is not gRPC's and where none was sent. */
  readonly grpcStatus: string;
}

export const unknown = 'unknown';

export const unknownParty: Party = {
  workload: unknown,
  namespace: unknown,
  principal: unknown,
  app: unknown,
  version: unknown,
  canonicalService: unknown,
  canonicalRevision: 'latest',
  cluster: unknown,
};

/** Names and values in turn, in Istio's order. TCP has neither code nor gRPC status. */
export function istioLabels(call: Call, outcome: Outcome): string[] {
  const labels = partyLabels(call);
  labels.push('request_protocol', outcome.protocol);
  if (outcome.protocol !== 'tcp')
    labels.push('response_code', String(outcome.code), 'grpc_response_status', outcome.grpcStatus);
  labels.push('response_flags', outcome.flags, 'connection_security_policy', call.security);
  return labels;
}

/** The labels that say who called whom: all that Istio's counts of gRPC messages have. */
export function partyLabels({ reporter, source, destination, service }: Call): string[] {
  return [
    'reporter',
    reporter,
    'source_workload',
    source.workload,
    'source_canonical_service',
    source.canonicalService,
    'source_canonical_revision',
    source.canonicalRevision,
    'source_workload_namespace',
    source.namespace,
    'source_principal',
    source.principal,
    'source_app',
    source.app,
    'source_version',
    source.version,
    'source_cluster',
    source.cluster,
    'destination_workload',
    destination.workload,
    'destination_workload_namespace',
    destination.namespace,
    'destination_principal',
    destination.principal,
    'destination_app',
    destination.app,
    'destination_version',
    destination.version,
    'destination_service',
    service.host,
    'destination_canonical_service',
    destination.canonicalService,
    'destination_canonical_revision',
    destination.canonicalRevision,
    'destination_service_name',
    service.name,
    'destination_service_namespace',
    service.namespace,
    'destination_cluster',
    destination.cluster,
  ];
}
