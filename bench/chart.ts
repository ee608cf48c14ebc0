// The benchmarks as one picture: CPU of both proxies together, each row beside Envoy's. SVG, legible on light and dark.
import { findFigure, pairsOf, type RowResult } from './results.js';

/** What the others are compared with: the first that was measured. */
const yardsticks = ['envoy-h2', 'envoy-h1'];
const colours: Readonly<Record<string, string>> = {
  nginx: '#4c9f70',
  'haproxy-h1': '#e0a458',
  'haproxy-h2': '#c9762b',
  'envoy-h1': '#b58bd9',
  'envoy-h2': '#8e5bbf',
  lateen: '#2f7fd6',
};
const width = 760;
const labelWidth = 190;
const barHeight = 13;
const rowGap = 26;

interface Bar {
  readonly pair: string;
  readonly ratio: number;
}

interface Group {
  readonly name: string;
  readonly yardstick: string;
  readonly bars: readonly Bar[];
}

/** Rows that count both sides, where one of the yardsticks was measured. */
function groupsOf(results: readonly RowResult[], order: readonly string[]): Group[] {
  return results.flatMap((result) => {
    const sides = ['client', 'server'].filter((key) => result.row.figures.some((figure) => figure.key === key));
    if (sides.length < 2) return [];
    const sumOf = (pair: string) =>
      sides.reduce((sum, key) => sum + (findFigure(result, pair, key)?.median ?? Number.NaN), 0);
    const yardstick = yardsticks.find((pair) => sumOf(pair) > 0);
    if (yardstick === undefined) return [];
    const bars = pairsOf(result, order)
      .filter((pair) => pair in colours)
      .map((pair) => ({ pair, ratio: sumOf(pair) / sumOf(yardstick) }));
    return [{ name: result.row.name, yardstick, bars }];
  });
}

export function drawChart(results: readonly RowResult[], order: readonly string[]): string {
  const groups = groupsOf(results, order);
  const longest = Math.max(1, ...groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio)));
  const scale = (width - labelWidth - 60) / longest;
  const lines: string[] = [];
  let y = 46;
  for (const { name, yardstick, bars } of groups) {
    lines.push(
      `<text class="name" x="${labelWidth - 96}" y="${y + barHeight}" text-anchor="end">${name}</text>`,
      ...bars.flatMap(({ pair, ratio }, index) => {
        const top = y + index * (barHeight + 2);
        const length = Math.max(1, ratio * scale);
        return [
          `<text x="${labelWidth - 8}" y="${top + barHeight - 3}" text-anchor="end">${pair}</text>`,
          `<rect x="${labelWidth}" y="${top}" width="${length.toFixed(1)}" height="${barHeight}" rx="2" fill="${colours[pair]}"/>`,
          `<text x="${(labelWidth + length + 5).toFixed(1)}" y="${top + barHeight - 3}">${ratio.toFixed(2)}${pair === yardstick ? ' (= 1)' : ''}</text>`,
        ];
      }),
    );
    y += bars.length * (barHeight + 2) + rowGap;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" role="img" aria-label="Cost of each pair beside Envoy's, lower is better">
<style>
  text { font: 11px system-ui, sans-serif; fill: #24292f; }
  .name, .title { font-weight: 600; }
  .title { font-size: 13px; }
  @media (prefers-color-scheme: dark) { text { fill: #d7dde3; } }
</style>
<text class="title" x="12" y="22">Both proxies together, beside Envoy's (1); lower is better. CPU, and memory in the last group</text>
${lines.join('\n')}
</svg>
`;
}
