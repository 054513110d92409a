/** Pairs written short, for the tests of the losses: chosen first. */
import type { PairLogps } from "#trainer/losses/pair.ts";

/** A pair's log-probabilities; 4 and 6 tokens and a reference of 0 unless said otherwise. */
export function pairOf({
  policy,
  reference = [0, 0],
  tokens = [4, 6],
}: {
  readonly policy: readonly [number, number];
  readonly reference?: readonly [number, number];
  readonly tokens?: readonly [number, number];
}): PairLogps {
  return {
    policyChosenLogp: policy[0],
    policyRejectedLogp: policy[1],
    referenceChosenLogp: reference[0],
    referenceRejectedLogp: reference[1],
    chosenTokens: tokens[0],
    rejectedTokens: tokens[1],
  };
}
