// What all rounds found for one row, and what follows from it. Ratios are taken within a round, where both sides met the same
// machine, and then compared.
import { median } from './statistics.js';
import type { Figure, Row, Target, Values } from './rows/row.js';

/** Our own pair. */
export const ownPair = 'lateen';

export interface RowResult {
  readonly row: Row;
  /** A round: what each pair measured, by name. */
  readonly rounds: readonly ReadonlyMap<string, Values>[];
  /** Pairs that were not measured, and why. */
  readonly leftOut: readonly { readonly pair: string; readonly why: string }[];
}

export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Undefined where there is no value. */
export function findSpread(values: readonly number[]): Spread | undefined {
  const known = values.filter(Number.isFinite);
  return known.length === 0 ? undefined : { median: median(known), low: Math.min(...known), high: Math.max(...known) };
}

/** One figure of one pair over the rounds. */
export function findFigure({ rounds }: RowResult, pair: string, key: string): Spread | undefined {
  return findSpread(rounds.flatMap((round) => round.get(pair)?.[key] ?? []));
}

/** One figure of ours as a ratio to that of another pair, a value a round in which both were measured. */
export function findRatio({ rounds }: RowResult, against: string, key: string): Spread | undefined {
  return findSpread(
    rounds.flatMap((round) => {
      const own = round.get(ownPair)?.[key];
      const other = round.get(against)?.[key];
      return own === undefined || other === undefined || other === 0 ? [] : [own / other];
    }),
  );
}

export interface Verdict {
  readonly row: Row;
  readonly figure: Figure;
  readonly target: Target;
  readonly found: Spread | undefined;
  /** Undefined where it was not measured. */
  readonly isMet: boolean | undefined;
}

/** What is asked of the row, and whether it is so; the median decides. */
export function judge(result: RowResult): Verdict[] {
  const { row } = result;
  return row.targets.map((target) => {
    const found =
      target.of === undefined
        ? findFigure(result, ownPair, target.figure)
        : findRatio(result, target.of, target.figure);
    const figure = row.figures.find(({ key }) => key === target.figure)!;
    return { row, figure, target, found, isMet: found === undefined ? undefined : found.median <= target.atMost };
  });
}

/** Every pair of which something is known, in the order in which they were measured first. */
export function pairsOf({ rounds }: RowResult, order: readonly string[]): string[] {
  return order.filter((pair) => rounds.some((round) => round.has(pair)));
}
