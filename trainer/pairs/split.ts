/**
 * Sets pairs aside for the gate. Pure. A prompt lies wholly on one side, by its hash, so that it lies
 * on the same side every night and no adapter is judged on prompts that an earlier one learnt.
 */
import { type EvidencedPair, sha256 } from "./pair.ts";

/** Of the prompts. */
const HELD_OUT_SHARE = 0.2;
/** With fewer, even a perfect score proves nothing: 4 of 4 has a lower Wilson bound just above ½. */
export const HELD_OUT_MIN_PAIRS = 4;

/** Pairs to train on and pairs to judge by. */
export type Split = {
  readonly train: readonly EvidencedPair[];
  readonly heldOut: readonly EvidencedPair[];
};

/**
 * Holds out the prompts with the smallest hashes: a fifth of all, and as many more as the minimum
 * takes, which is only ever the case in a small data set.
 */
export function splitPairs(pairs: readonly EvidencedPair[]): Split {
  const place = new Map(pairs.map(({ promptKey }) => [promptKey, placeOf(promptKey)]));
  const byPlace = [...place].sort(([, a], [, b]) => a - b);
  const heldOutKeys = new Set<string>();
  let heldOutPairs = 0;
  for (const [key, at] of byPlace) {
    if (at >= HELD_OUT_SHARE && heldOutPairs >= HELD_OUT_MIN_PAIRS) break;
    heldOutKeys.add(key);
    heldOutPairs += pairs.filter(({ promptKey }) => promptKey === key).length;
  }
  return {
    train: pairs.filter(({ promptKey }) => !heldOutKeys.has(promptKey)),
    heldOut: pairs.filter(({ promptKey }) => heldOutKeys.has(promptKey)),
  };
}

/** Whether a prompt's pairs are, or would be, held out: nothing about it may be learnt. */
export function isHeldOut(promptKey: string, { heldOut }: Pick<Split, "heldOut">): boolean {
  return (
    placeOf(promptKey) < HELD_OUT_SHARE || heldOut.some((pair) => pair.promptKey === promptKey)
  );
}

/** Held-out pairs all of whose raters are unknown to the training side. */
export function fromUnseenRaters({ train, heldOut }: Split): readonly EvidencedPair[] {
  const seen = new Set(train.flatMap(({ evidence }) => evidence.raterKeys));
  return heldOut.filter(({ evidence }) => evidence.raterKeys.every((rater) => !seen.has(rater)));
}

/** [0, 1), evenly spread; another hash than the key's own so that it stays so if keys change. */
function placeOf(key: string): number {
  return Number.parseInt(sha256(`split ${key}`).slice(0, 8), 16) / 2 ** 32;
}
