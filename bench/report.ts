// Numbers of all rounds as a table. Ratios are taken within a round, where both sides met the same machine, and then compared.
import { formatTable } from '../src/cli/table.js';
import type { Measurement } from './measure.js';

/** One round: what each pair measured, by name. */
export type Round = ReadonlyMap<string, Measurement>;

type Number_ = Exclude<keyof Measurement, 'errors'>;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Ratios of one number between two pairs, a value a round in which both were measured. */
export function ratiosOf(rounds: readonly Round[], name: string, against: string, key: Number_): number[] {
  return rounds.flatMap((round) => {
    const own = round.get(name)?.[key];
    const other = round.get(against)?.[key];
    return own === undefined || other === undefined || other === 0 ? [] : [own / other];
  });
}

/** The figures of every pair: the median over the rounds. */
export function formatFigures(rounds: readonly Round[], names: readonly string[]): string[][] {
  return names.map((name) => {
    const of = (key: keyof Measurement) => median(rounds.flatMap((round) => round.get(name)?.[key] ?? []));
    const has = of('clientMicros') > 0;
    return [
      name,
      of('requestsPerSecond').toFixed(0),
      has ? of('clientMicros').toFixed(1) : '-',
      has ? of('serverMicros').toFixed(1) : '-',
      of('p50Ms').toFixed(2),
      of('p99Ms').toFixed(2),
      of('oneConnectionMicros').toFixed(0),
      has ? of('clientMb').toFixed(0) : '-',
      has ? of('serverMb').toFixed(0) : '-',
      of('errors').toFixed(0),
    ];
  });
}

export const figureHeader = [
  'PAIR',
  'REQUESTS/S',
  'CLIENT us/req',
  'SERVER us/req',
  'P50 ms',
  'P99 ms',
  '1 CONN us',
  'CLIENT MB',
  'SERVER MB',
  'ERRORS',
];

/** Ours against every other pair: lowest - median - highest of the ratios of the rounds. */
export function formatRatios(rounds: readonly Round[], own: string, others: readonly string[]): string[][] {
  const keys = ['clientMicros', 'serverMicros', 'p99Ms', 'oneConnectionMicros', 'clientMb', 'serverMb'] as const;
  return others.flatMap((other) => {
    const cells = keys.map((key) => {
      const ratios = ratiosOf(rounds, own, other, key).filter((ratio) => ratio > 0);
      if (ratios.length === 0) return '-';
      const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
      return `${median(ratios).toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)})`;
    });
    return [[other, ...cells]];
  });
}

export const ratioHeader = [
  'LATEEN / ...',
  'CLIENT CPU',
  'SERVER CPU',
  'P99',
  '1 CONN',
  'CLIENT MEMORY',
  'SERVER MEMORY',
];

/** For a terminal. */
export function formatReport(rounds: readonly Round[], names: readonly string[]): string {
  const others = names.filter((name) => name !== 'lateen');
  return [
    formatTable(figureHeader, formatFigures(rounds, names)),
    names.includes('lateen') ? formatTable(ratioHeader, formatRatios(rounds, 'lateen', others)) : '',
  ].join('\n');
}

export function formatMarkdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
