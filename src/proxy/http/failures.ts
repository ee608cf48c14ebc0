// What the proxy answers when it cannot forward: Envoy's status, flags, details and text, and in one sentence of ours why.
import { grpcCodes } from '../../util/grpc-codes.js';
import type { Denial } from '../authorization/policies.js';

/** Everything that can go wrong between a request and its answer. */
export type Failure =
  | { readonly kind: 'no-route'; readonly hostKnown: boolean }
  | { readonly kind: 'no-cluster'; readonly cluster: string; readonly status: number }
  | { readonly kind: 'no-endpoint' }
  | { readonly kind: 'connect'; readonly reason: string }
  | { readonly kind: 'connect-timeout' }
  /** The server has not worked on the request. */
  | { readonly kind: 'refused' }
  /** The server gave up the request and kept the connection. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'lost'; readonly reset: boolean }
  | { readonly kind: 'protocol'; readonly reason: string }
  /** As many requests or connections as the cluster may have are under way. */
  | { readonly kind: 'overflow' }
  /** This process has hardly any memory left. */
  | { readonly kind: 'overload' }
  /** One attempt took longer than the route gives it. */
  | { readonly kind: 'try-timeout'; readonly afterMs: number }
  /** The answer was not complete in time; `isCallers`: in the time that a caller of gRPC gave it. */
  | { readonly kind: 'timeout'; readonly afterMs: number; readonly isCallers?: boolean }
  /** Request and answer together took longer than the route, or a caller of gRPC, gives them. */
  | { readonly kind: 'expired'; readonly afterMs: number; readonly isCallers: boolean; readonly requestEnded: boolean }
  | { readonly kind: 'stream-idle' }
  | { readonly kind: 'not-allowed'; readonly method: string }
  /** Our own code threw. */
  | { readonly kind: 'internal'; readonly error: unknown }
  | { readonly kind: 'bad-path' }
  | { readonly kind: 'denied'; readonly denial: Denial };

/** How a failure is told. */
export interface FailureAnswer {
  readonly status: number;
  /** Status of gRPC, where it is another than the status of HTTP stands for. */
  readonly grpcStatus?: number;
  readonly flags: string;
  readonly details: string;
  /** Envoy's text. */
  readonly body: string;
  /** Reason of the transport, where that is what failed. */
  readonly transportReason?: string;
  readonly headers?: string[];
}

const reset = 'upstream connect error or disconnect/reset before headers. reset reason: ';

/** Envoy tells gRPC UNAVAILABLE here; that invites callers to try again what may be done already. */
const upstreamTimeout = {
  status: 504,
  grpcStatus: grpcCodes.DEADLINE_EXCEEDED,
  flags: 'UT',
  body: 'upstream request timeout',
} as const;

export function answerFor(failure: Failure): FailureAnswer {
  switch (failure.kind) {
    case 'no-route':
      return { status: 404, flags: 'NR', details: 'route_not_found', body: '' };
    case 'no-cluster':
      return { status: failure.status, flags: 'NC', details: 'cluster_not_found', body: '' };
    case 'no-endpoint':
      return { status: 503, flags: 'UH', details: 'no_healthy_upstream', body: 'no healthy upstream' };
    case 'connect': {
      const transport = `transport failure reason: ${failure.reason.startsWith('TLS') ? failure.reason : `delayed connect error: ${failure.reason}`}`;
      return {
        status: 503,
        flags: 'UF',
        details: 'upstream_reset_before_response_started{remote_connection_failure}',
        body: `${reset}remote connection failure, ${transport}`,
        transportReason: failure.reason,
      };
    }
    case 'connect-timeout':
      return {
        status: 503,
        flags: 'UF',
        details: 'upstream_reset_before_response_started{connection_timeout}',
        body: `${reset}connection timeout`,
        transportReason: 'connection timeout',
      };
    case 'refused':
      return {
        status: 503,
        flags: 'UR',
        details: 'upstream_reset_before_response_started{remote_refused_stream_reset}',
        body: `${reset}remote refused stream reset`,
      };
    case 'reset':
      return {
        status: 503,
        flags: 'UR',
        details: 'upstream_reset_before_response_started{remote_reset}',
        body: `${reset}remote reset`,
      };
    case 'lost':
      return {
        status: 503,
        flags: 'UC',
        details: 'upstream_reset_before_response_started{connection_termination}',
        body: `${reset}connection termination`,
      };
    case 'protocol':
      return {
        status: 502,
        flags: 'UPE',
        details: 'upstream_reset_before_response_started{protocol_error}',
        body: `${reset}protocol error`,
      };
    case 'overload':
      return {
        status: 503,
        flags: 'OM',
        details: 'overload',
        body: 'envoy overloaded',
        headers: ['x-envoy-overloaded', 'true'],
      };
    case 'overflow':
      return {
        status: 503,
        flags: 'UO',
        details: 'upstream_reset_before_response_started{overflow}',
        body: `${reset}overflow`,
        headers: ['x-envoy-overloaded', 'true'],
      };
    case 'try-timeout':
      return { ...upstreamTimeout, details: 'upstream_per_try_timeout' };
    case 'timeout':
      return { ...upstreamTimeout, details: 'response_timeout' };
    case 'expired':
      return {
        status: failure.requestEnded ? 504 : 408,
        grpcStatus: grpcCodes.DEADLINE_EXCEEDED,
        flags: 'DT',
        details: 'max_duration_timeout',
        body: 'downstream duration timeout',
      };
    case 'stream-idle':
      return { status: 504, flags: 'SI', details: 'stream_idle_timeout', body: 'stream timeout' };
    case 'not-allowed':
      return { status: 403, flags: 'NR', details: 'upgrade_failed', body: '' };
    case 'internal':
      return { status: 500, grpcStatus: grpcCodes.INTERNAL, flags: '-', details: 'internal_error', body: '' };
    case 'bad-path':
      return { status: 400, flags: '-', details: 'path_normalization_failed', body: '' };
    case 'denied':
      return { status: 403, flags: '-', details: failure.denial.details, body: 'RBAC: access denied' };
  }
}

