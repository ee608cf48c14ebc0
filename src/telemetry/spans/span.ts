// One side of a request as a trace shows it, and its form in Zipkin's API, version 2.

export interface Span {
  readonly traceId: string;
  readonly id: string;
  readonly parentId: string | undefined;
  readonly kind: 'CLIENT' | 'SERVER';
  readonly name: string;
  /** Microseconds since 1970. */
  readonly timestamp: number;
  /** Microseconds. */
  readonly duration: number;
  readonly debug: boolean;
  readonly tags: Record<string, string>;
}

/** Who records spans. */
export interface SpanSource {
  readonly serviceName: string;
  /** Undefined where the workload has no address of its own. */
  readonly ipv4: string | undefined;
}

/** One element of the list that is posted to /api/v2/spans. */
export function encodeSpan(span: Span, { serviceName, ipv4 }: SpanSource): string {
  return JSON.stringify({
    traceId: span.traceId,
    id: span.id,
    parentId: span.parentId,
    kind: span.kind,
    name: span.name,
    timestamp: span.timestamp,
    duration: Math.max(1, span.duration), // zero means unknown
    debug: span.debug ? true : undefined,
    localEndpoint: { serviceName, ipv4 },
    tags: span.tags,
  });
}
