/** The KTO loss as the training loop takes it: single rated completions in, weights per token and TRL's figures out. */
import { type Example, sequenceLogp } from "../data/sequence.ts";
import { type KtoLoss, type KtoOptions, ktoLoss, ktoReferencePoint } from "../losses/kto.ts";
import type { Sequence } from "../model/trainable.ts";
import type { Loss, ScoringModel } from "./run.ts";

/** What KTO knows of an example beside its one sequence. */
export type RatedExample = {
  readonly isDesirable: boolean;
  readonly referenceLogp: number;
  /** The example's prompt with another one's completion: a sample for the reference point. */
  readonly mismatched: Sequence;
  readonly mismatchedReferenceLogp: number;
};

/** Samples of a step's reference point; a step of an evaluation may be the whole data set. */
const REFERENCE_POINT_SAMPLES = 64;

/**
 * The mean of the completions' losses over a step, weighted by their weights. The reference point is estimated
 * once for the whole step from the policy as it stands, without a gradient, so that it is the same however the
 * step is split.
 * @param rated what is known of every example
 */
export function unpairedLoss(rated: ReadonlyMap<Example, RatedExample>, options: KtoOptions): Loss {
  assertKtoOptions(options);
  return async (step, model) => {
    const known = (example: Example): RatedExample => {
      const found = rated.get(example);
      if (found === undefined) throw new RangeError(`nobody rated ${example.id}`);
      return found;
    };
    const kl = await estimateKl(step.map(known), model);
    const totalWeight = step.reduce((sum, { weight }) => sum + weight, 0);
    const liked = step.filter((example) => known(example).isDesirable).length;
    const counts = { liked, disliked: step.length - liked, all: step.length };
    return (part, logps) => {
      const metrics: { loss: number } & Record<string, number> = { loss: 0 };
      const gradients = part.map((example, index) => {
        const tokens = logps[index] ?? new Float32Array();
        const policyLogp = sequenceLogp(tokens);
        const { isDesirable, referenceLogp } = known(example);
        const loss = ktoLoss({ policyLogp, referenceLogp, isDesirable }, kl, options);
        const share = example.weight / totalWeight;
        metrics.loss += share * loss.loss;
        addFigures(metrics, { loss, policyLogp, isDesirable, kl }, counts);
        return new Float32Array(tokens.length).fill(share * loss.policyGradient);
      });
      return { gradients, metrics };
    };
  };
}

async function estimateKl(step: readonly RatedExample[], model: ScoringModel): Promise<number> {
  const stride = Math.max(1, step.length / REFERENCE_POINT_SAMPLES);
  const samples = step.filter((_, i) => Math.floor(i / stride) !== Math.floor((i - 1) / stride));
  const policy = await model.logps(samples.map(({ mismatched }) => mismatched));
  return ktoReferencePoint(
    policy.map(sequenceLogp),
    samples.map(({ mismatchedReferenceLogp }) => mismatchedReferenceLogp),
  );
}

type Counts = { readonly liked: number; readonly disliked: number; readonly all: number };

/** By TRL's names: liked completions are the chosen; margins only where a step has both kinds. */
function addFigures(
  sums: Record<string, number>,
  one: {
    readonly loss: KtoLoss;
    readonly policyLogp: number;
    readonly isDesirable: boolean;
    readonly kl: number;
  },
  counts: Counts,
): void {
  const side = one.isDesirable ? "chosen" : "rejected";
  const share = 1 / (one.isDesirable ? counts.liked : counts.disliked);
  const sign = one.isDesirable ? 1 : -1;
  const isMixed = counts.liked > 0 && counts.disliked > 0;
  const add = (name: string, value: number): void => {
    sums[name] = (sums[name] ?? 0) + value;
  };
  add(`rewards/${side}`, share * one.loss.reward);
  add(`logps/${side}`, share * one.policyLogp);
  if (isMixed) add("rewards/margins", sign * share * one.loss.reward);
  add("kl", one.kl / counts.all);
}

function assertKtoOptions({ beta, desirableWeight, undesirableWeight }: KtoOptions): void {
  for (const [name, value] of Object.entries({ beta, desirableWeight, undesirableWeight })) {
    if (value > 0 && Number.isFinite(value)) continue;
    throw new RangeError(`${name} must be above 0, got ${value}`);
  }
}
