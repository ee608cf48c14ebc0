// Prints numbers in Prometheus' text format (version 0.0.4).
import { SeriesKind } from './gen/observation_pb.js';
import type { Total } from './collector.js';
import { bucketBounds, bucketCount, connectionLayout, requestLayout } from './series.js';

/** A family of our own that is not counted by proxies. */
export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly { readonly labels: readonly string[]; readonly value: number }[];
}

const requestFamilies = [
  {
    name: 'istio_request_duration_milliseconds',
    help: 'Duration of requests in milliseconds.',
    sum: requestLayout.durationSum,
    buckets: requestLayout.durationBuckets,
  },
  {
    name: 'istio_request_bytes',
    help: 'Size of requests in bytes, heads included.',
    sum: requestLayout.requestBytesSum,
    buckets: requestLayout.requestBuckets,
  },
  {
    name: 'istio_response_bytes',
    help: 'Size of responses in bytes, heads included.',
    sum: requestLayout.responseBytesSum,
    buckets: requestLayout.responseBuckets,
  },
] as const;

const connectionFamilies = [
  {
    name: 'istio_tcp_sent_bytes_total',
    help: 'Bytes sent to clients of TCP connections.',
    at: connectionLayout.sentBytes,
  },
  {
    name: 'istio_tcp_received_bytes_total',
    help: 'Bytes received from clients of TCP connections.',
    at: connectionLayout.receivedBytes,
  },
  { name: 'istio_tcp_connections_opened_total', help: 'TCP connections opened.', at: connectionLayout.opened },
  { name: 'istio_tcp_connections_closed_total', help: 'TCP connections closed.', at: connectionLayout.closed },
] as const;

/** Help of the metrics that proxies name themselves. */
const help: ReadonlyMap<string, string> = new Map(
  Object.entries({
    istio_request_messages_total: 'Messages of gRPC from callers.',
    istio_response_messages_total: 'Messages of gRPC to callers.',
    istio_build: 'Version of the proxies, by component.',
    lateen_access_log_lines_dropped_total: 'Lines of access log that could not be written.',
    lateen_spans_dropped_total: 'Spans that the collector did not take, or not fast enough.',
    lateen_spans_sent_total: 'Spans that the collector took.',
    lateen_telemetry_series_dropped_total: 'Series that found no room in a proxy.',
    lateen_authorization_denied_total: 'Requests and connections that an AuthorizationPolicy denied, by policy.',
    lateen_connections_refused_total: 'Connections that a proxy turned away, by reason.',
  }),
);

/** Everything that proxies reported, and `families`, as one page. */
export function formatExposition(totals: Iterable<Total>, families: readonly Family[]): string {
  const all = [...totals];
  const requests = all.filter((total) => total.kind === SeriesKind.REQUESTS);
  const connections = all.filter((total) => total.kind === SeriesKind.CONNECTIONS);
  const lines: string[] = [];
  if (requests.length > 0) {
    header(lines, 'istio_requests_total', 'counter', 'Requests.');
    for (const { labels, values } of requests)
      sample(lines, 'istio_requests_total', labels, values[requestLayout.count]!);
    for (const family of requestFamilies) {
      header(lines, family.name, 'histogram', family.help);
      for (const total of requests) histogram(lines, family.name, total, family.sum, family.buckets);
    }
  }
  if (connections.length > 0)
    for (const family of connectionFamilies) {
      header(lines, family.name, 'counter', family.help);
      for (const { labels, values } of connections) sample(lines, family.name, labels, values[family.at]!);
    }
  for (const family of [...ownFamilies(all), ...families]) {
    if (family.samples.length === 0) continue;
    header(lines, family.name, family.type, family.help);
    for (const { labels, value } of family.samples) sample(lines, family.name, labels, value);
  }
  return lines.join('');
}

function ownFamilies(all: readonly Total[]): Family[] {
  const byName = new Map<
    string,
    { name: string; type: 'counter' | 'gauge'; help: string; samples: { labels: readonly string[]; value: number }[] }
  >();
  for (const { kind, name, labels, values } of all) {
    if (kind !== SeriesKind.COUNTER && kind !== SeriesKind.GAUGE) continue;
    let family = byName.get(name);
    if (family === undefined)
      byName.set(
        name,
        (family = {
          name,
          type: kind === SeriesKind.COUNTER ? 'counter' : 'gauge',
          help: help.get(name) ?? name,
          samples: [],
        }),
      );
    family.samples.push({ labels, value: values[0]! });
  }
  return [...byName.values()];
}

function header(lines: string[], name: string, type: string, text: string): void {
  lines.push(`# HELP ${name} ${text}\n# TYPE ${name} ${type}\n`);
}

function histogram(lines: string[], name: string, { labels, values }: Total, sumAt: number, bucketsAt: number): void {
  const common = formatLabels(labels);
  let count = 0;
  for (let i = 0; i < bucketCount; i++) {
    count += values[bucketsAt + i]!;
    lines.push(`${name}_bucket{${common}${common === '' ? '' : ','}le="${bucketBounds[i] ?? '+Inf'}"} ${count}\n`);
  }
  lines.push(`${name}_sum{${common}} ${values[sumAt]!}\n${name}_count{${common}} ${count}\n`);
}

function sample(lines: string[], name: string, labels: readonly string[], value: number): void {
  const formatted = formatLabels(labels);
  lines.push(`${name}${formatted === '' ? '' : `{${formatted}}`} ${value}\n`);
}

function formatLabels(labels: readonly string[]): string {
  let text = '';
  for (let i = 0; i + 1 < labels.length; i += 2)
    text += `${i === 0 ? '' : ','}${labels[i]}="${escapeValue(labels[i + 1]!)}"`;
  return text;
}

function escapeValue(value: string): string {
  return /[\\"\n]/.test(value) ? value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n') : value;
}
