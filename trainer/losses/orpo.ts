/** ORPO: imitation of the chosen with an odds ratio against the rejected; no reference model. Pure. */
import { sigmoid, softplus } from "./logistic.ts";
import type { PairLogps, PairLoss } from "./pair.ts";

/** Mean log-probabilities nearer to 0 than this have odds beyond any use; they are taken as this near. */
const NEAREST_CERTAINTY = -1e-9;

/** An ORPO loss with the figures that TRL logs beside it. */
export type OrpoLoss = PairLoss & {
  /** Of the chosen, per token. */
  readonly nll: number;
  /** log (odds_c / odds_r) */
  readonly logOdds: number;
  /** log σ(logOdds) */
  readonly logOddsRatio: number;
};

/**
 * L = NLL_c − λ log σ(log odds_c − log odds_r), where odds = P / (1 − P) and P = exp(log π(y|x) / |y|)
 * (arXiv 2403.07691 eq. 4, 6 and 7). TRL calls λ beta.
 * @param options `beta` above 0; the paper's is 0.1
 */
export function orpoLoss(logps: PairLogps, { beta }: { readonly beta: number }): OrpoLoss {
  const { chosenTokens, rejectedTokens } = logps;
  const meanChosen = logps.policyChosenLogp / chosenTokens;
  const meanRejected = logps.policyRejectedLogp / rejectedTokens;
  const chosen = logOddsOf(meanChosen);
  const rejected = logOddsOf(meanRejected);
  const margin = chosen.value - rejected.value;
  const pull = beta * sigmoid(-margin);
  return {
    loss: -meanChosen + beta * softplus(-margin),
    chosenReward: beta * meanChosen,
    rejectedReward: beta * meanRejected,
    policyChosenGradient: (-1 - pull * chosen.slope) / chosenTokens,
    policyRejectedGradient: (pull * rejected.slope) / rejectedTokens,
    nll: -meanChosen,
    logOdds: margin,
    logOddsRatio: -softplus(-margin),
  };
}

/** log(e^a / (1 − e^a)) and its derivative 1 / (1 − e^a). */
function logOddsOf(meanLogp: number): { value: number; slope: number } {
  const a = Math.min(meanLogp, NEAREST_CERTAINTY);
  const rest = -Math.expm1(a);
  return { value: a - Math.log(rest), slope: 1 / rest };
}
