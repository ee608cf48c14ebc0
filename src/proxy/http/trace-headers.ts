// Takes the headers that say to which trace a request belongs off its head, and puts those of the next span on it.
import {
  formatB3,
  formatTraceparent,
  isContext,
  parseB3,
  parseB3Decision,
  parseB3Ids,
  parseTraceparent,
  type Decision,
  type TraceContext,
} from '../../telemetry/spans/trace-context.js';
import { removeHeader, type Headers } from './message.js';

/** What a request says about tracing. */
export interface IncomingTrace {
  /** The caller's span; undefined where none was named, or not as it must be. */
  readonly caller: TraceContext | undefined;
  /** Whether the caller wants the trace recorded; undefined where it left that open. */
  readonly sampled: boolean | undefined;
  readonly debug: boolean;
  /** Whether it used B3's one-header form, which is then kept up beside the others. */
  readonly usesB3: boolean;
  /** The caller's name for what it does, from its route. */
  readonly operation: string | undefined;
}

/** Trace headers as they came. */
interface Found {
  traceparent?: string;
  tracestate?: string;
  b3?: string;
  traceId?: string;
  spanId?: string;
  parentId?: string;
  sampled?: string;
  flags?: string;
  operation?: string;
}

const keys: Readonly<Record<string, keyof Found>> = Object.assign(Object.create(null), {
  traceparent: 'traceparent',
  b3: 'b3',
  'x-b3-traceid': 'traceId',
  'x-b3-spanid': 'spanId',
  'x-b3-parentspanid': 'parentId',
  'x-b3-sampled': 'sampled',
  'x-b3-flags': 'flags',
  'x-envoy-decorator-operation': 'operation',
});

/** Stands for a header that came more than once: nobody can say which one counts, so it is malformed. */
const ambiguous = '';

/** Reads trace headers and removes those that the next span replaces. W3C counts first, then `b3`, then B3's several. */
export function takeTraceHeaders(headers: Headers): IncomingTrace {
  const found = take(headers);
  if (found === undefined) return nothing;
  const w3c = found.traceparent === undefined ? undefined : parseTraceparent(found.traceparent);
  // What vendors say of a trace makes no sense under another.
  if (found.tracestate !== undefined && w3c === undefined) removeHeader(headers, 'tracestate');
  const b3 = (found.b3 === undefined ? undefined : parseB3(found.b3)) ?? parseSeveral(found);
  const b3Caller = isContext(b3) ? b3 : undefined;
  const caller = w3c ?? b3Caller;
  // W3C has no way to say debug, which both say of the same trace where B3 does.
  const debug = b3.debug && (w3c === undefined || b3Caller === undefined || b3Caller.traceId === w3c.traceId);
  return {
    caller,
    sampled: debug || (caller?.sampled ?? b3.sampled),
    debug,
    usesB3: found.b3 !== undefined,
    operation: found.operation,
  };
}

const nothing: IncomingTrace = {
  caller: undefined,
  sampled: undefined,
  debug: false,
  usesB3: false,
  operation: undefined,
};

function take(headers: Headers): Found | undefined {
  let found: Found | undefined;
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    const value = headers[i + 1]!;
    if (mayBeOfTraces(name)) {
      const key = keys[name];
      if (key !== undefined) {
        found ??= {};
        found[key] = found[key] === undefined ? value : ambiguous;
        continue;
      }
      if (name === 'tracestate') (found ??= {}).tracestate = value; // stays as it is, in as many lines as it came
    }
    if (kept !== i) {
      headers[kept] = name;
      headers[kept + 1] = value;
    }
    kept += 2;
  }
  headers.length = kept;
  return found;
}

/** Most names begin with another letter than x, t and b. */
function mayBeOfTraces(name: string): boolean {
  const first = name.charCodeAt(0);
  return first === 0x78 || first === 0x74 || first === 0x62;
}

/** B3's several headers; where the ids are malformed the decision still counts. */
function parseSeveral({ traceId, spanId, sampled, flags }: Found): TraceContext | Decision {
  const decision = parseB3Decision(sampled, flags);
  return parseB3Ids(traceId, spanId, decision) ?? decision;
}

/** Names `context` to whoever takes the request next: always in B3's several headers and in W3C's. */
export function pushTraceHeaders(
  headers: Headers,
  context: TraceContext,
  parentId: string | undefined,
  withB3: boolean,
): void {
  headers.push('x-b3-traceid', context.traceId, 'x-b3-spanid', context.spanId);
  if (parentId !== undefined) headers.push('x-b3-parentspanid', parentId);
  headers.push('x-b3-sampled', context.sampled === true ? '1' : '0');
  if (context.debug) headers.push('x-b3-flags', '1');
  if (withB3) headers.push('b3', formatB3(context, parentId));
  headers.push('traceparent', formatTraceparent(context));
}
