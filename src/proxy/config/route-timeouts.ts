// Reads from Envoy's messages how long requests of a route may take.
import type { RouteAction } from '../../xds/messages.js';
import { UnsupportedConfig } from '../http/matchers.js';
import { durationMs } from './duration.js';

/** Milliseconds; 0: no end. */
export interface RouteTimeouts {
  /** From the end of the request to that of the answer (Envoy: timeout). */
  readonly timeoutMs: number;
  /** From the beginning of the request, however long it is sent (Envoy: max_stream_duration). */
  readonly longestMs: number;
  /** What becomes of the deadlines of gRPC callers; undefined: nothing, gRPC is like everything else. */
  readonly grpcDeadline: GrpcDeadline | undefined;
}

/** How a caller's `grpc-timeout` is honoured. */
export interface GrpcDeadline {
  /** What the time counts from: the request's beginning (grpc_timeout_header_max) or its end (max_grpc_timeout). */
  readonly from: 'begin' | 'end';
  /** No caller gets longer; 0: as long as it asks for. */
  readonly mostMs: number;
}

/** @throws UnsupportedConfig */
export function readTimeouts(action: RouteAction): RouteTimeouts {
  const { timeout, maxStreamDuration, maxGrpcTimeout } = action;
  if (action.grpcTimeoutOffset !== undefined || maxStreamDuration?.grpcTimeoutHeaderOffset !== undefined)
    throw new UnsupportedConfig('deadlines that are shorter than what gRPC callers ask for are not supported');
  if (maxStreamDuration === undefined)
    return {
      timeoutMs: durationMs(timeout) ?? 15_000, // Envoy's default; what we compile always says
      longestMs: 0,
      grpcDeadline: deadline('end', durationMs(maxGrpcTimeout)),
    };
  return {
    timeoutMs: 0, // as in Envoy: the one takes the place of the other
    longestMs: durationMs(maxStreamDuration.maxStreamDuration) ?? 0,
    grpcDeadline: deadline('begin', durationMs(maxStreamDuration.grpcTimeoutHeaderMax)),
  };
}

function deadline(from: GrpcDeadline['from'], mostMs: number | undefined): GrpcDeadline | undefined {
  return mostMs === undefined ? undefined : { from, mostMs };
}
