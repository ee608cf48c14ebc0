// The last minute of traffic by edge (who calls which version of what), for live views: rate, errors, latency.
import { bucketBounds, bucketCount, requestLayout } from './series.js';
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
  readonly requestsPerSecond: number;
  /** Share of answers below 500, from 0 to 1; a request without an answer counts as failed. */
  readonly successRate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Edge {
  readonly labels: ReadonlyMap<string, string>;
  readonly seconds: Float64Array;
  readonly counts: Float64Array;
  readonly failures: Float64Array;
  readonly durations: Float64Array;
}

export class TrafficWindow {
  readonly #nowMs: () => number;
  readonly #edges = new Map<string, Edge>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Counts what a report adds to a request series. */
  add(total: Total, values: readonly number[], last: Float64Array): void {
    const count = values[requestLayout.count]! - last[requestLayout.count]!;
    if (count <= 0) return;
    const edge = this.#edgeOf(total);
    const second = Math.floor(this.#nowMs() / 1000);
    const slot = second % slots;
    if (edge.seconds[slot] !== second) {
      edge.seconds[slot] = second;
      edge.counts[slot] = 0;
      edge.failures[slot] = 0;
      edge.durations.fill(0, slot * bucketCount, (slot + 1) * bucketCount);
    }
    edge.counts[slot]! += count;
    const code = Number(labelOf(total, 'response_code'));
    if (code >= 500 || code === 0) edge.failures[slot]! += count;
    for (let i = 0; i < bucketCount; i++) {
      const at = requestLayout.durationBuckets + i;
      edge.durations[slot * bucketCount + i]! += values[at]! - last[at]!;
    }
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
      let count = 0;
      let failures = 0;
      const durations = new Float64Array(bucketCount);
      for (let slot = 0; slot < slots; slot++) {
        const age = now - edge.seconds[slot]!;
        if (age > seconds) continue;
        count += edge.counts[slot]!;
        failures += edge.failures[slot]!;
        for (let i = 0; i < bucketCount; i++) durations[i]! += edge.durations[slot * bucketCount + i]!;
      }
      if (count === 0) continue;
      const label = (name: string) => edge.labels.get(name) ?? '';
      found.push({
        source: label('source_workload'),
        sourceNamespace: label('source_workload_namespace'),
        destinationService: label('destination_service'),
        destination: label('destination_workload'),
        destinationNamespace: label('destination_workload_namespace'),
        version: label('destination_version'),
        security: label('connection_security_policy'),
        requestsPerSecond: count / seconds,
        successRate: 1 - failures / count,
        p50Ms: quantile(durations, 0.5),
        p99Ms: quantile(durations, 0.99),
      });
    }
    return found.sort((a, b) => b.requestsPerSecond - a.requestsPerSecond);
  }

  #edgeOf(total: Total): Edge {
    const labels = edgeLabels.map((name) => [name, labelOf(total, name)] as const);
    const key = labels.map(([, value]) => value).join('\0');
    let edge = this.#edges.get(key);
    if (edge === undefined) {
      edge = {
        labels: new Map(labels),
        seconds: new Float64Array(slots),
        counts: new Float64Array(slots),
        failures: new Float64Array(slots),
        durations: new Float64Array(slots * bucketCount),
      };
      this.#edges.set(key, edge);
    }
    return edge;
  }
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
