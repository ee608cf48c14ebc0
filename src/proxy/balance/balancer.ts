// Chooses an endpoint for a request. All choices are O(1) but for the first after endpoints changed.

/** What a balancer looks at. */
export interface Candidate {
  /** Relative share; at least 1. */
  readonly weight: number;
  /** Requests and connections under way. */
  readonly active: number;
}

export interface Balancer<T extends Candidate> {
  /** An endpoint, or undefined where there is none. */
  pick(): T | undefined;
}

export type BalancerKind = 'least-request' | 'round-robin' | 'random';

/** @param random uniform in [0, 1); injected so that tests are exact */
export function createBalancer<T extends Candidate>(
  kind: BalancerKind,
  candidates: readonly T[],
  random: () => number,
): Balancer<T> {
  const slots = expand(candidates);
  switch (kind) {
    case 'round-robin':
      return new RoundRobin(slots, random);
    case 'random':
      return { pick: () => slots[Math.floor(random() * slots.length)] };
    case 'least-request':
      return { pick: () => lessBusy(slots, random) };
  }
}

/** Each candidate as often as its weight says, weights reduced by their greatest common divisor and bounded in number. */
function expand<T extends Candidate>(candidates: readonly T[]): readonly T[] {
  const divisor = candidates.reduce((common, candidate) => greatestCommonDivisor(common, candidate.weight), 0) || 1;
  const total = candidates.reduce((sum, candidate) => sum + candidate.weight / divisor, 0);
  const scale = Math.max(1, total / 10_000);
  return candidates.flatMap((candidate) =>
    Array.from({ length: Math.max(1, Math.round(candidate.weight / divisor / scale)) }, () => candidate),
  );
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** The less busy of two random ones: nearly as good as looking at all, and no herd runs to the same. */
function lessBusy<T extends Candidate>(slots: readonly T[], random: () => number): T | undefined {
  if (slots.length < 2) return slots[0];
  const first = Math.floor(random() * slots.length);
  let second = Math.floor(random() * (slots.length - 1));
  if (second >= first) second++;
  const a = slots[first]!;
  const b = slots[second]!;
  return b.active < a.active ? b : a;
}

class RoundRobin<T extends Candidate> implements Balancer<T> {
  readonly #slots: readonly T[];
  #next: number;

  /** Starts anywhere, so that proxies started together do not all begin with the same endpoint. */
  constructor(slots: readonly T[], random: () => number) {
    this.#slots = slots;
    this.#next = Math.floor(random() * slots.length);
  }

  pick(): T | undefined {
    const picked = this.#slots[this.#next % this.#slots.length];
    this.#next = (this.#next + 1) % Math.max(1, this.#slots.length);
    return picked;
  }
}
