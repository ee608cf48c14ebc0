// What the bench makes of its measurements: ratios, verdicts, page, chart and options.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawChart } from './chart.js';
import { readOptions } from './options.js';
import { formatPage, keptHeading, keptOf, verdictsOf } from './report.js';
import { findRatio, type RowResult } from './results.js';
import { allRows } from './rows/all.js';
import { http1Small } from './rows/http1.js';
import { connectionsTo } from './rows/new-connections.js';
import { quantile } from './statistics.js';

const round = (lateen: number, envoy: number) =>
  new Map(
    Object.entries({ lateen, 'envoy-h1': envoy }).map(([name, micros]) => [
      name,
      { client: micros, server: micros, p50: 1, p99: 2, rate: 3, errors: 0 },
    ]),
  );
const result: RowResult = {
  row: http1Small,
  rounds: [round(10, 20), round(40, 50), round(9, 30)],
  leftOut: [{ pair: 'nginx', why: 'it is away' }],
};
const order = ['envoy-h1', 'lateen'];

describe('results of the bench', () => {
  it('compare within a round, not between medians', () => {
    assert.deepEqual(findRatio(result, 'envoy-h1', 'client'), { median: 0.5, low: 0.3, high: 0.8 });
  });

  it('are held to the targets of their row by the median; what was not measured is not judged', () => {
    const verdicts = verdictsOf([result]).slice(1);
    assert.deepEqual(verdicts, [
      ['h1-small', 'client us/request', 'envoy-h1', '0.35', '0.50 (0.30-0.80)', 'NO'],
      ['h1-small', 'server us/request', 'envoy-h1', '0.35', '0.50 (0.30-0.80)', 'NO'],
      ['h1-small', 'p99 ms', 'envoy-h1', '1.00', '1.00', 'yes'],
    ]);
  });

  it('make a page that names what was left out and keeps what was written by hand', () => {
    const kept = `${keptHeading}\n\nOnce upon a time.\n`;
    const page = formatPage([result], order, {
      facts: ['a machine'],
      command: 'npm run bench',
      rounds: 3,
      seconds: 8,
      memorySeconds: 60,
      dateIso: '2026-01-02T03:04:05Z',
      commit: 'abc',
      chart: 'chart.svg',
      kept,
    });
    assert.match(page, /Left out: nginx, it is away\./);
    assert.equal(keptOf(page), kept);
  });

  it('make a chart with a bar for each pair beside the yardstick', () => {
    const chart = drawChart([result], order);
    assert.equal(chart.match(/<rect /g)?.length, 2);
    assert.match(chart, />1\.00 \(= 1\)</);
    assert.match(chart, />0\.33</);
  });
});

describe('the rows of the bench', () => {
  it('have names of their own, and targets for figures that they have', () => {
    assert.equal(new Set(allRows.map(({ name }) => name)).size, allRows.length);
    for (const { name, figures, targets } of allRows)
      for (const { figure } of targets)
        assert.ok(
          figures.some(({ key }) => key === figure),
          `${name}: ${figure}`,
        );
  });

  it('are one where a limit is given and none is named', () => {
    const rowsOf = (...args: string[]) => readOptions(['node', 'bench', ...args], [], []).rows;
    assert.equal(rowsOf(), undefined);
    assert.equal(rowsOf('--limit', '2.25'), 'h1-small');
    assert.equal(rowsOf('--limit', '2.25', '--rows', 'idle'), 'idle');
  });
});

describe('numbers of the bench', () => {
  it('are the smallest value that covers a part of them', () => {
    assert.equal(quantile([5, 1, 4, 2, 3], 0.5), 3);
    assert.equal(quantile([1, 2], 0.99), 2);
    assert.ok(Number.isNaN(quantile([], 0.5)));
  });

  it('count connections to a port by their near end, also those that wait out their time', () => {
    const table = `  sl  local_address rem_address   st
   0: 0100007F:46A2 00000000:0000 0A 00000000:00000000
   1: 0100007F:C001 0100007F:46A2 01 00000000:00000000
   2: 0100007F:C002 0100007F:46A2 06 00000000:00000000
   3: 0100007F:46A2 0100007F:C001 01 00000000:00000000
`;
    assert.deepEqual([...connectionsTo(18082, table)], ['0100007F:C001', '0100007F:C002']);
  });
});
