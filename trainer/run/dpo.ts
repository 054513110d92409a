/** Direct preference optimisation: pairs in, a trained model and TRL's figures out. */
import { join } from "node:path";
import { CodedError } from "#engine/base/errors.ts";
import { type ChatEncoder, encodePairs, fittingLimits, type LengthLimits } from "../data/chat.ts";
import type { PreferencePair } from "../data/preference.ts";
import { type Example, scoredTokens, sequenceLogp } from "../data/sequence.ts";
import { type DpoLossOptions, sigmoidDpoLoss } from "../losses/dpo.ts";
import { train } from "./loop.ts";
import { referenceLogps } from "./reference.ts";
import {
  type Loss,
  type PartLoss,
  type RunSurroundings,
  TRAIN_DEFAULTS,
  type TrainOptions,
  type TrainOutcome,
} from "./run.ts";

/** All settings of a DPO run. */
export type DpoOptions = TrainOptions &
  DpoLossOptions &
  LengthLimits & {
    /** Fewer usable pairs than this are not trained on. */
    readonly minPairs: number;
  };

/** Zephyr's settings (handbook, QLoRA recipe) but for β, which is the paper's and the beta card's. */
export const DPO_DEFAULTS: DpoOptions = {
  ...TRAIN_DEFAULTS,
  learningRate: 5e-6,
  beta: 0.1,
  labelSmoothing: 0,
  rpoAlpha: 0,
  batchSize: 16,
  maxTokens: 1024,
  maxPromptTokens: 512,
  maxTokensPerBatch: 2048,
  minPairs: 2,
};

/** What to train on. */
export type DpoRun = RunSurroundings & {
  readonly vocabulary: ChatEncoder;
  readonly pairs: readonly PreferencePair[];
  /** Held out: figures with `eval_` in front are of these. */
  readonly evalPairs?: readonly PreferencePair[];
  /** sha256 of the model's file, under which reference log-probabilities are cached. */
  readonly modelSha256: string;
  /** Where they are cached; the run's folder unless several runs share one. */
  readonly referenceCachePath?: string;
  /** What differs from `DPO_DEFAULTS`. */
  readonly options?: Partial<DpoOptions>;
};

/** How a DPO run ended. */
export type DpoOutcome = TrainOutcome & {
  /** Usable pairs that were trained on. */
  readonly pairs: number;
  readonly truncated: readonly string[];
  readonly dropped: readonly string[];
};

/**
 * Trains on pairs, from the newest checkpoint in `runDir` if there is one.
 * @throws CodedError `data_too_small`, and what `train` throws
 */
export async function trainDpo(run: DpoRun): Promise<DpoOutcome> {
  const options = { ...DPO_DEFAULTS, ...run.options };
  // Both answers of a pair stand in one batch.
  const limits = fittingLimits(options, options.maxTokensPerBatch, 2);
  const { examples, truncated, dropped } = encodePairs(run.vocabulary, run.pairs, limits);
  assertEnough(examples.length, run.pairs.length, options.minPairs);
  const evalExamples = encodePairs(run.vocabulary, run.evalPairs ?? [], limits).examples;
  const counts = { pairs: examples.length, truncated, dropped };
  const reference = await referenceLogps({
    ...run,
    examples: [...examples, ...evalExamples],
    maxTokensPerBatch: options.maxTokensPerBatch,
    cachePath: run.referenceCachePath ?? join(run.runDir, "reference-logps.jsonl"),
  });
  if (reference === undefined) return { ...NOT_BEGUN, ...counts };
  const outcome = await train({
    ...run,
    examples,
    evalExamples,
    loss: dpoLoss(reference, options),
    lossKey: JSON.stringify(["dpo", options.beta, options.labelSmoothing, options.rpoAlpha]),
    options,
  });
  return { ...outcome, ...counts };
}

/** Aborted while the reference was computed; what was computed is cached. */
const NOT_BEGUN: TrainOutcome = {
  status: "aborted",
  step: 0,
  totalSteps: 0,
  tokens: 0,
  elapsedMs: 0,
  metrics: undefined,
  paddingFraction: 0,
  resumedFrom: 0,
  damagedCheckpoints: [],
};

function assertEnough(usable: number, given: number, needed: number): void {
  if (usable >= Math.max(1, needed)) return;
  throw new CodedError(
    `Training needs at least ${Math.max(1, needed)} usable preference pairs, found ${usable} of ${given} given. Collect more votes and ratings, then train again.`,
    { code: "data_too_small" },
  );
}

/**
 * The loss of pairs as the loop takes it: means over the step, weighted by the pairs' weights; the other
 * figures are plain means, by TRL's names.
 * @param reference log π_ref of chosen and rejected for every example
 */
function dpoLoss(
  reference: ReadonlyMap<Example, readonly number[]>,
  options: DpoLossOptions,
): Loss {
  return (step) => {
    const weights = step.reduce((sum, { weight }) => sum + weight, 0);
    return (part, logps) => weighPart(part, logps, reference, options, weights, step.length);
  };
}

function weighPart(
  part: readonly Example[],
  logps: readonly Float32Array[],
  reference: ReadonlyMap<Example, readonly number[]>,
  options: DpoLossOptions,
  weights: number,
  pairs: number,
): PartLoss {
  const sums = logps.map(sequenceLogp);
  const policyChosenLogps = sums.filter((_, i) => i % 2 === 0);
  const policyRejectedLogps = sums.filter((_, i) => i % 2 === 1);
  const loss = sigmoidDpoLoss(
    {
      policyChosenLogps,
      policyRejectedLogps,
      referenceChosenLogps: part.map((example) => reference.get(example)?.[0] ?? Number.NaN),
      referenceRejectedLogps: part.map((example) => reference.get(example)?.[1] ?? Number.NaN),
    },
    part.map(({ sequences: [chosen] }) => (chosen === undefined ? 0 : scoredTokens(chosen))),
    options,
  );
  const gradients = logps.map((sequence, i) => {
    const pair = i >> 1;
    const ofPair = i % 2 === 0 ? loss.policyChosenGradients : loss.policyRejectedGradients;
    const gradient = ((ofPair[pair] ?? 0) * (part[pair]?.weight ?? 1)) / weights;
    return new Float32Array(sequence.length).fill(gradient);
  });
  const total = (values: ArrayLike<number>) => Array.from(values).reduce((sum, x) => sum + x, 0);
  const mean = (values: ArrayLike<number>) => total(values) / pairs;
  const { chosenRewards, rejectedRewards, losses } = loss;
  return {
    gradients,
    metrics: {
      loss: total(losses.map((value, i) => value * (part[i]?.weight ?? 1))) / weights,
      "rewards/chosen": mean(chosenRewards),
      "rewards/rejected": mean(rejectedRewards),
      "rewards/accuracies": mean(
        chosenRewards.map((r, i) => Number(r > (rejectedRewards[i] ?? r))),
      ),
      "rewards/margins": mean(chosenRewards.map((r, i) => r - (rejectedRewards[i] ?? r))),
      "logps/chosen": mean(policyChosenLogps),
      "logps/rejected": mean(policyRejectedLogps),
    },
  };
}
