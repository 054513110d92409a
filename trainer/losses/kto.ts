/**
 * KTO, for answers that were liked or disliked alone: prospect theory's value of the implicit reward against a
 * reference point. Pure; it knows nothing of how the reference point's samples were made.
 */
import { sigmoid } from "./logistic.ts";

/** One rated completion's sequence log-probabilities. */
export type KtoLogps = {
  readonly policyLogp: number;
  readonly referenceLogp: number;
  /** Liked or disliked. */
  readonly isDesirable: boolean;
};

/** KTO's settings. */
export type KtoOptions = {
  /** Above 0. */
  readonly beta: number;
  /** λ_D, above 0. */
  readonly desirableWeight: number;
  /** λ_U, above 0. */
  readonly undesirableWeight: number;
};

/** A rated completion's loss, gradient and implicit reward. */
export type KtoLoss = {
  readonly loss: number;
  /** β (log π − log π_ref) */
  readonly reward: number;
  /** d loss / d policyLogp; the reference point counts as a constant (arXiv 2402.01306 sec. 4.1). */
  readonly policyGradient: number;
};

/**
 * λ_D (1 − σ(β(r − z₀))) for a liked completion, λ_U (1 − σ(β(z₀ − r))) for a disliked one, r = log π − log π_ref
 * (arXiv 2402.01306 eq. 7; TRL's kto loss).
 * @param referencePoint z₀, see `ktoReferencePoint`
 */
export function ktoLoss(logps: KtoLogps, referencePoint: number, options: KtoOptions): KtoLoss {
  const { beta } = options;
  const ratio = logps.policyLogp - logps.referenceLogp;
  const sign = logps.isDesirable ? 1 : -1;
  const weight = logps.isDesirable ? options.desirableWeight : options.undesirableWeight;
  const u = sign * beta * (ratio - referencePoint);
  return {
    loss: weight * sigmoid(-u),
    reward: beta * ratio,
    policyGradient: -sign * weight * beta * sigmoid(u) * sigmoid(-u),
  };
}

/**
 * z₀, an estimate of KL(π‖π_ref) from other prompts' completions: max(0, mean(log π(y'|x) − log π_ref(y'|x)))
 * (arXiv 2402.01306 sec. 4.1). 0 without samples.
 * @param policyLogps of mismatched completions y' for prompts x, [samples]
 * @param referenceLogps of the same, [samples]
 */
export function ktoReferencePoint(
  policyLogps: readonly number[],
  referenceLogps: readonly number[],
): number {
  if (policyLogps.length === 0) return 0;
  const sum = policyLogps.reduce((total, p, i) => total + p - (referenceLogps[i] ?? Number.NaN), 0);
  const mean = sum / policyLogps.length;
  return mean < 0 ? 0 : mean;
}

/**
 * Weights under which liked and disliked completions count alike, the rarer side raised:
 * λ_D n_D = λ_U n_U, the lower end of the paper's [1, 4/3] (arXiv 2402.01306 eq. 8).
 */
export function ktoBalance(
  desirable: number,
  undesirable: number,
): Pick<KtoOptions, "desirableWeight" | "undesirableWeight"> {
  if (desirable === 0 || undesirable === 0) return { desirableWeight: 1, undesirableWeight: 1 };
  return {
    desirableWeight: Math.max(1, undesirable / desirable),
    undesirableWeight: Math.max(1, desirable / undesirable),
  };
}
