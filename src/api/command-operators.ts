// Envoy's command operators as users write them in formats and header values: which exist here.
import { FormatError, parseCommandFormat } from '../util/command-format.js';

/** Operators that need no argument; the proxy implements exactly these. */
export const plainOperators = [
  'START_TIME',
  'DURATION',
  'PROTOCOL',
  'RESPONSE_CODE',
  'RESPONSE_FLAGS',
  'RESPONSE_CODE_DETAILS',
  'CONNECTION_TERMINATION_DETAILS',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'UPSTREAM_HOST',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CLUSTER_RAW',
  'UPSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'REQUESTED_SERVER_NAME',
  'ROUTE_NAME',
  'GRPC_STATUS',
  'GRPC_STATUS_NUMBER',
] as const;

/** Operators whose argument is a header: `%REQ(X-ID?:PATH)%`. */
export const headerOperators = ['REQ', 'RESP'] as const;

/** How `%GRPC_STATUS(...)%` may be spelled. */
const grpcForms = new Set(['CAMEL_STRING', 'SNAKE_STRING', 'NUMBER']);

/** What is wrong with a format; undefined where nothing is. */
export function whyNotAFormat(format: string): string | undefined {
  try {
    for (const part of parseCommandFormat(format)) {
      if (typeof part === 'string') continue;
      const { name, argument } = part;
      const isHeader = (headerOperators as readonly string[]).includes(name);
      const isPlain = (plainOperators as readonly string[]).includes(name);
      if (!isHeader && !isPlain)
        return `uses %${name}%, which is not supported yet; these are: ${[...plainOperators, ...headerOperators].join(', ')}`;
      if (isHeader && (argument === undefined || !/^:?[A-Za-z0-9_-]+(\?:?[A-Za-z0-9_-]+)?$/.test(argument)))
        return `uses %${name}% without a header name, such as %${name}(X-NAME)%`;
      if (name === 'GRPC_STATUS' && argument !== undefined) {
        if (!grpcForms.has(argument)) return `gives %${name}% an argument other than ${[...grpcForms].join(', ')}`;
      } else if (isPlain && argument !== undefined) return `gives %${name}% an argument, which it does not take`;
    }
    return undefined;
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}
