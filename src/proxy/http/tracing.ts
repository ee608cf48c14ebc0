// What a listener does about traces: which requests are recorded, what their spans say, where those go.
import type { Span } from '../../telemetry/spans/span.js';
import type { TraceContext } from '../../telemetry/spans/trace-context.js';
import type { Exchange } from './exchange.js';
import type { Headers } from './message.js';

/** Tracing of a listener, read from configuration. Shares are of ten thousand, as Envoy counts them. */
export interface TracingSettings {
  /** Of requests for which somebody outside asks to be traced (x-client-trace-id). */
  readonly clientShare: number;
  /** Of requests of which nobody has decided. */
  readonly randomShare: number;
  /** Of those for which the decision was made here. */
  readonly overallShare: number;
  /** Whether ids of new traces have 128 bits. */
  readonly longIds: boolean;
  readonly maxPathTagLength: number;
  readonly customTags: readonly CustomTag[];
  /** Takes a finished span; undefined: none are made, traces are only passed on. */
  readonly report: ((span: Span) => void) | undefined;
}

export interface CustomTag {
  readonly name: string;
  /** Empty: the span goes without the tag. */
  valueOf(exchange: Exchange): string;
}

/** The span of a request. */
export interface RequestTrace {
  readonly context: TraceContext;
  readonly parentId: string | undefined;
  /** The caller's name for the request, where the caller may be believed. */
  readonly operation: string | undefined;
}

export const wholeShare = 10_000;

/** Why a request is traced, in the fifteenth character of a request id that is a UUID, as Envoy marks it. */
const reasonAt = 14;
const uuidLength = 36;
const reasons = new Set(['9', 'a', 'b']);

/**
 * Decides for a request of which nobody has decided. As in Envoy the request id decides instead of chance, so that every
 * proxy that sees it comes to the same result, and is marked where it is traced.
 */
export function decide(headers: Headers, tracing: TracingSettings, random: () => number): boolean {
  let idAt = -1;
  let isClientTrace = false;
  let isForced = false;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === 'x-request-id') idAt = i + 1;
    else if (headers[i] === 'x-client-trace-id') isClientTrace = true;
    else if (headers[i] === 'x-envoy-force-trace') isForced = true;
  }
  const id = idAt < 0 ? '' : headers[idAt]!;
  const point = pointOf(id) ?? Math.floor(random() * wholeShare);
  const isUuid = id.length === uuidLength;
  let reason = isUuid && reasons.has(id[reasonAt]!) ? id[reasonAt] : undefined;
  if (reason === undefined) {
    if (isClientTrace && point < tracing.clientShare) reason = 'b';
    else if (isForced) reason = 'a';
    else if (point < tracing.randomShare) reason = '9';
  }
  const sampled = reason !== undefined && point < tracing.overallShare;
  if (isUuid && reason !== undefined)
    headers[idAt] = id.slice(0, reasonAt) + (sampled ? reason : '4') + id.slice(reasonAt + 1);
  return sampled;
}

const eightDigits = /^[0-9a-f]{8}/i;

/** A number below ten thousand that follows from a request id; undefined where it is none of ours. */
function pointOf(id: string): number | undefined {
  return eightDigits.test(id) ? Number.parseInt(id.slice(0, 8), 16) % wholeShare : undefined;
}
