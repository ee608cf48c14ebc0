// The last minute of traffic by edge (who calls which version of what), for live views: rate, errors, latency, bytes.
import { isGrpcFailure } from '../util/grpc-codes.js';
import { SeriesKind } from './gen/observation_pb.js';
import { bucketBounds, bucketCount, connectionLayout, requestLayout } from './series.js';
import type { Total } from './collector.js';

const slots = 60;

/** Traffic between two workloads within the window. */
export interface EdgeTraffic {
  readonly source: string;
  readonly sourceNamespace: string;
  readonly destinationService: string;
  readonly destination: string;
  readonly destinationNamespace: string;
  readonly version: string;
  /** `mutual_tls` or `none`, as the destination's proxy saw it; `unknown` where only the source reports. */
  readonly security: string;
  /** What is counted: requests of HTTP, or connections. */
  readonly protocol: 'http' | 'tcp';
  /** Requests that ended, or connections that were opened, a second. */
  readonly rate: number;
  /** Both directions together. */
  readonly bytesPerSecond: number;
  /**
   * Share of answers below 500, of gRPC those whose status does not blame the server, from 0 to 1; a request without an answer
   * counts as failed. 1 for connections.
   */
  readonly successRate: number;
  /** Of requests; 0 for connections. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Edge {
  readonly labels: ReadonlyMap<string, string>;
  /** When it was first seen, in whole seconds: a rate is not thinned by the time before. */
  readonly firstSecond: number;
  readonly seconds: Float64Array;
  readonly counts: Float64Array;
  readonly failures: Float64Array;
  readonly bytes: Float64Array;
  readonly durations: Float64Array;
}

export class TrafficWindow {
  readonly #nowMs: () => number;
  readonly #edges = new Map<string, Edge>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Counts what a report adds to a series of requests or connections. */
  add(total: Total, values: readonly number[], last: Float64Array): void {
    const growth = (index: number) => values[index]! - last[index]!;
    const isHttp = total.kind === SeriesKind.REQUESTS;
    const { count, bytes } = isHttp
      ? {
          count: growth(requestLayout.count),
          bytes: growth(requestLayout.requestBytesSum) + growth(requestLayout.responseBytesSum),
        }
      : {
          count: growth(connectionLayout.opened),
          bytes: growth(connectionLayout.sentBytes) + growth(connectionLayout.receivedBytes),
        };
    if (count <= 0 && bytes <= 0) return;
    const second = Math.floor(this.#nowMs() / 1000);
    const edge = this.#edgeOf(total, isHttp, second);
    const slot = slotOf(edge, second);
    edge.counts[slot]! += count;
    edge.bytes[slot]! += bytes;
    if (!isHttp) return;
    if (isFailure(total)) edge.failures[slot]! += count;
    for (let i = 0; i < bucketCount; i++)
      edge.durations[slot * bucketCount + i]! += growth(requestLayout.durationBuckets + i);
  }

  /** Edges with traffic within the last `seconds` whole seconds, busiest first. */
  edges(reporter: 'source' | 'destination', seconds = 10): EdgeTraffic[] {
    const now = Math.floor(this.#nowMs() / 1000);
    const found: EdgeTraffic[] = [];
    for (const [key, edge] of this.#edges) {
      if (edge.seconds.every((second) => second < now - slots)) {
        this.#edges.delete(key);
        continue;
      }
      if (edge.labels.get('reporter') !== reporter) continue;
      const traffic = summarize(edge, now, seconds);
      if (traffic !== undefined) found.push(traffic);
    }
    return found.sort((a, b) => b.rate - a.rate);
  }

  #edgeOf(total: Total, isHttp: boolean, second: number): Edge {
    const labels: (readonly [string, string])[] = edgeLabels.map((name) => [name, labelOf(total, name)]);
    labels.push(['protocol', isHttp ? 'http' : 'tcp']);
    const key = labels.map(([, value]) => value).join('\0');
    let edge = this.#edges.get(key);
    if (edge === undefined) {
      edge = {
        labels: new Map(labels),
        firstSecond: second,
        seconds: new Float64Array(slots),
        counts: new Float64Array(slots),
        failures: new Float64Array(slots),
        bytes: new Float64Array(slots),
        durations: new Float64Array(slots * bucketCount),
      };
      this.#edges.set(key, edge);
    }
    return edge;
  }
}

function isFailure(total: Total): boolean {
  const code = Number(labelOf(total, 'response_code'));
  const grpcStatus = labelOf(total, 'grpc_response_status');
  return code >= 500 || code === 0 || (grpcStatus !== '' && isGrpcFailure(Number(grpcStatus)));
}

/** The place of a second in the ring, emptied of the minute before. */
function slotOf(edge: Edge, second: number): number {
  const slot = second % slots;
  if (edge.seconds[slot] !== second) {
    edge.seconds[slot] = second;
    for (const numbers of [edge.counts, edge.failures, edge.bytes]) numbers[slot] = 0;
    edge.durations.fill(0, slot * bucketCount, (slot + 1) * bucketCount);
  }
  return slot;
}

/** An edge over the last `seconds`; undefined where nothing happened. */
function summarize(edge: Edge, now: number, seconds: number): EdgeTraffic | undefined {
  let count = 0;
  let failures = 0;
  let bytes = 0;
  const durations = new Float64Array(bucketCount);
  for (let slot = 0; slot < slots; slot++) {
    const age = now - edge.seconds[slot]!;
    if (age >= seconds) continue;
    count += edge.counts[slot]!;
    failures += edge.failures[slot]!;
    bytes += edge.bytes[slot]!;
    for (let i = 0; i < bucketCount; i++) durations[i]! += edge.durations[slot * bucketCount + i]!;
  }
  if (count === 0 && bytes === 0) return undefined;
  const elapsed = Math.min(seconds, now - edge.firstSecond + 1);
  const label = (name: string) => edge.labels.get(name) ?? '';
  return {
    source: label('source_workload'),
    sourceNamespace: label('source_workload_namespace'),
    destinationService: label('destination_service'),
    destination: label('destination_workload'),
    destinationNamespace: label('destination_workload_namespace'),
    version: label('destination_version'),
    security: label('connection_security_policy'),
    protocol: label('protocol') === 'tcp' ? 'tcp' : 'http',
    rate: count / elapsed,
    bytesPerSecond: bytes / elapsed,
    successRate: count === 0 ? 1 : 1 - failures / count,
    p50Ms: quantile(durations, 0.5),
    p99Ms: quantile(durations, 0.99),
  };
}

const edgeLabels = [
  'reporter',
  'source_workload',
  'source_workload_namespace',
  'destination_service',
  'destination_workload',
  'destination_workload_namespace',
  'destination_version',
  'connection_security_policy',
] as const;

function labelOf({ labels }: Total, name: string): string {
  const at = labels.indexOf(name);
  return at >= 0 && at % 2 === 0 ? (labels[at + 1] ?? '') : '';
}

/** A quantile from bucket counts, spread evenly within its bucket as Prometheus does. */
export function quantile(buckets: Float64Array, q: number): number {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return 0;
  const rank = q * total;
  let below = 0;
  for (let i = 0; i < buckets.length; i++) {
    const count = buckets[i]!;
    if (below + count >= rank) {
      const upper = bucketBounds[i];
      const lower = i === 0 ? 0 : bucketBounds[i - 1]!;
      if (upper === undefined) return lower;
      return lower + ((upper - lower) * (rank - below)) / count;
    }
    below += count;
  }
  return bucketBounds.at(-1)!;
}
