// Chooses among things by their shares of the whole.

export interface Weighted {
  /** Relative to the sum of all; 0 is never chosen beside others. */
  readonly weight: number;
}

/** One of `items`, whose weights add up to `totalWeight`; a sole one whatever its weight is. `random` gives [0, 1). */
export function pickByWeight<T extends Weighted>(
  items: readonly T[],
  totalWeight: number,
  random: () => number,
): T | undefined {
  if (items.length === 1) return items[0];
  let point = random() * totalWeight;
  for (const item of items) {
    point -= item.weight;
    if (point < 0) return item;
  }
  return items.at(-1);
}
