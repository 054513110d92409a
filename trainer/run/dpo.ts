/** Direct preference optimisation and its relatives: pairs in, a trained model and TRL's figures out. */
import { join } from "node:path";
import { encodePair, encodePairs, fittingLimits, type LengthLimits } from "../data/chat.ts";
import { type ExampleSource, sourceOf } from "../data/example-source.ts";
import { ExampleStore, type IdTally, type StoredItem } from "../data/example-store.ts";
import type { PreferencePair } from "../data/preference.ts";
import { contentKey } from "../feedback/content-key.ts";
import { isReferenceFree, type PairLossOptions } from "../losses/preference.ts";
import { train } from "./loop.ts";
import { preferenceLoss } from "./pair-loss.ts";
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
import { TRAIN_DEFAULTS, type TrainOptions, type TrainOutcome } from "./run.ts";

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
  /** Read one at a time, so that a file of them may be longer than memory. */
  readonly pairs: Iterable<PreferencePair>;
  /** Held out: figures with `eval_` in front are of these. */
  readonly evalPairs?: readonly PreferencePair[];
  /** What differs from `DPO_DEFAULTS`. */
  readonly options?: Partial<DpoOptions>;
};

/** How a DPO run ended. */
export type DpoOutcome = TrainOutcome & {
  /** Usable pairs that were trained on. */
  readonly pairs: number;
  readonly truncated: IdTally;
  /** Those with equal answers or nothing to score. */
  readonly dropped: IdTally;
};

/** Encoded pairs: people's words as tokens, sealed, which go with the run's folder. */
const EXAMPLES_FILE = "examples.db";

/**
 * Trains on pairs, from the newest checkpoint in `runDir` if there is one.
 * @throws CodedError `data_too_small`, and what `train` throws
 * @throws RangeError for settings that make no loss
 */
export async function trainDpo(run: DpoRun): Promise<DpoOutcome> {
  const options = { ...DPO_DEFAULTS, ...run.options };
  // Both answers of a pair stand in one batch.
  const limits = fittingLimits(options, options.maxTokensPerBatch, 2);
  using examples = ExampleStore.open(join(run.runDir, EXAMPLES_FILE), run.seal);
  const filled = await examples.fill(storedPairs(run, limits), run.signal);
  if (filled === undefined) return { ...NOT_BEGUN, ...NOTHING_READ };
  const { truncated, dropped } = filled;
  const usable = examples.count;
  const counts = { pairs: usable, truncated, dropped };
  const given = usable + dropped.count;
  assertEnough("preference pairs", { usable, given, needed: options.minPairs });
  const evalExamples = encodePairs(run.vocabulary, run.evalPairs ?? [], limits).examples;
  using known = await scoreByReference(run, [examples, sourceOf(evalExamples)], options, limits);
  if (known === undefined) return { ...NOT_BEGUN, ...counts };
  const watch = keepWatch(keepExamples(run, limits), known);
  const outcome = await train({
    ...run,
    examples,
    evalExamples,
    loss: preferenceLoss(
      isReferenceFree(options.loss) ? undefined : splitReference(known, options),
      options,
    ),
    ...(watch === undefined ? {} : { watch }),
    lossKey: lossKey(run, options),
    options,
  });
  return { ...outcome, ...counts };
}

/** Pairs with the keys under which their encodings are kept: tokenizer, template, limits and words. */
export function* storedPairs(
  {
    vocabulary,
    pairs,
    modelSha256,
    seal,
  }: Pick<DpoRun, "vocabulary" | "pairs" | "modelSha256" | "seal">,
  limits: LengthLimits,
): Generator<StoredItem> {
  const encoder = JSON.stringify([ENCODING_VERSION, modelSha256, limits]);
  for (const pair of pairs) {
    const { id, weight, prompt, chosen, rejected, personKeys = [] } = pair;
    const words = JSON.stringify([prompt, chosen, rejected]);
    const key = contentKey(seal, encoder, words);
    yield { id, weight, key, personKeys, encode: () => encodePair(vocabulary, pair, limits) };
  }
}

/** To be raised whenever `encodePair` or the template gives other tokens for the same words. */
const ENCODING_VERSION = 1;
const NO_IDS: IdTally = { count: 0, ids: [] };
const NOTHING_READ = { pairs: 0, truncated: NO_IDS, dropped: NO_IDS };

/** Everything that the loss depends on beside data and model. */
function lossKey(run: DpoRun, options: DpoOptions): string {
  const { loss, beta, labelSmoothing, rpoAlpha, ldAlpha, simpoGamma } = options;
  return JSON.stringify([loss, beta, labelSmoothing, rpoAlpha, ldAlpha, simpoGamma, startKey(run)]);
}

/** The reference's word on pairs and keep-set: losses without reference need it for the keep-set only. */
function scoreByReference(
  run: DpoRun,
  pairs: readonly ExampleSource[],
  { loss, ldAlpha, maxTokensPerBatch }: DpoOptions,
  limits: LengthLimits,
): ReturnType<typeof referenceOf> {
  const scored = isReferenceFree(loss) ? [] : pairs;
  const heads = ldAlpha === 1 ? [] : scored.map(sharedHeads);
  const sources = [...scored, ...heads, sourceOf(keepExamples(run, limits))];
  return referenceOf(run, sources, maxTokensPerBatch);
}
