/**
 * What every loss of a preference pair takes and gives: natural-log probabilities in, a number and its gradient
 * out. It knows nothing of models, tokens or batches.
 */

/** One pair's sequence log-probabilities log π(y|x), each the sum over a completion's scored tokens. */
export type PairLogps = {
  readonly policyChosenLogp: number;
  readonly policyRejectedLogp: number;
  /** Of the frozen reference; reference-free losses do not read it. */
  readonly referenceChosenLogp: number;
  readonly referenceRejectedLogp: number;
  /** Scored tokens of each completion, 1 or more. */
  readonly chosenTokens: number;
  readonly rejectedTokens: number;
};

/** A pair's loss with its gradient, and the rewards that TRL logs. */
export type PairLoss = {
  readonly loss: number;
  /** The implicit reward: β (log π − log π_ref), without reference β log π; of a mean where the loss takes means. */
  readonly chosenReward: number;
  readonly rejectedReward: number;
  /** d loss / d policyChosenLogp */
  readonly policyChosenGradient: number;
  /** d loss / d policyRejectedLogp */
  readonly policyRejectedGradient: number;
};

/**
 * Adds −α log π(y_c|x) / |y_c| to a pair's loss, the chosen's own NLL per token, against a chosen that loses
 * likelihood together with the rejected (RPO, arXiv 2404.19733 eq. 1).
 * @param alpha 0 or more
 */
export function withChosenNll(loss: PairLoss, logps: PairLogps, alpha: number): PairLoss {
  if (alpha === 0) return loss;
  const perLogp = alpha / logps.chosenTokens;
  return {
    ...loss,
    loss: loss.loss - perLogp * logps.policyChosenLogp,
    policyChosenGradient: loss.policyChosenGradient - perLogp,
  };
}
