// Counters on the request path: labels are resolved to a series once, then recording is additions in a typed array.
import { istioLabels, partyLabels, type Call, type Outcome } from './istio-labels.js';
import { SeriesKind } from './gen/observation_pb.js';

/** Upper bounds of histogram buckets: Envoy's, for milliseconds and bytes alike. */
export const bucketBounds = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
] as const;

/** Buckets of one histogram: one for each bound and one for what is larger. */
export const bucketCount = bucketBounds.length + 1;

/** Where the numbers of a request series lie. */
export const requestLayout = {
  count: 0,
  durationSum: 1,
  requestBytesSum: 2,
  responseBytesSum: 3,
  durationBuckets: 4,
  requestBuckets: 4 + bucketCount,
  responseBuckets: 4 + 2 * bucketCount,
  length: 4 + 3 * bucketCount,
} as const;

/** Where the numbers of a connection series lie. */
export const connectionLayout = { sentBytes: 0, receivedBytes: 1, opened: 2, closed: 3, length: 4 } as const;

/** A row of numbers under one set of labels. */
export class Series {
  readonly kind: SeriesKind;
  readonly name: string;
  readonly labels: readonly string[];
  readonly values: Float64Array;
  /** Whether the numbers changed since they were last reported. */
  changed = true;

  constructor(kind: SeriesKind, name: string, labels: readonly string[], length: number) {
    this.kind = kind;
    this.name = name;
    this.labels = labels;
    this.values = new Float64Array(length);
  }

  add(index: number, amount: number): void {
    this.values[index]! += amount;
    this.changed = true;
  }

  set(index: number, value: number): void {
    if (this.values[index] === value) return;
    this.values[index] = value;
    this.changed = true;
  }
}

/** Records requests of one outcome between two parties. */
export class RequestSeries extends Series {
  record(durationMs: number, requestBytes: number, responseBytes: number): void {
    const { values } = this;
    values[requestLayout.count]!++;
    values[requestLayout.durationSum]! += durationMs;
    values[requestLayout.requestBytesSum]! += requestBytes;
    values[requestLayout.responseBytesSum]! += responseBytes;
    values[requestLayout.durationBuckets + bucketOf(durationMs)]!++;
    values[requestLayout.requestBuckets + bucketOf(requestBytes)]!++;
    values[requestLayout.responseBuckets + bucketOf(responseBytes)]!++;
    this.changed = true;
  }
}

function bucketOf(value: number): number {
  let i = 0;
  while (i < bucketBounds.length && value > bucketBounds[i]!) i++;
  return i;
}

/** Counts of gRPC's messages between two parties, from the caller and to it. */
export interface MessageSeries {
  readonly requests: Series;
  readonly responses: Series;
}

/** Most series that a proxy keeps; beyond it requests are carried and counted only as dropped. */
const mostSeries = 10_000;

/** All series of one proxy. */
export class SeriesRegistry {
  readonly #calls = new Map<string, CallSeries>();
  readonly #named = new Map<string, Series>();
  readonly all: Series[] = [];
  readonly #dropped: Series;

  constructor() {
    this.#dropped = this.counter('lateen_telemetry_series_dropped_total');
  }

  /** The series of calls between two parties; the same for equal calls. */
  call(call: Call): CallSeries {
    const key = JSON.stringify(call);
    let series = this.#calls.get(key);
    if (series === undefined) {
      series = new CallSeries(this, call);
      if (this.#calls.size < mostSeries) this.#calls.set(key, series);
    }
    return series;
  }

  counter(name: string, ...labels: readonly string[]): Series {
    return this.#single(SeriesKind.COUNTER, name, labels);
  }

  gauge(name: string, ...labels: readonly string[]): Series {
    return this.#single(SeriesKind.GAUGE, name, labels);
  }

  /** Keeps a series, or counts it as dropped where there are too many already; it can be recorded to either way. */
  adopt<S extends Series>(series: S): S {
    if (this.all.length < mostSeries) this.all.push(series);
    else this.#dropped.add(0, 1);
    return series;
  }

  #single(kind: SeriesKind, name: string, labels: readonly string[]): Series {
    const key = [name, ...labels].join('\0');
    let series = this.#named.get(key);
    if (series === undefined) this.#named.set(key, (series = this.adopt(new Series(kind, name, labels, 1))));
    return series;
  }
}

/** Series of calls between two parties, by outcome. */
export class CallSeries {
  readonly call: Call;
  readonly #registry: SeriesRegistry;
  /** By status: answers of HTTP without flags, which are nearly all. */
  readonly #plain: (RequestSeries | undefined)[] = [];
  readonly #requests = new Map<string, RequestSeries>();
  /** By gRPC's status, from -1 on: calls that were answered by HTTP's 200 without flags. */
  readonly #plainGrpc: (RequestSeries | undefined)[] = [];
  readonly #grpc = new Map<string, RequestSeries>();
  readonly #connections = new Map<string, Series>();
  #messages: MessageSeries | undefined;

  constructor(registry: SeriesRegistry, call: Call) {
    this.#registry = registry;
    this.call = call;
  }

  requests(code: number, flags: string): RequestSeries {
    if (flags === '-') return (this.#plain[code] ??= this.#create({ protocol: 'http', code, flags, grpcStatus: '' }));
    const key = `${code} ${flags}`;
    let series = this.#requests.get(key);
    if (series === undefined)
      this.#requests.set(key, (series = this.#create({ protocol: 'http', code, flags, grpcStatus: '' })));
    return series;
  }

  /** @param status of gRPC, -1 for one without a meaning; undefined where the call ended without an answer */
  grpcRequests(code: number, flags: string, status: number | undefined): RequestSeries {
    const grpcStatus = status === undefined ? '' : String(status);
    if (code === 200 && flags === '-' && status !== undefined)
      return (this.#plainGrpc[status + 1] ??= this.#create({ protocol: 'grpc', code, flags, grpcStatus }));
    const key = `${code} ${flags} ${grpcStatus}`;
    let series = this.#grpc.get(key);
    if (series === undefined)
      this.#grpc.set(key, (series = this.#create({ protocol: 'grpc', code, flags, grpcStatus })));
    return series;
  }

  messages(): MessageSeries {
    return (this.#messages ??= {
      requests: this.#createCounter('istio_request_messages_total'),
      responses: this.#createCounter('istio_response_messages_total'),
    });
  }

  connections(flags: string): Series {
    let series = this.#connections.get(flags);
    if (series === undefined) {
      const labels = istioLabels(this.call, { protocol: 'tcp', code: 0, flags, grpcStatus: '' });
      series = this.#registry.adopt(new Series(SeriesKind.CONNECTIONS, '', labels, connectionLayout.length));
      this.#connections.set(flags, series);
    }
    return series;
  }

  #createCounter(name: string): Series {
    return this.#registry.adopt(new Series(SeriesKind.COUNTER, name, partyLabels(this.call), 1));
  }

  #create(outcome: Outcome): RequestSeries {
    return this.#registry.adopt(
      new RequestSeries(SeriesKind.REQUESTS, '', istioLabels(this.call, outcome), requestLayout.length),
    );
  }
}
