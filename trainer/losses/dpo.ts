/**
 * DPO and the losses that differ from it in what they make of the margin, as pure functions of a pair's sequence
 * log-probabilities, each with its gradient.
 */
import { sigmoid, softplus } from "./logistic.ts";
import type { PairLogps, PairLoss } from "./pair.ts";

/** How strongly the policy is held to the reference; above 0, Zephyr used 0.01 to 0.1. */
type Beta = { readonly beta: number };

/** Chance that a label is flipped, [0, 0.5). */
type LabelSmoothing = { readonly labelSmoothing: number };

/**
 * DPO, −log σ(z) with z = β[(π_c − ref_c) − (π_r − ref_r)] (arXiv 2305.18290 eq. 7); with label smoothing ε
 * conservative DPO, −(1−ε) log σ(z) − ε log σ(−z) (Mitchell 2023, "A note on DPO with noisy preferences").
 */
export function sigmoidDpoLoss(logps: PairLogps, options: Beta & LabelSmoothing): PairLoss {
  const { labelSmoothing: epsilon } = options;
  return ofMargin(logps, options.beta, (z) => ({
    value: (1 - epsilon) * softplus(-z) + epsilon * softplus(z),
    slope: epsilon * sigmoid(z) - (1 - epsilon) * sigmoid(-z),
  }));
}

/**
 * Robust DPO, [−(1−ε) log σ(z) + ε log σ(−z)] / (1 − 2ε): without bias when a share ε of labels is flipped
 * (rDPO, arXiv 2403.00409).
 */
export function robustDpoLoss(logps: PairLogps, options: Beta & LabelSmoothing): PairLoss {
  const { labelSmoothing: epsilon } = options;
  const scale = 1 / (1 - 2 * epsilon);
  return ofMargin(logps, options.beta, (z) => ({
    value: scale * ((1 - epsilon) * softplus(-z) - epsilon * softplus(z)),
    slope: -scale * ((1 - epsilon) * sigmoid(-z) + epsilon * sigmoid(z)),
  }));
}

/** Hinge, max(0, 1 − z): SLiC's calibration on DPO's margin (arXiv 2309.06657 sec. 4). */
export function hingeDpoLoss(logps: PairLogps, options: Beta): PairLoss {
  return ofMargin(logps, options.beta, (z) => ({
    value: Math.max(0, 1 - z),
    slope: z < 1 ? -1 : 0,
  }));
}

/**
 * IPO, (h − 1/(2β))² with h the margin of log-ratios per token (arXiv 2310.12036 eq. 17; means over tokens are
 * what its authors use, as TRL says).
 */
export function ipoLoss(logps: PairLogps, { beta }: Beta): PairLoss {
  return ofMeanMargin(logps, beta, (h) => {
    const distance = h - 1 / (2 * beta);
    return { value: distance ** 2, slope: 2 * distance };
  });
}

/**
 * Length-normalised DPO, −log σ(β h) with h the margin of log-ratios per token (Tülu 3, arXiv 2411.15124, its length-normalized DPO);
 * β is larger here, about 5.
 */
export function lengthNormalisedDpoLoss(logps: PairLogps, { beta }: Beta): PairLoss {
  return ofMeanMargin(logps, beta, (h) => ({
    value: softplus(-beta * h),
    slope: -beta * sigmoid(-beta * h),
  }));
}

type OfMargin = (margin: number) => { readonly value: number; readonly slope: number };

/** A function of β times the margin of summed log-ratios. */
function ofMargin(logps: PairLogps, beta: number, of: OfMargin): PairLoss {
  const rewards = implicitRewards(logps, beta);
  const { value, slope } = of(rewards.chosenReward - rewards.rejectedReward);
  return {
    ...rewards,
    loss: value,
    policyChosenGradient: beta * slope,
    policyRejectedGradient: -beta * slope,
  };
}

/** A function of the margin of log-ratios per token; rewards stay sums, as TRL logs them. */
function ofMeanMargin(logps: PairLogps, beta: number, of: OfMargin): PairLoss {
  const { chosenTokens, rejectedTokens } = logps;
  const chosen = (logps.policyChosenLogp - logps.referenceChosenLogp) / chosenTokens;
  const rejected = (logps.policyRejectedLogp - logps.referenceRejectedLogp) / rejectedTokens;
  const { value, slope } = of(chosen - rejected);
  return {
    ...implicitRewards(logps, beta),
    loss: value,
    policyChosenGradient: slope / chosenTokens,
    policyRejectedGradient: -slope / rejectedTokens,
  };
}

function implicitRewards(logps: PairLogps, beta: number) {
  return {
    chosenReward: beta * (logps.policyChosenLogp - logps.referenceChosenLogp),
    rejectedReward: beta * (logps.policyRejectedLogp - logps.referenceRejectedLogp),
  };
}
