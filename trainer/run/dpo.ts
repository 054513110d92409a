/** Direct preference optimisation: pairs in, a trained model and TRL's figures out. */
import { join } from "node:path";
import { CodedError } from "#engine/base/errors.ts";
import { type ChatEncoder, encodePairs, fittingLimits, type LengthLimits } from "../data/chat.ts";
import type { PreferencePair } from "../data/preference.ts";
import type { DpoLossOptions } from "../losses/dpo.ts";
import { dpoLoss } from "./dpo-loss.ts";
import { train } from "./loop.ts";
import { referenceLogps } from "./reference.ts";
import {
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
