// The statuses of gRPC (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md).

export const grpcCodes = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** The highest status that has a meaning. */
export const lastGrpcCode = grpcCodes.UNAUTHENTICATED;

/** Statuses for which the server is to blame, or the way to it: those that Envoy marks as errors of a span. */
const failures: ReadonlySet<number> = new Set([
  grpcCodes.UNKNOWN,
  grpcCodes.DEADLINE_EXCEEDED,
  grpcCodes.RESOURCE_EXHAUSTED,
  grpcCodes.UNIMPLEMENTED,
  grpcCodes.INTERNAL,
  grpcCodes.UNAVAILABLE,
  grpcCodes.DATA_LOSS,
]);

/** Whether a call that ended so counts as failed; a status without a meaning does. */
export function isGrpcFailure(status: number): boolean {
  return failures.has(status) || !(status >= 0 && status <= lastGrpcCode);
}
