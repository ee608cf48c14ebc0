// Adding up what proxies report.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { Collector } from './collector.js';
import { ReportSchema, SeriesKind } from './gen/observation_pb.js';
import { requestLayout } from './series.js';

interface Definition {
  readonly id?: number;
  readonly kind?: SeriesKind;
  readonly name?: string;
  readonly labels?: readonly string[];
}

function report(
  epoch: string,
  definitions: readonly Definition[],
  points: Readonly<Record<number, readonly number[]>>,
) {
  return create(ReportSchema, {
    epoch,
    definitions: definitions.map(({ id = 0, kind = SeriesKind.COUNTER, name = 'c_total', labels = [] }) => ({
      id,
      kind,
      name,
      labels: [...labels],
    })),
    points: Object.entries(points).map(([id, values]) => ({ id: Number(id), values: [...values] })),
  });
}

const collect = () => new Collector(() => 0);
const values = (collector: Collector) =>
  Object.fromEntries(
    [...collector.totals].map(({ name, labels, values: [value] }) => [[name, ...labels].join(' '), value]),
  );

describe('the collector', () => {
  it('adds up proxies under the same labels', () => {
    const collector = collect();
    collector.open('a').take(report('e', [{ labels: ['l', '1'] }], { 0: [3] }));
    collector.open('b').take(report('e', [{ id: 7, labels: ['l', '1'] }], { 7: [4] }));
    assert.deepEqual(values(collector), { 'c_total l 1': 7 });
  });

  it('counts a total once, however often and over however many streams it is told', () => {
    const collector = collect();
    const first = collector.open('a').take;
    first(report('e', [{}], { 0: [3] }));
    first(report('e', [], { 0: [5] }));
    first(report('e', [], { 0: [5] }));
    collector.open('a').take(report('e', [{ id: 4 }], { 4: [6] }));
    assert.deepEqual(values(collector), { c_total: 6 });
  });

  it('goes on from where it was when a proxy begins anew', () => {
    const collector = collect();
    collector.open('a').take(report('first', [{}], { 0: [10] }));
    collector.open('a').take(report('second', [{}], { 0: [2] }));
    assert.deepEqual(values(collector), { c_total: 12 });
  });

  it('adds up whatever proxies report in whatever order', () => {
    const told = fc.record({ proxy: fc.nat(2), restart: fc.boolean(), more: fc.nat(100) });
    fc.assert(
      fc.property(fc.array(told), (all) => {
        const collector = collect();
        const proxies = [0, 1, 2].map((i) => ({ epoch: 0, count: 0, take: collector.open(`p${i}`).take }));
        let sum = 0;
        for (const { proxy, restart, more } of all) {
          const state = proxies[proxy]!;
          if (restart)
            Object.assign(state, { epoch: state.epoch + 1, count: 0, take: collector.open(`p${proxy}`).take });
          state.count += more;
          sum += more;
          state.take(report(`${state.epoch}`, [{}], { 0: [state.count] }));
        }
        assert.equal(values(collector)['c_total'] ?? 0, sum);
      }),
    );
  });

  it('keeps what a proxy counted that is gone, and takes back its gauges', () => {
    const collector = collect();
    const definitions = [{ id: 0 }, { id: 1, kind: SeriesKind.GAUGE, name: 'g' }];
    collector.open('a').take(report('e', definitions, { 0: [3], 1: [1] }));
    collector.open('b').take(report('e', definitions, { 0: [4], 1: [1] }));
    collector.forget('a');
    assert.deepEqual(values(collector), { c_total: 7, g: 1 });
    collector.open('b').take(report('again', definitions, { 1: [1] }));
    assert.deepEqual(values(collector), { c_total: 7, g: 1 });
    collector.forget('nobody');
  });

  it('tells requests to its window', () => {
    const collector = collect();
    const row = Array.from({ length: requestLayout.length }, () => 0);
    row[requestLayout.count] = 5;
    const labels = ['reporter', 'source', 'source_workload', 'a', 'response_code', '200'];
    collector.open('a').take(report('e', [{ kind: SeriesKind.REQUESTS, name: '', labels }], { 0: row }));
    assert.equal(collector.window.edges('source')[0]?.rate, 5);
  });

  it('counts calls of gRPC as failed by their status, where that blames the server', () => {
    const collector = collect();
    const row = Array.from({ length: requestLayout.length }, () => 0);
    row[requestLayout.count] = 1;
    const statuses = ['0', '1', '2', '3', '4', '5', '7', '8', '12', '13', '14', '15', '16', '-1'];
    const definitions = statuses.map((status, id) => ({
      id,
      kind: SeriesKind.REQUESTS,
      name: '',
      labels: ['reporter', 'source', 'response_code', '200', 'grpc_response_status', status, 'source_workload', status],
    }));
    collector.open('a').take(report('e', definitions, Object.fromEntries(statuses.map((_, id) => [id, row]))));
    const failed = collector.window.edges('source').filter(({ successRate }) => successRate === 0);
    assert.deepEqual(
      failed.map(({ source }) => Number(source)).sort((a, b) => a - b),
      [-1, 2, 4, 8, 12, 13, 14, 15],
    );
  });

  it('takes counts of messages, whose names no other series may have', () => {
    const collector = collect();
    const names = ['istio_request_messages_total', 'istio_response_messages_total', 'istio_request_messages_total_x'];
    collector.open('a').take(
      report(
        'e',
        names.map((name, id) => ({ id, name })),
        { 0: [1], 1: [2], 2: [3] },
      ),
    );
    assert.deepEqual(values(collector), { istio_request_messages_total: 1, istio_response_messages_total: 2 });
  });

  it('remembers the certificate that a workload last showed, until it is gone', () => {
    const collector = collect();
    const { take } = collector.open('a');
    const shown = (notAfterMs: bigint) =>
      create(ReportSchema, { epoch: 'e', certificate: { spiffeId: 'spiffe://td/ns/n/sa/a', notAfterMs } });
    take(shown(1n));
    take(shown(2n));
    take(report('e', [], {}));
    assert.equal(collector.certificates.get('a')?.notAfterMs, 2n);
    collector.forget('a');
    assert.equal(collector.certificates.size, 0);
  });
});

