// How a failure is told to gRPC: as a status in the headers of an answer without a body.
import { findHeader, type Headers } from './message.js';

/** Whether a request is gRPC's, by its content type. */
export function isGrpc(headers: Headers): boolean {
  const type = findHeader(headers, 'content-type');
  return type !== undefined && /^application\/grpc(?:$|[+;])/.test(type);
}

/** gRPC's status for one of HTTP (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md). */
export function grpcStatusOf(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

/** Headers of the whole answer. */
export function grpcHeaders(status: number, message: string): Headers {
  return ['content-type', 'application/grpc', 'grpc-status', String(status), 'grpc-message', message];
}
