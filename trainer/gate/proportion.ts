/** Shares of a count, and how sure one can be of them. Pure arithmetic. */

/** `count` of `total`. */
export type Proportion = { readonly count: number; readonly total: number };

/** 95%, two-sided */
const Z = 1.959964;

/** Counts where `holds` is true. */
export function proportionOf(holds: readonly boolean[]): Proportion {
  return { count: holds.filter(Boolean).length, total: holds.length };
}

/** The share; 0 of nothing. */
export function shareOf({ count, total }: Proportion): number {
  return total === 0 ? 0 : count / total;
}

/**
 * Wilson's score interval of 95% (Wilson 1927), which unlike the normal one is sound for few trials
 * and shares near 0 and 1. [0, 1] of nothing.
 */
export function wilsonInterval({ count, total }: Proportion): {
  readonly low: number;
  readonly high: number;
} {
  if (total === 0) return { low: 0, high: 1 };
  const share = count / total;
  const middle = share + Z ** 2 / (2 * total);
  const spread = Z * Math.sqrt((share * (1 - share)) / total + Z ** 2 / (4 * total ** 2));
  const scale = 1 + Z ** 2 / total;
  return {
    low: Math.max(0, (middle - spread) / scale),
    high: Math.min(1, (middle + spread) / scale),
  };
}
