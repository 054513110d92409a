/**
 * Bounds what one person can teach the model. Pure; it knows nothing of what the pairs say.
 * A pair counts for each of its raters by their share in it, so agreeing with others is cheap.
 */
import type { Drop, EvidencedPair } from "./pair.ts";

/** How much of the data set one person may decide. */
export type RaterCap = {
  /** Of all pairs, (0, 1]. */
  readonly share: number;
  /** Pairs that everyone may decide however few there are, so that a community of one can learn. */
  readonly atLeast: number;
};

/** What a cap looks at, of pairs and of single answers. */
type Capped = Pick<EvidencedPair, "id" | "evidence" | "atMs">;

/**
 * Keeps the best-supported pairs first (more raters, then newer), until a rater's cap is reached.
 * @returns pairs in order of their ids
 */
export function capRaters<T extends Capped>(
  pairs: readonly T[],
  cap: RaterCap,
): { pairs: T[]; drops: Drop[] } {
  const limit = Math.max(cap.atLeast, Math.floor(pairs.length * cap.share));
  const decided = new Map<string, number>();
  const kept: T[] = [];
  const drops: Drop[] = [];
  for (const pair of [...pairs].sort(bySupport)) {
    const { raterKeys, candidateIds } = pair.evidence;
    const portion = 1 / Math.max(1, raterKeys.length);
    const isOver = raterKeys.some((rater) => (decided.get(rater) ?? 0) + portion > limit + 1e-9);
    if (isOver) {
      drops.push({ reason: "rater_cap", candidateIds });
      continue;
    }
    kept.push(pair);
    for (const rater of raterKeys) decided.set(rater, (decided.get(rater) ?? 0) + portion);
  }
  return { pairs: kept.sort((a, b) => (a.id < b.id ? -1 : 1)), drops };
}

function bySupport(a: Capped, b: Capped): number {
  const more = b.evidence.raterKeys.length - a.evidence.raterKeys.length;
  return more || b.atMs - a.atMs || (a.id < b.id ? -1 : 1);
}
