// gRPC's statuses in HTTP: whether a request is gRPC's, how its failures are told, and which status an answer carries.
import { grpcCodes, lastGrpcCode } from '../../util/grpc-codes.js';
import { findHeader, setHeader, type Headers } from './message.js';

/** What Envoy takes a status for that is no number. */
export const invalidGrpcStatus = -1;

const space = 0x20;
const lineFeed = 0x0a;
const grpcType = 'application/grpc';

/**
 * Whether a request is gRPC's, by its content type. gRPC-Web's (`application/grpc-web`) is not, as in Envoy without its filter for
 * it: such a client speaks HTTP/1.1 or has no trailers, and reads a failure from the status of HTTP.
 */
export function isGrpc(headers: Headers): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === 'content-type') return isGrpcType(headers[i + 1]!);
  return false;
}

function isGrpcType(type: string): boolean {
  if (!type.startsWith(grpcType)) return false;
  const next = type[grpcType.length];
  return next === undefined || next === '+' || next === ';';
}

/** gRPC's status for one of HTTP (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md). */
export function grpcStatusOf(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return grpcCodes.INTERNAL;
    case 401:
      return grpcCodes.UNAUTHENTICATED;
    case 403:
      return grpcCodes.PERMISSION_DENIED;
    case 404:
      return grpcCodes.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return grpcCodes.UNAVAILABLE;
    default:
      return grpcCodes.UNKNOWN;
  }
}

const httpStatuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401] as const;

/** HTTP's status for one of gRPC, as google.rpc.Code has it; 500 for what has no meaning. */
export function httpStatusOf(grpcStatus: number): number {
  return httpStatuses[grpcStatus] ?? 500;
}

/**
 * The status in headers or trailers.
 * @returns undefined where there is none, `invalidGrpcStatus` where it is no number
 */
export function findGrpcStatus(headers: Headers): number | undefined {
  const status = findHeader(headers, 'grpc-status');
  if (status === undefined || status === '') return undefined;
  return /^\d{1,9}$/.test(status) ? Number(status) : invalidGrpcStatus;
}

/** The status as labels show it: one without a meaning would be a series of its own for every number. */
export function knownGrpcStatus(status: number): number {
  return status <= lastGrpcCode ? status : invalidGrpcStatus;
}

/** Makes the headers of an answer those of a gRPC answer that has nothing else (Trailers-Only). */
export function tellGrpc(headers: Headers, status: number, message: string | Uint8Array): void {
  setHeader(headers, 'content-type', grpcType);
  pushGrpcStatus(headers, status, message);
}

/** Ends a gRPC answer, in trailers or in headers. */
export function pushGrpcStatus(fields: Headers, status: number, message: string | Uint8Array): void {
  setHeader(fields, 'grpc-status', String(status));
  const encoded = encodeGrpcMessage(message);
  if (encoded !== '') setHeader(fields, 'grpc-message', encoded);
}

/** Longest text of a status, in bytes before it is encoded: three times as much fits what clients take as headers. */
const longestMessage = 2048;

/** Percent-encodes UTF-8 as `grpc-message` wants it: everything but printable ASCII, and the percent sign. */
export function encodeGrpcMessage(message: string | Uint8Array): string {
  const bytes = Buffer.from(message);
  let end = Math.min(bytes.length, longestMessage);
  if (end < bytes.length) while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--; // no character is cut
  while (end > 0 && (bytes[end - 1] === space || bytes[end - 1] === lineFeed)) end--;
  const text = bytes.toString('latin1', 0, end);
  return text.replace(/[^ -$&-~]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
