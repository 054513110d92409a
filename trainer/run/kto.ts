/** KTO: answers that were liked or disliked alone in, a trained model and TRL's figures out. */
import { encodeRated, fittingLimits, type LengthLimits } from "../data/chat.ts";
import { sourceOf } from "../data/example-source.ts";
import type { RatedCompletion } from "../data/preference.ts";
import type { Example } from "../data/sequence.ts";
import { type KtoOptions as KtoLossOptions, ktoBalance } from "../losses/kto.ts";
import { type RatedExample, unpairedLoss } from "./kto-loss.ts";
import { train } from "./loop.ts";
import {
  assertEnough,
  keepExamples,
  keepWatch,
  NOT_BEGUN,
  type PreferenceSurroundings,
  referenceOf,
  startKey,
} from "./preparation.ts";
import type { ReferenceLogps } from "./reference.ts";
import { TRAIN_DEFAULTS, type TrainOptions, type TrainOutcome } from "./run.ts";

/** All settings of a KTO run. */
type KtoOptions = TrainOptions &
  Pick<KtoLossOptions, "beta"> &
  LengthLimits & {
    /** λ_D and λ_U; unset, the rarer side is raised until both count alike. */
    readonly desirableWeight?: number;
    readonly undesirableWeight?: number;
    /** Fewer usable completions than this are not trained on. */
    readonly minCompletions: number;
  };

/** The paper's settings (arXiv 2402.01306 sec. 4.2), at a batch that fits a small machine. */
const KTO_DEFAULTS: KtoOptions = {
  ...TRAIN_DEFAULTS,
  learningRate: 5e-6,
  beta: 0.1,
  batchSize: 16,
  maxTokens: 1024,
  maxPromptTokens: 512,
  maxTokensPerBatch: 2048,
  minCompletions: 2,
};

/** What to train on. */
export type KtoRun = PreferenceSurroundings & {
  readonly completions: readonly RatedCompletion[];
  /** Held out: figures with `eval_` in front are of these. */
  readonly evalCompletions?: readonly RatedCompletion[];
  /** What differs from `KTO_DEFAULTS`. */
  readonly options?: Partial<KtoOptions>;
};

/** How a KTO run ended. */
export type KtoOutcome = TrainOutcome & {
  /** Usable completions that were trained on. */
  readonly desirable: number;
  readonly undesirable: number;
  readonly truncated: readonly string[];
  readonly dropped: readonly string[];
};

/**
 * Trains on rated completions, from the newest checkpoint in `runDir` if there is one.
 * @throws CodedError `data_too_small`, and what `train` throws
 */
export async function trainKto(run: KtoRun): Promise<KtoOutcome> {
  const options = { ...KTO_DEFAULTS, ...run.options };
  const limits = fittingLimits(options, options.maxTokensPerBatch, 1);
  const training = encodeWithMismatches(run, run.completions, limits);
  const held = encodeWithMismatches(run, run.evalCompletions ?? [], limits);
  const { examples, truncated, dropped } = training;
  assertEnough("rated answers", {
    usable: examples.length,
    given: run.completions.length,
    needed: options.minCompletions,
  });
  const rows = [...training.rows, ...held.rows];
  const keep = keepExamples(run, limits);
  const scored = [...rows.flatMap((row) => [row.example, row.mismatched]), ...keep];
  const desirable = training.rows.filter(({ isDesirable }) => isDesirable).length;
  const counts = { desirable, undesirable: examples.length - desirable, truncated, dropped };
  using known = await referenceOf(run, [sourceOf(scored)], options.maxTokensPerBatch);
  if (known === undefined) return { ...NOT_BEGUN, ...counts };
  const weights = { ...ktoBalance(counts.desirable, counts.undesirable), ...given(options) };
  const lossOptions: KtoLossOptions = { beta: options.beta, ...weights };
  const watch = keepWatch(keep, known);
  const outcome = await train({
    ...run,
    examples,
    evalExamples: held.examples,
    loss: unpairedLoss(withReference(rows, known), lossOptions),
    ...(watch === undefined ? {} : { watch }),
    lossKey: JSON.stringify(["kto", lossOptions, startKey(run)]),
    options,
  });
  return { ...outcome, ...counts };
}

function given({ desirableWeight, undesirableWeight }: KtoOptions): Partial<KtoLossOptions> {
  return {
    ...(desirableWeight === undefined ? {} : { desirableWeight }),
    ...(undesirableWeight === undefined ? {} : { undesirableWeight }),
  };
}

/** An example with the one that has its prompt and the completion before it in the data. */
type Row = {
  readonly example: Example;
  readonly mismatched: Example;
  readonly isDesirable: boolean;
};

type WithMismatches = {
  readonly rows: readonly Row[];
  readonly examples: readonly Example[];
  readonly truncated: readonly string[];
  readonly dropped: readonly string[];
};

/** Each prompt with the completion of the row before, round in a ring, as the paper and TRL estimate the KL. */
function encodeWithMismatches(
  { vocabulary }: KtoRun,
  completions: readonly RatedCompletion[],
  limits: LengthLimits,
): WithMismatches {
  const { examples, truncated, dropped } = encodeRated(vocabulary, completions, limits);
  const left = new Set(dropped);
  const usable = completions.filter(({ id }) => !left.has(id));
  const others = usable.map((one, i) => {
    return { ...one, completion: usable.at(i - 1)?.completion ?? one.completion };
  });
  const mismatched = encodeRated(vocabulary, others, limits).examples;
  const rows = examples.map((example, i): Row => {
    const [other, rated] = [mismatched[i], usable[i]];
    if (other?.id !== example.id || rated?.id !== example.id) {
      throw new RangeError(`${example.id} has no sample beside it: ids must differ`);
    }
    return { example, mismatched: other, isDesirable: rated.isDesirable };
  });
  return { rows, examples, truncated, dropped };
}

function withReference(
  rows: readonly Row[],
  known: ReferenceLogps,
): ReadonlyMap<Example, RatedExample> {
  return new Map(
    rows.flatMap(({ example, mismatched, isDesirable }): [Example, RatedExample][] => {
      const [sequence] = mismatched.sequences;
      if (sequence === undefined) return [];
      const of = (one: Example) => known.get(one)?.[0] ?? Number.NaN;
      const rated = {
        isDesirable,
        referenceLogp: of(example),
        mismatched: sequence,
        mismatchedReferenceLogp: of(mismatched),
      };
      return [[example, rated]];
    }),
  );
}