describe('a proxy of several processes', () => {
  const says = (worker: number, epoch: string, fields: Parameters<typeof create<typeof ReportSchema>>[1] = {}) =>
    create(ReportSchema, { ...fields, epoch, worker });
  const applied = (version: string) => ({ applied: [{ typeUrl: 't', version, resources: 1, waiting: 0 }] });
  const versions = (collector: Collector) => collector.appliedBy('a').map(([one]) => one?.version);

  it('is the sum of them, and one that is started again changes nothing of the others', () => {
    const collector = collect();
    const definitions = [{ id: 0 }, { id: 1, kind: SeriesKind.GAUGE, name: 'g' }];
    const says3 = (worker: number, epoch: string, count: number) =>
      collector.open('a').take({ ...report(epoch, definitions, { 0: [count], 1: [1] }), worker });
    says3(0, 'x', 3);
    says3(1, 'y', 4);
    assert.deepEqual(values(collector), { c_total: 7, g: 2 });
    says3(1, 'z', 1);
    assert.deepEqual(values(collector), { c_total: 8, g: 2 });
    says3(0, 'x', 5);
    assert.deepEqual(values(collector), { c_total: 10, g: 2 });
    collector.forget('a');
    assert.deepEqual(values(collector), { c_total: 10, g: 0 });
  });

  it('has what each of them says is in force, as long as its stream is open', () => {
    const collector = collect();
    const [first, second] = [collector.open('a'), collector.open('a')];
    first.take(says(0, 'x', applied('1')));
    second.take(says(1, 'y', applied('2')));
    assert.deepEqual(versions(collector), ['1', '2']);
    first.close();
    assert.deepEqual(versions(collector), ['2']);
    const again = collector.open('a');
    again.take(says(1, 'y', applied('3')));
    second.close();
    assert.deepEqual(versions(collector), ['3'], 'the next stream of the same process was there before');
  });

  it('shows the certificate that ends first', () => {
    const collector = collect();
    const certificate = (notAfterMs: bigint) => ({ certificate: { spiffeId: 's', notAfterMs } });
    collector.open('a').take(says(0, 'x', certificate(9n)));
    collector.open('a').take(says(1, 'y', certificate(5n)));
    assert.equal(collector.certificates.get('a')?.notAfterMs, 5n);
    collector.open('a').take(says(1, 'z', certificate(10n)));
    assert.equal(collector.certificates.get('a')?.notAfterMs, 9n);
  });

  it('has 256 at most', () => {
    const collector = collect();
    collector.open('a').take(says(256, 'x', applied('1')));
    assert.deepEqual(versions(collector), []);
  });
});

