// Spans go to the collector in batches; what it does not take in time is dropped and counted, never kept without bound.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { SpanCollector } from '../../../test/harness/span-collector.js';
import { eventually } from '../../../test/harness/mesh.js';
import {
  batchSpans,
  mostPostedSpans,
  mostWaitingSpans,
  mostWaitingText,
  SpanExporter,
  type SpanExporterOptions,
} from './span-exporter.js';

const never = 1e6;

let collector: SpanCollector;
let exporters: SpanExporter[];
beforeEach(async () => {
  collector = await SpanCollector.start();
  exporters = [];
});
afterEach(async () => {
  for (const exporter of exporters) exporter.close();
  await collector.close();
});

function create(options: Partial<SpanExporterOptions> = {}) {
  const counts = { sent: 0, dropped: 0, failures: [] as string[] };
  const exporter = new SpanExporter({
    findCollector: () => ({ address: '127.0.0.1', port: collector.port }),
    path: '/api/v2/spans',
    hostname: 'zipkin.example',
    onSent: (spans) => (counts.sent += spans),
    onDropped: (spans) => (counts.dropped += spans),
    onFailing: (reason) => counts.failures.push(reason),
    intervalMs: never,
    ...options,
  });
  exporters.push(exporter);
  const report = (count: number, name = 'x') => {
    for (let i = 0; i < count; i++) exporter.report(`{"name":"${name}"}`);
  };
  return { exporter, counts, report };
}

describe('spans', () => {
  it('wait for company no longer than the interval', async () => {
    const { report, counts } = create({ intervalMs: 1 });
    report(2);
    await collector.nextPost();
    assert.equal(collector.spans.length, 2);
    await eventually(() => counts.sent === 2, 'they count as sent');
    const [{ method, url, headers }] = collector.posts as [SpanCollector['posts'][number]];
    assert.deepEqual(
      [method, url, headers.host, headers['content-type']],
      ['POST', '/api/v2/spans', 'zipkin.example', 'application/json'],
    );
  });

  it('go at once when there are enough', async () => {
    const { report } = create();
    report(batchSpans);
    await collector.nextPost();
    assert.equal(collector.spans.length, batchSpans);
  });

  it('go one post after another, over one connection, what came meanwhile together', async () => {
    collector.status = undefined;
    const { report, counts, exporter } = create();
    report(batchSpans);
    await collector.nextPost();
    report(mostPostedSpans + 1);
    collector.release(202);
    await exporter.flush(never);
    assert.deepEqual(
      collector.posts.map(({ spans }) => spans.length),
      [batchSpans, mostPostedSpans, 1],
    );
    assert.deepEqual(counts, { sent: batchSpans + mostPostedSpans + 1, dropped: 0, failures: [] });
    assert.equal(collector.connections, 1);
  });

  it('may hold text of any language', async () => {
    const { report, exporter } = create();
    report(1, 'gr\u00fc\u00dfe \u{1f600}');
    await exporter.flush(never);
    assert.equal(collector.spans[0]!.name, 'gr\u00fc\u00dfe \u{1f600}');
  });
});

describe('a collector', () => {
  it('that is slow costs spans beyond what may wait, and no memory', async () => {
    collector.status = undefined;
    const { report, counts, exporter } = create();
    report(batchSpans);
    await collector.nextPost();
    report(mostWaitingSpans + 7);
    assert.equal(counts.dropped, 7);
    collector.release(202);
    await exporter.flush(never);
    assert.deepEqual(counts, { sent: batchSpans + mostWaitingSpans, dropped: 7, failures: [] });
  });

  it('that is slow costs long spans sooner', async () => {
    collector.status = undefined;
    const { report, counts } = create();
    report(batchSpans);
    await collector.nextPost();
    report(5, 'x'.repeat(mostWaitingText / 4));
    assert.equal(counts.dropped, 2);
  });

  it('that never answers is given up', async () => {
    collector.status = undefined;
    const { report, counts, exporter } = create({ timeoutMs: 50 });
    report(3);
    await exporter.flush(never);
    assert.deepEqual(counts, { sent: 0, dropped: 3, failures: ['no answer within 50 ms'] });
  });

  it('that refuses is told of once, until it takes spans again', async () => {
    const { report, counts, exporter } = create();
    for (const status of [500, 404, 202, 503]) {
      collector.status = status;
      report(1);
      await exporter.flush(never);
    }
    assert.deepEqual(counts, {
      sent: 1,
      dropped: 3,
      failures: ['the collector answered with 500', 'the collector answered with 503'],
    });
  });

  it('that failed gets the next batch in its own time, however full it is', async () => {
    const { report, counts, exporter } = create();
    collector.status = 500;
    report(1);
    await exporter.flush(never);
    report(3 * batchSpans);
    assert.equal(collector.posts.length, 1);
    collector.status = 202;
    await exporter.flush(never);
    assert.deepEqual([counts.sent, counts.dropped], [3 * batchSpans, 1]);
  });

  it('that has no address, or is not there, takes nothing', async () => {
    const without = create({ findCollector: () => undefined });
    without.report(2);
    await without.exporter.flush(never);
    assert.deepEqual(without.counts, { sent: 0, dropped: 2, failures: ['the collector has no address'] });
    const { port } = collector;
    await collector.close();
    const gone = create({ findCollector: () => ({ address: '127.0.0.1', port }) });
    gone.report(2);
    await gone.exporter.flush(never);
    assert.equal(gone.counts.dropped, 2);
    assert.match(gone.counts.failures[0]!, /ECONNREFUSED/);
    collector = await SpanCollector.start();
  });

  it('that closed the connection meanwhile gets the spans over another', async () => {
    const { report, counts, exporter } = create();
    report(1);
    await exporter.flush(never);
    collector.resetNext();
    report(1);
    await exporter.flush(never);
    assert.deepEqual(counts, { sent: 2, dropped: 0, failures: [] });
  });
});

describe('the end', () => {
  it('waits for the collector no longer than it is told', async () => {
    collector.status = undefined;
    const { report, counts, exporter } = create();
    report(1);
    await exporter.flush(10);
    assert.equal(counts.sent, 0);
    exporter.close();
    await eventually(() => counts.dropped === 1, 'what was under way is lost');
  });
  it('with nothing to send is at once', async () => {
    const { exporter } = create();
    await exporter.flush(never);
    assert.equal(collector.connections, 0);
  });
});
