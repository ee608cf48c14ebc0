// Counting on the request path.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SeriesKind } from './gen/observation_pb.js';
import { unknownParty, type Call } from './istio-labels.js';
import { bucketBounds, bucketCount, requestLayout, Series, SeriesRegistry } from './series.js';

const call: Call = {
  reporter: 'source',
  source: { ...unknownParty, workload: 'a' },
  destination: { ...unknownParty, workload: 'b' },
  service: { host: 'b.shop.svc.cluster.local', name: 'b', namespace: 'shop' },
  security: 'unknown',
};
const labelOf = (series: Series, name: string) => series.labels[series.labels.indexOf(name) + 1];

describe('a call of gRPC', () => {
  it('has a series by status, apart from those of HTTP', () => {
    const series = new SeriesRegistry().call(call);
    assert.equal(series.grpcRequests(200, '-', 5), series.grpcRequests(200, '-', 5));
    assert.equal(series.grpcRequests(200, 'DC', 5), series.grpcRequests(200, 'DC', 5));
    const all = [
      series.requests(200, '-'),
      ...[undefined, -1, 0, 16].map((status) => series.grpcRequests(200, '-', status)),
      series.grpcRequests(0, 'DC', undefined),
      series.grpcRequests(503, '-', 14),
    ];
    assert.equal(new Set(all).size, all.length);
    assert.deepEqual(
      all.map((one) => [labelOf(one, 'request_protocol'), labelOf(one, 'grpc_response_status')]),
      [
        ['http', ''],
        ['grpc', ''],
        ['grpc', '-1'],
        ['grpc', '0'],
        ['grpc', '16'],
        ['grpc', ''],
        ['grpc', '14'],
      ],
    );
  });

  it('counts its messages in one series a direction, which finds no room like any other', () => {
    const registry = new SeriesRegistry();
    const { requests, responses } = registry.call(call).messages();
    assert.equal(registry.call(structuredClone(call)).messages().requests, requests);
    assert.deepEqual(
      [requests, responses].map(({ name, kind }) => [name, kind]),
      [
        ['istio_request_messages_total', SeriesKind.COUNTER],
        ['istio_response_messages_total', SeriesKind.COUNTER],
      ],
    );
    for (let i = 0; i < 6000; i++) registry.call({ ...call, service: { ...call.service, name: `s${i}` } }).messages();
    assert.equal(registry.all.length, 10_000);
  });
});

describe('a request', () => {
  it('is counted once in every histogram, in the bucket whose bound it does not exceed', () => {
    const size = fc.oneof(fc.constantFrom(...bucketBounds), fc.double({ min: 0, max: 1e10, noNaN: true }));
    fc.assert(
      fc.property(size, size, size, (durationMs, requestBytes, responseBytes) => {
        const series = new SeriesRegistry().call(call).requests(200, '-');
        series.record(durationMs, requestBytes, responseBytes);
        for (const [start, value] of [
          [requestLayout.durationBuckets, durationMs],
          [requestLayout.requestBuckets, requestBytes],
          [requestLayout.responseBuckets, responseBytes],
        ] as const) {
          const buckets = [...series.values.subarray(start, start + bucketCount)];
          const expected = bucketBounds.findIndex((bound) => value <= bound);
          assert.equal(buckets.indexOf(1), expected < 0 ? bucketBounds.length : expected);
          assert.equal(
            buckets.reduce((a, b) => a + b),
            1,
          );
        }
        assert.deepEqual([...series.values.subarray(0, 4)], [1, durationMs, requestBytes, responseBytes]);
      }),
    );
  });

  it('of the same parties, status and flags has the same series', () => {
    const registry = new SeriesRegistry();
    const again = structuredClone(call);
    assert.equal(registry.call(call), registry.call(again));
    const series = registry.call(call);
    assert.equal(series.requests(200, '-'), series.requests(200, '-'));
    assert.equal(series.requests(503, 'UH'), series.requests(503, 'UH'));
    assert.notEqual(series.requests(503, 'UH'), series.requests(503, '-'));
    assert.notEqual(series.requests(503, 'UH'), series.requests(503, 'UF'));
    assert.equal(series.connections('-'), series.connections('-'));
    assert.notEqual(registry.call({ ...call, reporter: 'destination' }), series);
  });

  it('has a row of its own, labelled with how it ended', () => {
    const registry = new SeriesRegistry();
    const series = registry.call(call).requests(503, 'UF,URX');
    assert.equal(series.kind, SeriesKind.REQUESTS);
    assert.equal(labelOf(series, 'response_code'), '503');
    assert.equal(labelOf(series, 'response_flags'), 'UF,URX');
    assert.ok(registry.all.includes(series));
  });
});

it('a series says that it changed only when it did', () => {
  const series = new Series(SeriesKind.GAUGE, 'g', [], 1);
  series.changed = false;
  series.set(0, 0);
  assert.equal(series.changed, false);
  series.set(0, 2);
  assert.equal(series.changed, true);
  series.changed = false;
  series.add(0, 1);
  assert.equal(series.changed, true);
  assert.equal(series.values[0], 3);
});

it('a registry keeps at most 10000 series and counts what it dropped, while recording goes on', () => {
  const registry = new SeriesRegistry();
  for (let i = 0; i < 10_050; i++)
    registry
      .call({ ...call, service: { ...call.service, name: `s${i}` } })
      .requests(200, '-')
      .record(1, 1, 1);
  assert.equal(registry.all.length, 10_000);
  const dropped = registry.counter('lateen_telemetry_series_dropped_total');
  assert.equal(registry.all[0], dropped);
  assert.equal(dropped.values[0], 51);
});

it('counters and gauges are one for a name and labels', () => {
  const registry = new SeriesRegistry();
  assert.equal(registry.counter('c', 'a', '1'), registry.counter('c', 'a', '1'));
  assert.notEqual(registry.counter('c', 'a', '1'), registry.counter('c', 'a', '2'));
  assert.equal(registry.gauge('g').kind, SeriesKind.GAUGE);
});
