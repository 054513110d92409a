/** SimPO: DPO's logistic loss on mean log-probabilities, with a target margin and no reference model. Pure. */
import { sigmoid, softplus } from "./logistic.ts";
import type { PairLogps, PairLoss } from "./pair.ts";

/** SimPO's settings. */
export type SimpoOptions = {
  /** 2 to 10 in the paper: means per token are small numbers. */
  readonly beta: number;
  /** The target margin γ, 0 or more; the paper finds 0.3 to 0.5 of β best. */
  readonly simpoGamma: number;
};

/** −log σ(β/|y_c| log π(y_c|x) − β/|y_r| log π(y_r|x) − γ) (arXiv 2405.14734 eq. 6). */
export function simpoLoss(logps: PairLogps, { beta, simpoGamma }: SimpoOptions): PairLoss {
  const chosenReward = (beta * logps.policyChosenLogp) / logps.chosenTokens;
  const rejectedReward = (beta * logps.policyRejectedLogp) / logps.rejectedTokens;
  const margin = chosenReward - rejectedReward - simpoGamma;
  const pull = beta * sigmoid(-margin);
  return {
    loss: softplus(-margin),
    chosenReward,
    rejectedReward,
    policyChosenGradient: -pull / logps.chosenTokens,
    policyRejectedGradient: pull / logps.rejectedTokens,
  };
}
