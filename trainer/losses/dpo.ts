/**
 * Sigmoid DPO as a pure function of sequence log-probabilities, with its gradient.
 * It knows nothing of models, tokens or batches: natural-log probabilities in, numbers out.
 */

/** Sequence log-probabilities log π(y|x): the sum over a completion's scored tokens, each list [pairs]. */
export type DpoLogps = {
  readonly policyChosenLogps: ArrayLike<number>;
  readonly policyRejectedLogps: ArrayLike<number>;
  readonly referenceChosenLogps: ArrayLike<number>;
  readonly referenceRejectedLogps: ArrayLike<number>;
};

/** What the loss is made of. */
export type DpoLossOptions = {
  /** How strongly the policy is held to the reference; above 0, Zephyr used 0.01 to 0.1. */
  readonly beta: number;
  /** Chance that a label is flipped, [0, 0.5): conservative DPO (Mitchell 2023, cDPO). */
  readonly labelSmoothing: number;
  /** Weight of the chosen's own NLL per token (RPO, arXiv 2404.19733 eq. 1); 0 leaves it out. */
  readonly rpoAlpha: number;
};

/** Per pair, each [pairs]; gradients are those of the pair's own loss. */
export type DpoLoss = {
  readonly losses: Float64Array;
  /** β (log π − log π_ref) of the chosen: the implicit reward, eq. 5 without its partition term. */
  readonly chosenRewards: Float64Array;
  readonly rejectedRewards: Float64Array;
  /** d loss / d policyChosenLogp */
  readonly policyChosenGradients: Float64Array;
  /** d loss / d policyRejectedLogp */
  readonly policyRejectedGradients: Float64Array;
};

/**
 * The DPO loss −log σ(β[(π_c − ref_c) − (π_r − ref_r)]) of each pair (arXiv 2305.18290 eq. 7),
 * smoothed to −(1−ε) log σ(z) − ε log σ(−z), plus −α π_c / |chosen| when `rpoAlpha` is not 0.
 * @param chosenTokens scored tokens of each chosen completion, [pairs]; read for the RPO term only
 */
export function sigmoidDpoLoss(
  logps: DpoLogps,
  chosenTokens: ArrayLike<number>,
  options: DpoLossOptions,
): DpoLoss {
  assertOptions(options);
  const { policyChosenLogps, policyRejectedLogps } = logps;
  const pairs = policyChosenLogps.length;
  assertLengths(logps, chosenTokens, pairs);
  const loss = emptyLoss(pairs);
  for (let i = 0; i < pairs; i++) {
    const chosenReward =
      options.beta * (at(policyChosenLogps, i) - at(logps.referenceChosenLogps, i));
    const rejectedReward =
      options.beta * (at(policyRejectedLogps, i) - at(logps.referenceRejectedLogps, i));
    const margin = chosenReward - rejectedReward;
    const { value, slope } = smoothedLogSigmoid(margin, options.labelSmoothing);
    const nllPerLogp = options.rpoAlpha === 0 ? 0 : options.rpoAlpha / at(chosenTokens, i);
    loss.chosenRewards[i] = chosenReward;
    loss.rejectedRewards[i] = rejectedReward;
    loss.losses[i] = value - nllPerLogp * at(policyChosenLogps, i);
    loss.policyChosenGradients[i] = options.beta * slope - nllPerLogp;
    loss.policyRejectedGradients[i] = -options.beta * slope;
  }
  return loss;
}

/** −(1−ε) log σ(z) − ε log σ(−z) and its derivative in z, both safe for large |z|. */
function smoothedLogSigmoid(z: number, epsilon: number): { value: number; slope: number } {
  const value = (1 - epsilon) * softplus(-z) + epsilon * softplus(z);
  return { value, slope: epsilon * sigmoid(z) - (1 - epsilon) * sigmoid(-z) };
}

/** log(1 + e^x) = −log σ(−x) */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function sigmoid(x: number): number {
  const e = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

function emptyLoss(pairs: number): DpoLoss {
  return {
    losses: new Float64Array(pairs),
    chosenRewards: new Float64Array(pairs),
    rejectedRewards: new Float64Array(pairs),
    policyChosenGradients: new Float64Array(pairs),
    policyRejectedGradients: new Float64Array(pairs),
  };
}

function assertOptions({ beta, labelSmoothing, rpoAlpha }: DpoLossOptions): void {
  if (!(beta > 0)) throw new RangeError(`beta must be above 0, got ${beta}`);
  if (!(labelSmoothing >= 0 && labelSmoothing < 0.5)) {
    throw new RangeError(`labelSmoothing must lie in [0, 0.5), got ${labelSmoothing}`);
  }
  if (!(rpoAlpha >= 0)) throw new RangeError(`rpoAlpha must be 0 or more, got ${rpoAlpha}`);
}

function assertLengths(logps: DpoLogps, chosenTokens: ArrayLike<number>, pairs: number): void {
  const lengths = [...Object.values(logps), chosenTokens].map((list) => list.length);
  if (lengths.some((length) => length !== pairs)) {
    throw new RangeError(`every list must hold ${pairs} pairs, got ${lengths.join(", ")}`);
  }
}

function at(list: ArrayLike<number>, index: number): number {
  return list[index] ?? Number.NaN;
}
