// Metrics as Prometheus reads them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseMetrics } from '../../test/harness/metrics.js';
import type { Total } from './collector.js';
import { formatExposition } from './exposition.js';
import { SeriesKind } from './gen/observation_pb.js';
import { bucketBounds, RequestSeries, requestLayout, Series, type Series as AnySeries } from './series.js';

const counter = (name: string, labels: readonly string[], value: number): Total => ({
  kind: SeriesKind.COUNTER,
  name,
  labels,
  values: Float64Array.of(value),
});

function requests(labels: readonly string[], ...durations: readonly number[]): AnySeries {
  const series = new RequestSeries(SeriesKind.REQUESTS, '', labels, requestLayout.length);
  for (const ms of durations) series.record(ms, 100, 2000);
  return series;
}

describe('a page of metrics', () => {
  it('is empty where nothing was counted', () => assert.equal(formatExposition([], []), ''));

  it('has help and type once a family', () => {
    const page = formatExposition(
      [counter('own_total', ['a', '1'], 1), counter('other_total', [], 5), counter('own_total', ['a', '2'], 2)],
      [{ name: 'family', type: 'gauge', help: 'Help.', samples: [{ labels: [], value: 1.5 }] }],
    );
    assert.equal(
      page,
      '# HELP own_total own_total\n# TYPE own_total counter\nown_total{a="1"} 1\nown_total{a="2"} 2\n' +
        '# HELP other_total other_total\n# TYPE other_total counter\nother_total 5\n' +
        '# HELP family Help.\n# TYPE family gauge\nfamily 1.5\n',
    );
  });

  it('leaves out a family without samples', () => {
    assert.equal(formatExposition([], [{ name: 'f', type: 'gauge', help: 'h', samples: [] }]), '');
  });

  it('has histograms whose buckets add up, end in +Inf and agree with sum and count', () => {
    const page = formatExposition([requests(['reporter', 'source'], 0.5, 0.6, 70, 4_000_000)], []);
    const samples = parseMetrics(page);
    const duration = (suffix: string) =>
      samples.filter(({ name }) => name === `istio_request_duration_milliseconds${suffix}`);
    const buckets = duration('_bucket');
    assert.deepEqual(
      buckets.map(({ labels }) => labels['le']),
      [...bucketBounds.map(String), '+Inf'],
    );
    const at = (le: string) => buckets.find(({ labels }) => labels['le'] === le)!.value;
    assert.deepEqual([at('0.5'), at('1'), at('50'), at('100'), at('3600000'), at('+Inf')], [1, 2, 2, 3, 3, 4]);
    assert.equal(duration('_count')[0]!.value, 4);
    assert.equal(duration('_sum')[0]!.value, 4_000_071.1);
    assert.equal(samples.find(({ name }) => name === 'istio_requests_total')!.value, 4);
    assert.equal(samples.find(({ name }) => name === 'istio_response_bytes_sum')!.value, 8000);
    assert.deepEqual(buckets[0]!.labels, { reporter: 'source', le: '0.5' });
  });

  it('has the four families of TCP', () => {
    const series = new Series(SeriesKind.CONNECTIONS, '', ['reporter', 'source'], 4);
    series.values.set([10, 20, 3, 2]);
    assert.deepEqual(
      parseMetrics(formatExposition([series], [])).map(({ name, value }) => [name, value]),
      [
        ['istio_tcp_sent_bytes_total', 10],
        ['istio_tcp_received_bytes_total', 20],
        ['istio_tcp_connections_opened_total', 3],
        ['istio_tcp_connections_closed_total', 2],
      ],
    );
  });

  it('escapes backslash, quote and line feed in values, and nothing else', () => {
    assert.match(
      formatExposition([counter('c', ['l', 'a\\b"c\nd\te\u00e9{},='], 1)], []),
      /^c\{l="a\\\\b\\"c\\nd\te\u00e9\{\},="\} 1$/m,
    );
  });

  it('reads as it was written, whatever the values', () => {
    const value = fc.string({ unit: fc.constantFrom('\\', '"', '\n', 'n', ',', '}', '=', ' ', '\u00e9', 'a') });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), fc.double({ noNaN: true }), (values, number) => {
        const labels = values.flatMap((text, i) => [`l${i}`, text]);
        const [sample, ...others] = parseMetrics(formatExposition([counter('c', labels, number)], []));
        assert.deepEqual(others, []);
        assert.deepEqual(sample, {
          name: 'c',
          labels: Object.fromEntries(values.map((text, i) => [`l${i}`, text])),
          value: number === 0 ? sample!.value : number,
        });
      }),
    );
  });

  it('helps with no words of its own where a name is one of every object', () => {
    assert.match(formatExposition([counter('constructor', [], 1)], []), /^# HELP constructor constructor$/m);
  });
});
