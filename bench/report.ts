// Results as tables: for a terminal, and as the page docs/benchmarks.md.
import { formatTable } from '../src/cli/table.js';
import { findFigure, findRatio, judge, ownPair, pairsOf, type RowResult, type Spread } from './results.js';

type Table = readonly (readonly string[])[];

/** Header first. A cell is the median, and in brackets the lowest and highest of the rounds. */
export function tableOf(result: RowResult, order: readonly string[]): Table {
  const { row } = result;
  return [
    ['pair', ...row.figures.map(({ title }) => title)],
    ...pairsOf(result, order).map((pair) => [
      pair,
      ...row.figures.map(({ key, digits, ofProxies }) =>
        ofProxies === true && pair === 'direct' ? '-' : format(findFigure(result, pair, key), digits),
      ),
    ]),
  ];
}

/** Ours beside every other pair; header first. */
export function ratiosOf(result: RowResult, order: readonly string[]): Table {
  const figures = result.row.figures.filter(({ isInformation }) => isInformation !== true);
  const others = pairsOf(result, order).filter((pair) => pair !== ownPair);
  if (result.rounds.every((round) => !round.has(ownPair)) || others.length === 0) return [];
  return [
    [`${ownPair} / ...`, ...figures.map(({ title }) => title.replace(/ \S+$/, ''))],
    ...others.map((other) => [
      other,
      ...figures.map(({ key, ofProxies }) =>
        ofProxies === true && other === 'direct' ? '-' : format(findRatio(result, other, key), 2),
      ),
    ]),
  ];
}

/** What is asked, and whether it is so; header first. */
export function verdictsOf(results: readonly RowResult[]): Table {
  const verdicts = results.flatMap(judge).filter(({ found }) => found !== undefined);
  if (verdicts.length === 0) return [];
  return [
    ['row', 'figure', 'beside', 'at most', 'found', 'met'],
    ...verdicts.map(({ row, figure, target, found, isMet }) => [
      row.name,
      figure.title,
      target.of ?? '-',
      target.atMost.toFixed(target.of === undefined ? 0 : 2),
      format(found, target.of === undefined ? figure.digits : 2),
      isMet === true ? 'yes' : 'NO',
    ]),
  ];
}

function format(spread: Spread | undefined, digits: number): string {
  if (spread === undefined) return '-';
  const { median, low, high } = spread;
  const [middle, lowest, highest] = [median, low, high].map((value) => value.toFixed(digits));
  return lowest === highest ? middle! : `${middle} (${lowest}-${highest})`;
}

/** For a terminal. */
export function formatReport(results: readonly RowResult[], order: readonly string[]): string {
  const print = ([header, ...rows]: Table) => (header === undefined ? '' : `${formatTable(header, rows)}\n`);
  return [
    ...results.map(
      (result) =>
        `\n${result.row.name}: ${result.row.title}\n${print(tableOf(result, order))}${print(ratiosOf(result, order))}${result.leftOut.map(({ pair, why }) => `left out: ${pair}, ${why}\n`).join('')}`,
    ),
    `\n${print(verdictsOf(results))}`,
  ].join('');
}

export interface PageFacts {
  /** One line each: machine, versions. */
  readonly facts: readonly string[];
  readonly command: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly memorySeconds: number;
  readonly dateIso: string;
  readonly commit: string;
  /** File name of the chart, beside the page. */
  readonly chart: string;
  /** What was written by hand below, with its heading. */
  readonly kept: string;
}

/** Below this heading a page is written by hand, and stays. */
export const keptHeading = '## Earlier figures';

export function keptOf(page: string): string {
  const at = page.indexOf(keptHeading);
  return at < 0 ? '' : page.slice(at);
}

export function formatPage(results: readonly RowResult[], order: readonly string[], facts: PageFacts): string {
  const verdicts = verdictsOf(results);
  return `# Benchmarks

Written by \`${facts.command}\` on ${facts.dateIso.slice(0, 10)} at commit ${facts.commit}: ${facts.rounds} rounds of ${facts.seconds} s a
figure. All pairs run at once and take turns, row by row, so that each meets the same machine; memory is measured alone, once, after
${facts.memorySeconds} s of load. A figure is the median of the rounds (lowest - highest); ratios are taken within a round. CPU is the time that
all threads of a proxy ran. The load generator and the backend share the cores: only the ratios mean something.

${facts.facts.map((fact) => `- ${fact}`).join('\n')}

![CPU of each pair beside Envoy's](${facts.chart})

## Targets

${verdicts.length === 0 ? 'None of the rows that were measured has one.' : formatMarkdown(verdicts)}

${results.map((result) => sectionOf(result, order)).join('\n')}
## What the pairs do

All: mTLS 1.3 between two proxies, the caller's authority checked, keep-alive on both sides. For HTTP also: request id, the client's
certificate forwarded, an access log line formatted. Envoy and Lateen besides: SPIFFE identity of the peer checked on both sides, a
95/5 split, the caller authorised; for HTTP retries and counters of requests. HAProxy checks the server's authority, nginx does
not. Lateen besides: all of Istio's labels on counters and histograms for both reporters, and trace headers.
${facts.kept === '' ? '' : `\n${facts.kept}`}`;
}

function sectionOf(result: RowResult, order: readonly string[]): string {
  const ratios = ratiosOf(result, order);
  return `## ${result.row.name}

${result.row.title}.

${formatMarkdown(tableOf(result, order))}
${ratios.length === 0 ? '' : `\n${formatMarkdown(ratios)}\n`}${result.leftOut.map(({ pair, why }) => `\nLeft out: ${pair}, ${why}.`).join('')}${result.leftOut.length > 0 ? '\n' : ''}`;
}

export function formatMarkdown([header = [], ...rows]: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