describe('a report that no honest proxy sends', () => {
  for (const [what, definition] of [
    ['a kind that does not exist', { kind: 9 as SeriesKind }],
    ['no kind', { kind: SeriesKind.UNSPECIFIED }],
    ['more than 100 labels', { labels: Array.from({ length: 102 }, (_, i) => (i % 2 === 0 ? `l${i}` : 'v')) }],
    ['a label longer than 1024 characters', { labels: ['l', 'x'.repeat(1025)] }],
    ['a name longer than that', { name: 'x'.repeat(1025) }],
    ['a label without a value', { labels: ['l'] }],
    ['a label name that ends the sample', { labels: ['a="1"} 5\nevil{b', '1'] }],
    ['an empty label name', { labels: ['', '1'] }],
    ['the label le, which is that of buckets', { labels: ['le', '1'] }],
    ['a name that begins another line', { name: 'c 1\nevil' }],
    ['no name', { name: '' }],
    ['a name of the metrics that are counted otherwise', { name: 'istio_requests_total' }],
  ] as const)
    it(`with ${what} adds no row`, () => {
      const collector = collect();
      collector.open('a').take(report('e', [definition], { 0: [1] }));
      assert.deepEqual(values(collector), {});
    });

  for (const row of [[Number.NaN], [Number.POSITIVE_INFINITY], [1, 2], []])
    it(`with the values ${JSON.stringify(row.map(String))} changes nothing`, () => {
      const collector = collect();
      const { take } = collector.open('a');
      take(report('e', [{}], { 0: [1] }));
      take(report('e', [], { 0: row, 5: [1] }));
      assert.deepEqual(values(collector), { c_total: 1 });
    });

  it('with one name as counter and as gauge keeps the rows apart', () => {
    const collector = collect();
    collector.open('a').take(report('e', [{}, { id: 1, kind: SeriesKind.GAUGE }], { 0: [1], 1: [2] }));
    assert.deepEqual(
      [...collector.totals].map(({ kind, values: [value] }) => [kind, value]),
      [
        [SeriesKind.COUNTER, 1],
        [SeriesKind.GAUGE, 2],
      ],
    );
  });

  it('with a NUL in a label is not taken for one with more labels', () => {
    const collector = collect();
    const { take } = collector.open('a');
    take(report('e', [{ labels: ['a', 'b\0c\0d'] }, { id: 1, labels: ['a', 'b', 'c', 'd'] }], { 0: [1], 1: [2] }));
    assert.deepEqual(
      [...collector.totals].map(({ labels, values: [value] }) => [labels.length, value]),
      [
        [2, 1],
        [4, 2],
      ],
    );
  });
});

it('the collector keeps at most 100000 rows and counts the others', () => {
  const collector = collect();
  const { take } = collector.open('a');
  for (let start = 0; start < 100_100; start += 10_010)
    take(
      report(
        'e',
        Array.from({ length: 10_010 }, (_, i) => ({ id: start + i, labels: ['l', `${start + i}`] })),
        {},
      ),
    );
  assert.equal([...collector.totals].length, 100_000);
  assert.equal(collector.dropped, 100);
});
