/** The DPO loss as the training loop takes it: examples of two sequences in, weights per token and TRL's figures out. */
import { type Example, scoredTokens, sequenceLogp } from "../data/sequence.ts";
import { type DpoLogps, type DpoLoss, type DpoLossOptions, sigmoidDpoLoss } from "../losses/dpo.ts";
import type { Loss } from "./run.ts";

/**
 * The mean of the pairs' losses over a step, weighted by the pairs' weights; the other figures are plain means.
 * @param reference log π_ref of chosen and rejected, for every example
 */
export function dpoLoss(
  reference: ReadonlyMap<Example, readonly number[]>,
  options: DpoLossOptions,
): Loss {
  return (step) => {
    const totalWeight = step.reduce((sum, { weight }) => sum + weight, 0);
    return (part, logps) => {
      const shares = part.map(({ weight }) => weight / totalWeight);
      const chosenTokens = part.map(({ sequences: [chosen] }) => chosen && scoredTokens(chosen));
      const tokens = chosenTokens.map((count) => count ?? 0);
      const sums = pairLogps(part, logps, reference);
      const loss = sigmoidDpoLoss(sums, tokens, options);
      const figures = describe(sums, loss, tokens, options, 1 / step.length);
      return {
        gradients: logps.map((sequence, i) => {
          const { policyChosenGradients: chosen, policyRejectedGradients: rejected } = loss;
          const gradient = (i % 2 === 0 ? chosen : rejected)[i >> 1] ?? 0;
          return new Float32Array(sequence.length).fill(gradient * (shares[i >> 1] ?? 0));
        }),
        metrics: { loss: sum(loss.losses.map((l, i) => l * (shares[i] ?? 0))), ...figures },
      };
    };
  };
}

/** Sequences come in pairs: chosen, rejected, chosen, rejected. */
function pairLogps(
  part: readonly Example[],
  logps: readonly Float32Array[],
  reference: ReadonlyMap<Example, readonly number[]>,
): DpoLogps {
  const sums = logps.map(sequenceLogp);
  return {
    policyChosenLogps: sums.filter((_, i) => i % 2 === 0),
    policyRejectedLogps: sums.filter((_, i) => i % 2 === 1),
    referenceChosenLogps: part.map((example) => reference.get(example)?.[0] ?? Number.NaN),
    referenceRejectedLogps: part.map((example) => reference.get(example)?.[1] ?? Number.NaN),
  };
}

/** By TRL's names; each is this part's contribution to the mean over the step's pairs. */
function describe(
  logps: DpoLogps,
  { chosenRewards, rejectedRewards }: DpoLoss,
  chosenTokens: readonly number[],
  { rpoAlpha }: DpoLossOptions,
  share: number,
): Record<string, number> {
  const chosen = Array.from(logps.policyChosenLogps);
  const margins = chosenRewards.map((reward, i) => reward - (rejectedRewards[i] ?? Number.NaN));
  const nll = chosen.map((logp, i) => -logp / (chosenTokens[i] ?? 0));
  return {
    "rewards/chosen": share * sum(chosenRewards),
    "rewards/rejected": share * sum(rejectedRewards),
    "rewards/accuracies": share * sum(margins.map((margin) => (margin > 0 ? 1 : 0))),
    "rewards/margins": share * sum(margins),
    "logps/chosen": share * sum(chosen),
    "logps/rejected": share * sum(logps.policyRejectedLogps),
    ...(rpoAlpha === 0 ? {} : { nll_loss: share * sum(nll) }),
  };
}

function sum(values: ArrayLike<number>): number {
  return Array.from(values).reduce((total, value) => total + value, 0);
}
