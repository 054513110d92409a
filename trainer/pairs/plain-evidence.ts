/**
 * What speaks for a fresh answer over a disliked one without anybody's judgement: that the disliked one is broken and
 * the fresh one is not. Silent in every other case. Pure.
 * That an answer names nothing of what was asked does not count: on adversarial dialogues such a rule spoke against
 * what people preferred more often than for it (docs/experiments.md).
 */
import { isEmpty, isRepetitive } from "../gate/text-figures.ts";

/** Whether a fresh answer is plainly better than one that a person disliked. */
export function isPlainlyBetter(fresh: string, disliked: string): boolean {
  return isBroken(disliked) && !isBroken(fresh);
}

function isBroken(text: string): boolean {
  return isEmpty(text) || isRepetitive(text);
}
