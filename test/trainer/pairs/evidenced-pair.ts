/** A pair of which only its place, its prompt and who decided it matter. */
import type { EvidencedPair } from "#trainer/pairs/pair.ts";

/** @param index names the pair and says when it was made, in milliseconds; and voted on, unless said */
export function evidencedPair(
  index: number,
  promptKey: string,
  raterKeys: readonly string[],
  votedAtMs = index,
): EvidencedPair {
  return {
    id: `p${index}`,
    prompt: [{ role: "user", content: promptKey }],
    promptKey,
    chosen: "a",
    rejected: "b",
    weight: 1,
    origin: "feedback",
    personKeys: ["asker"],
    evidence: { candidateIds: [`c${index}`], exchangeIds: [], raterKeys },
    atMs: index,
    votedAtMs,
  };
}
