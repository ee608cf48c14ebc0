// Compiles Envoy's command operators (`%REQ(X-ID?:PATH)%`) into functions, once, when configuration arrives.
import { FormatError, parseCommandFormat, type CommandOperator } from '../../util/command-format.js';
import { grpcCodes } from '../../util/grpc-codes.js';
import type { AccessRecord } from './record.js';

/** A piece of a line; undefined prints as `-` in text and as null in JSON. */
type Operator = (record: AccessRecord) => string | number | undefined;

/** Turns a record into one line, or part of one. */
export type Formatter = (record: AccessRecord) => string;

const plain: Readonly<Record<string, Operator>> = {
  START_TIME: (r) => isoTime(r.startTimeMs),
  DURATION: (r) => Math.round(r.durationMs),
  PROTOCOL: (r) => r.protocol,
  RESPONSE_CODE: (r) => r.responseCode,
  RESPONSE_FLAGS: (r) => r.responseFlags,
  RESPONSE_CODE_DETAILS: (r) => r.responseCodeDetails,
  CONNECTION_TERMINATION_DETAILS: (r) => r.connectionTerminationDetails,
  UPSTREAM_TRANSPORT_FAILURE_REASON: (r) => r.upstreamTransportFailureReason,
  BYTES_RECEIVED: (r) => r.bytesReceived,
  BYTES_SENT: (r) => r.bytesSent,
  UPSTREAM_HOST: (r) => r.upstreamHost,
  UPSTREAM_CLUSTER: (r) => r.upstreamCluster,
  UPSTREAM_CLUSTER_RAW: (r) => r.upstreamCluster,
  UPSTREAM_LOCAL_ADDRESS: (r) => r.upstreamLocalAddress,
  DOWNSTREAM_LOCAL_ADDRESS: (r) => r.downstreamLocalAddress,
  DOWNSTREAM_REMOTE_ADDRESS: (r) => r.downstreamRemoteAddress,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (r) => r.downstreamRemoteAddress?.replace(/:\d+$/, ''),
  REQUESTED_SERVER_NAME: (r) => r.requestedServerName,
  ROUTE_NAME: (r) => (r.routeName === '' ? undefined : r.routeName),
  GRPC_STATUS: (r) => namedStatus(r, grpcCamelNames),
  GRPC_STATUS_NUMBER: (r) => r.grpcStatus,
};

const grpcNames = Object.keys(grpcCodes);
/** As Envoy spells them: `DeadlineExceeded`, and one word of its own. */
const grpcCamelNames = grpcNames.map((name) => {
  if (name === 'OK') return name;
  if (name === 'CANCELLED') return 'Canceled';
  return name.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
});

/** What `%GRPC_STATUS(...)%` may ask for. */
const grpcForms: Readonly<Record<string, Operator>> = {
  CAMEL_STRING: plain['GRPC_STATUS']!,
  SNAKE_STRING: (r) => namedStatus(r, grpcNames),
  NUMBER: plain['GRPC_STATUS_NUMBER']!,
};

/** A status that has no name is its number. */
function namedStatus({ grpcStatus }: AccessRecord, names: readonly string[]): string | undefined {
  return grpcStatus === undefined ? undefined : (names[grpcStatus] ?? String(grpcStatus));
}

/** Compiles a format of one line. */
export function compileTextFormat(format: string): Formatter {
  const parts = parse(format);
  return (record) => {
    let line = '';
    for (const part of parts) line += typeof part === 'string' ? part : escapeText(part(record));
    return line;
  };
}

/** Compiles an object of formats into a line of JSON; values that are one operator keep their type. */
export function compileJsonFormat(format: Readonly<Record<string, unknown>>): Formatter {
  const fields = Object.entries(format).map(([name, value]) => {
    if (typeof value !== 'string') throw new FormatError(`has a field ${name} that is not a text`);
    return { name, parts: parse(value) };
  });
  return (record) => {
    const line: Record<string, unknown> = {};
    for (const { name, parts } of fields) {
      const [only] = parts;
      if (parts.length === 1 && typeof only === 'function') {
        const value = only(record);
        line[name] = value ?? null;
      } else line[name] = parts.map((part) => (typeof part === 'string' ? part : (part(record) ?? '-'))).join('');
    }
    return `${JSON.stringify(line)}\n`;
  };
}

function parse(format: string): (string | Operator)[] {
  return parseCommandFormat(format).map((part) => (typeof part === 'string' ? part : operatorOf(part)));
}

function operatorOf({ name, argument, length }: CommandOperator): Operator {
  const operator = findOperator(name, argument);
  if (operator === undefined) throw new FormatError(`uses %${name}%, which is not supported yet`);
  if (length === undefined) return operator;
  return (record) => {
    const value = operator(record);
    return value === undefined ? undefined : String(value).slice(0, length);
  };
}

/** Operators that exist here; those with an argument take the name of a header. */
export const operatorNames: ReadonlySet<string> = new Set([...Object.keys(plain), 'REQ', 'RESP']);

function findOperator(name: string, argument: string | undefined): Operator | undefined {
  if (name === 'REQ' || name === 'RESP') {
    const [first, second] = (argument ?? '').toLowerCase().split('?');
    if (first === undefined || first === '') throw new FormatError(`uses %${name}% without a header name`);
    const read = (record: AccessRecord, header: string) =>
      name === 'REQ' ? record.requestHeader(header) : record.responseHeader(header);
    return second === undefined
      ? (record) => read(record, first)
      : (record) => read(record, first) ?? read(record, second);
  }
  if (name === 'GRPC_STATUS' && argument !== undefined) return grpcForms[argument];
  return argument === undefined ? plain[name] : undefined;
}

/**
 * Values come from outside: a line must stay one line, and a quoted value must stay inside its quotes. A backslash is
 * escaped too, or one before a quote would undo the escape of the quote.
 */
function escapeText(value: string | number | undefined): string {
  if (value === undefined || value === '') return '-';
  if (typeof value === 'number') return String(value);
  return needsEscape.test(value)
    ? value.replace(needsEscapeAll, (c) =>
        c === '"' || c === '\\' ? `\\${c}` : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
      )
    : value;
}

// oxlint-disable-next-line no-control-regex -- control characters are what is escaped
const needsEscape = /["\\\u0000-\u001f\u007f]/;
// oxlint-disable-next-line no-control-regex -- control characters are what is escaped
const needsEscapeAll = /["\\\u0000-\u001f\u007f]/g;

let lastTimeMs = -1;
let lastTime = '';

/** Many requests end in the same millisecond: the text of the last one is kept. */
function isoTime(ms: number): string {
  const whole = Math.floor(ms);
  if (whole !== lastTimeMs) {
    lastTimeMs = whole;
    lastTime = new Date(whole).toISOString();
  }
  return lastTime;
}
