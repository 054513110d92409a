/** Direct preference optimisation and its relatives: pairs in, a trained model and TRL's figures out. */
import { encodePairs, fittingLimits, type LengthLimits } from "../data/chat.ts";
import type { PreferencePair } from "../data/preference.ts";
import type { Example } from "../data/sequence.ts";
import { isReferenceFree, type PairLossOptions } from "../losses/preference.ts";
import { train } from "./loop.ts";
import { type PairReferences, preferenceLoss } from "./pair-loss.ts";
import {
  assertEnough,
  keepExamples,
  keepWatch,
  NOT_BEGUN,
  type PreferenceSurroundings,
  referenceOf,
  sharedHeads,
  splitReference,
  startKey,
} from "./preparation.ts";
import { TRAIN_DEFAULTS, type TrainOptions, type TrainOutcome, type Watch } from "./run.ts";

/** All settings of a run on pairs. */
export type DpoOptions = TrainOptions &
  PairLossOptions &
  LengthLimits & {
    /** Fewer usable pairs than this are not trained on. */
    readonly minPairs: number;
  };

/** Zephyr's settings (handbook, QLoRA recipe) but for β, which is the paper's and the beta card's. */
export const DPO_DEFAULTS: DpoOptions = {
  ...TRAIN_DEFAULTS,
  learningRate: 5e-6,
  loss: "sigmoid",
  beta: 0.1,
  labelSmoothing: 0,
  rpoAlpha: 0,
  ldAlpha: 1,
  simpoGamma: 0,
  batchSize: 16,
  maxTokens: 1024,
  maxPromptTokens: 512,
  maxTokensPerBatch: 2048,
  minPairs: 2,
};

/** What to train on. */
export type DpoRun = PreferenceSurroundings & {
  readonly pairs: readonly PreferencePair[];
  /** Held out: figures with `eval_` in front are of these. */
  readonly evalPairs?: readonly PreferencePair[];
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
 * @throws RangeError for settings that make no loss
 */
export async function trainDpo(run: DpoRun): Promise<DpoOutcome> {
  const options = { ...DPO_DEFAULTS, ...run.options };
  // Both answers of a pair stand in one batch.
  const limits = fittingLimits(options, options.maxTokensPerBatch, 2);
  const { examples, truncated, dropped } = encodePairs(run.vocabulary, run.pairs, limits);
  const counted = { usable: examples.length, given: run.pairs.length, needed: options.minPairs };
  assertEnough("preference pairs", counted);
  const evalExamples = encodePairs(run.vocabulary, run.evalPairs ?? [], limits).examples;
  const counts = { pairs: examples.length, truncated, dropped };
  const reference = await prepareReference(run, [...examples, ...evalExamples], options, limits);
  if (reference === undefined) return { ...NOT_BEGUN, ...counts };
  const outcome = await train({
    ...run,
    examples,
    evalExamples,
    loss: preferenceLoss(reference.pairs, options),
    ...(reference.watch === undefined ? {} : { watch: reference.watch }),
    lossKey: lossKey(run, options),
    options,
  });
  return { ...outcome, ...counts };
}

/** Everything that the loss depends on beside data and model. */
function lossKey(run: DpoRun, options: DpoOptions): string {
  const { loss, beta, labelSmoothing, rpoAlpha, ldAlpha, simpoGamma } = options;
  return JSON.stringify([loss, beta, labelSmoothing, rpoAlpha, ldAlpha, simpoGamma, startKey(run)]);
}

type Prepared = {
  /** Undefined for losses without reference: no pair is scored for them. */
  readonly pairs: PairReferences | undefined;
  readonly watch: Watch | undefined;
};

async function prepareReference(
  run: DpoRun,
  examples: readonly Example[],
  { loss, ldAlpha, maxTokensPerBatch }: DpoOptions,
  limits: LengthLimits,
): Promise<Prepared | undefined> {
  const pairs = isReferenceFree(loss) ? [] : examples;
  const heads = ldAlpha === 1 ? new Map<Example, Example>() : sharedHeads(pairs);
  const keep = keepExamples(run, limits);
  const known = await referenceOf(run, [...pairs, ...heads.values(), ...keep], maxTokensPerBatch);
  if (known === undefined) return undefined;
  return {
    pairs: isReferenceFree(loss) ? undefined : splitReference(heads, known),
    watch: keepWatch(keep, known),
  };
}