/** What the sentence may name. */
export interface FailureContext {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** Full name of the service, or what stands in its place. */
  readonly service: string | undefined;
  readonly subset: string | undefined;
  readonly endpoint: string | undefined;
  /** `Kind/namespace/name field` that decided. */
  readonly decidedBy: string | undefined;
}

const callers = ' (the deadline of the caller, grpc-timeout)';

/** One sentence for the person who sees the answer: what, why, and what to do. */
export function explainFailure(failure: Failure, context: FailureContext): string {
  const { service = 'the service', subset, endpoint, decidedBy } = context;
  const target = subset === undefined || subset === '' ? service : `subset ${subset} of ${service}`;
  const by = decidedBy === undefined ? '' : ` (decided by ${decidedBy})`;
  switch (failure.kind) {
    case 'no-route':
      return failure.hostKnown
        ? `no rule for the host ${context.authority} matches ${context.method} ${context.path}; add a rule without a match as the last one`
        : `no service or VirtualService of this mesh has the host ${context.authority || '(none)'}; check the name, or add it to mesh.yaml`;
    case 'no-cluster':
      return `the request is sent to ${target}, which does not exist${by}; see \`lateen get diagnostics\``;
    case 'no-endpoint':
      return `no instance of ${target} is ready${by}; see \`lateen get workloads\``;
    case 'connect':
    case 'connect-timeout':
      return `the instance of ${target} at ${endpoint ?? 'its address'} could not be reached: ${failure.kind === 'connect' ? failure.reason : 'no connection in time'}`;
    case 'refused':
      return `the instance of ${target} at ${endpoint ?? 'its address'} takes no further requests`;
    case 'reset':
      return `the instance of ${target} at ${endpoint ?? 'its address'} gave up the request without an answer`;
    case 'lost':
      return `the instance of ${target} at ${endpoint ?? 'its address'} closed the connection before it answered`;
    case 'protocol':
      return `the instance of ${target} at ${endpoint ?? 'its address'} broke the rules of HTTP: ${failure.reason}`;
    case 'overload':
      return 'the proxy has hardly any memory left and takes no new requests until it has; see lateen_memory_pressure';
    case 'overflow':
      return `as many requests or connections to ${target} are under way as its DestinationRule allows`;
    case 'try-timeout':
      return `${target} did not answer within ${failure.afterMs} ms in any attempt${by}`;
    case 'timeout':
      return `${target} did not answer within ${failure.afterMs} ms${failure.isCallers === true ? callers : by}`;
    case 'expired':
      return `the call of ${target} was not over within ${failure.afterMs} ms${failure.isCallers ? callers : by}`;
    case 'stream-idle':
      return `nothing was sent in either direction for too long`;
    case 'not-allowed':
      return `${failure.method} is not taken here; use the workload's outbound HTTP port`;
    case 'internal':
      return `the proxy has an error of its own, which its log tells; please report it`;
    case 'bad-path':
      return 'the path has an escaped NUL (%00), which no application should be asked to read';
    case 'denied':
      return `${failure.denial.objects === '' ? 'a policy' : failure.denial.objects} denies it; see \`lateen get authorizationpolicies\``;
  }
}
