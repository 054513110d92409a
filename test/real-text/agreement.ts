/** How often margins agree with people, and how sure one can be of it. Pure. */

/** A mean with the interval that holds the true one 19 times of 20. */
export type Estimate = { readonly mean: number; readonly low: number; readonly high: number };

/** 95%, two-sided */
const Z = 1.959964;

/** 1 for a pair whose margin (chosen less rejected) is above 0, ½ for a tie, else 0. */
export function agreements(margins: readonly number[]): number[] {
  return margins.map((margin) => (Math.sign(margin) + 1) / 2);
}

/**
 * Several runs as one, pair by pair: runs judged by the same pairs are no new pairs, so an interval of theirs is
 * over pairs too.
 * @param runs [runs][pairs], of one length
 * @returns [pairs]
 */
export function meanOfRuns(runs: readonly (readonly number[])[]): number[] {
  const [first = []] = runs;
  return first.map((_, pair) => meanOf(runs.map((run) => run[pair] ?? Number.NaN)));
}

/**
 * Mean of the pairs' values by the normal approximation, which is within a tenth of a point of Wilson's for
 * hundreds of pairs, and unlike it takes ties, means of runs and differences.
 */
export function estimateOf(values: readonly number[]): Estimate {
  const mean = meanOf(values);
  const variance = meanOf(values.map((value) => (value - mean) ** 2));
  const reach = Z * Math.sqrt(variance / values.length);
  return { mean, low: mean - reach, high: mean + reach };
}

/** By how much the first agrees more often, pair by pair: much surer than two intervals side by side. */
export function differenceOf(one: readonly number[], other: readonly number[]): Estimate {
  return estimateOf(one.map((value, pair) => value - (other[pair] ?? Number.NaN)));
}

/** In what share of the pairs two take the same answer; a tie is half with either. */
export function samenessOf(one: readonly number[], other: readonly number[]): number {
  return meanOf(one.map((value, pair) => 1 - Math.abs(value - (other[pair] ?? Number.NaN))));
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
