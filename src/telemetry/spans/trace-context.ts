// The three ways in which a request says which trace it belongs to: W3C `traceparent`, B3 in several headers, and B3 in one.
// What comes from outside is read strictly: a value that is not exactly of its form says nothing.
//
// W3C Trace Context: https://www.w3.org/TR/trace-context/ ; B3: https://github.com/openzipkin/b3-propagation

/** A place in a trace. */
export interface TraceContext {
  /** 32 lower-case hex digits, or 16 where the upper half is zero; never all zeros. */
  readonly traceId: string;
  /** 16 lower-case hex digits, never all zeros. */
  readonly spanId: string;
  /** Whether the trace is recorded; undefined where nobody has decided yet. */
  readonly sampled: boolean | undefined;
  /** B3's wish to be recorded whatever any sampler says. */
  readonly debug: boolean;
}

/** What B3 says where it names no trace: the decision alone. */
export type Decision = Pick<TraceContext, 'sampled' | 'debug'>;

/** Whether more than the decision was said. */
export function isContext(said: TraceContext | Decision): said is TraceContext {
  return 'traceId' in said;
}

const traceparentForm = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const traceIdForm = /^(?:[0-9a-f]{16}){1,2}$/i;
const spanIdForm = /^[0-9a-f]{16}$/i;
const zeros = '0000000000000000';
const traceparentLength = 55;
const undecided: Decision = { sampled: undefined, debug: false };

/** Reads a `traceparent`; undefined where it is malformed: then the trace begins anew (W3C section 3.2.2.3 and 4.3). */
export function parseTraceparent(value: string): TraceContext | undefined {
  // Later versions may only append, after another dash; this one has nothing more.
  if (value.length !== traceparentLength && (value.startsWith('00') || value[traceparentLength] !== '-'))
    return undefined;
  const known = value.length === traceparentLength ? value : value.slice(0, traceparentLength);
  if (!traceparentForm.test(known) || known.startsWith('ff')) return undefined;
  const traceId = shortest(known.slice(3, 35));
  const spanId = known.slice(36, 52);
  if (traceId === zeros || spanId === zeros) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(known.slice(53), 16) & 1) === 1, debug: false };
}

/** `00-<trace id>-<span id>-<flags>`; a trace id of 64 bits is filled up with zeros. */
export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId.length === 32 ? traceId : zeros + traceId}-${spanId}-${sampled === true ? '01' : '00'}`;
}

/** Reads the parts of a trace from B3's headers; undefined where one is absent or malformed. */
export function parseB3Ids(
  traceId: string | undefined,
  spanId: string | undefined,
  decision: Decision,
): TraceContext | undefined {
  if (traceId === undefined || spanId === undefined) return undefined;
  if (!traceIdForm.test(traceId) || !spanIdForm.test(spanId)) return undefined;
  const trace = shortest(traceId.toLowerCase());
  const span = spanId.toLowerCase();
  return trace === zeros || span === zeros ? undefined : { traceId: trace, spanId: span, ...decision };
}

/** Reads `x-b3-sampled` and `x-b3-flags`. */
export function parseB3Decision(sampled: string | undefined, flags: string | undefined): Decision {
  if (flags === '1') return { sampled: true, debug: true };
  switch (sampled) {
    case '1':
    case 'true': // what older tracers wrote
      return { sampled: true, debug: false };
    case '0':
    case 'false':
      return { sampled: false, debug: false };
    default:
      return undecided;
  }
}

/** Reads `b3`: `<trace id>-<span id>[-<state>[-<parent id>]]`, or the state alone. Undefined where it is malformed. */
export function parseB3(value: string): TraceContext | Decision | undefined {
  if (value.length > 32 + 16 + 16 + 4) return undefined;
  if (value.length === 1) return parseB3State(value);
  const [traceId, spanId, state, parentId, more] = value.split('-');
  if (more !== undefined || (parentId !== undefined && !spanIdForm.test(parentId))) return undefined;
  const decision = state === undefined ? undecided : parseB3State(state);
  return decision === undefined ? undefined : parseB3Ids(traceId, spanId, decision);
}

/** The one-header form of a context. */
export function formatB3({ traceId, spanId, sampled, debug }: TraceContext, parentId: string | undefined): string {
  const state = debug ? 'd' : sampled === true ? '1' : '0';
  return `${traceId}-${spanId}-${state}${parentId === undefined ? '' : `-${parentId}`}`;
}

function parseB3State(state: string): Decision | undefined {
  if (state === 'd') return { sampled: true, debug: true };
  return state === '1' || state === '0' ? { sampled: state === '1', debug: false } : undefined;
}

/** One form for each id, so that the same trace has the same name whichever header carried it. */
function shortest(traceId: string): string {
  return traceId.length === 32 && traceId.startsWith(zeros) ? traceId.slice(16) : traceId;
}
