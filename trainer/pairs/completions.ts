/** Pairs as single rated answers, as KTO takes them. Pure. */
import type { PreferencePair, RatedCompletion } from "../data/preference.ts";
import { sha256 } from "./pair.ts";

/**
 * Both answers of each pair, the chosen as liked and the rejected as disliked; an answer that stands in several
 * pairs comes once, with the greatest of their weights.
 */
export function ratedCompletions(pairs: readonly PreferencePair[]): readonly RatedCompletion[] {
  const byContent = new Map<string, RatedCompletion>();
  for (const { prompt, chosen, rejected, weight } of pairs) {
    for (const [completion, isDesirable] of [
      [chosen, true],
      [rejected, false],
    ] as const) {
      const id = sha256(JSON.stringify([prompt, completion, isDesirable])).slice(0, 32);
      const known = byContent.get(id);
      const greatest = Math.max(weight, known?.weight ?? 0);
      byContent.set(id, { id, prompt, completion, isDesirable, weight: greatest });
    }
  }
  return [...byContent.values()];
}
