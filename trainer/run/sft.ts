/** Supervised training: imitating the assistant's turns of dialogues, or every token of plain documents. */
import { CodedError } from "#engine/base/errors.ts";
import {
  type ChatEncoder,
  encodeDialogues,
  fittingLimits,
  type LengthLimits,
} from "../data/chat.ts";
import type { Dialogue } from "../data/preference.ts";
import { type Example, scoredTokens } from "../data/sequence.ts";
import { maskedSftLoss } from "../losses/sft.ts";
import { train } from "./loop.ts";
import {
  type Loss,
  type RunSurroundings,
  TRAIN_DEFAULTS,
  type TrainOptions,
  type TrainOutcome,
} from "./run.ts";

/** All settings of an SFT run. */
export type SftOptions = TrainOptions & LengthLimits;

/** Zephyr's settings (handbook, QLoRA recipe), at a batch that fits a small machine. */
export const SFT_DEFAULTS: SftOptions = {
  ...TRAIN_DEFAULTS,
  learningRate: 2e-4,
  batchSize: 16,
  maxTokens: 1024,
  maxPromptTokens: 512,
  maxTokensPerBatch: 2048,
};

/** What to imitate. */
export type SftRun = RunSurroundings & {
  readonly vocabulary: ChatEncoder;
  readonly dialogues: readonly Dialogue[];
  /** Held out: figures with `eval_` in front are of these. */
  readonly evalDialogues?: readonly Dialogue[];
  /** What differs from `SFT_DEFAULTS`. */
  readonly options?: Partial<SftOptions>;
};

/** How an SFT run ended. */
export type SftOutcome = TrainOutcome & {
  readonly truncated: readonly string[];
  readonly dropped: readonly string[];
};

/**
 * Trains on the assistant's turns of dialogues and the `</s>` that ends each, from the newest checkpoint in
 * `runDir` if there is one.
 * @throws CodedError `data_too_small` when no dialogue has an answer, and what `train` throws
 */
export async function trainSft(run: SftRun): Promise<SftOutcome> {
  const options = { ...SFT_DEFAULTS, ...run.options };
  const limits = fittingLimits(options, options.maxTokensPerBatch, 1);
  const { examples, truncated, dropped } = encodeDialogues(run.vocabulary, run.dialogues, limits);
  const evalExamples = encodeDialogues(run.vocabulary, run.evalDialogues ?? [], limits).examples;
  const outcome = await trainLanguageModel({ ...run, examples, evalExamples, options });
  return { ...outcome, truncated, dropped };
}

/** Sequences to learn as they are, such as `packDocuments` makes for pretraining. */
export type LanguageModelRun = RunSurroundings & {
  readonly examples: readonly Example[];
  readonly evalExamples?: readonly Example[];
  readonly options: TrainOptions;
};

/**
 * Trains on the scored tokens of sequences, from the newest checkpoint in `runDir` if there is one.
 * @throws CodedError `data_too_small` when there is no sequence, and what `train` throws
 */
export async function trainLanguageModel(run: LanguageModelRun): Promise<TrainOutcome> {
  if (run.examples.length === 0) {
    throw new CodedError(
      "Training needs at least 1 sequence with something to learn, found 0. Give dialogues that hold an assistant's turn.",
      { code: "data_too_small" },
    );
  }
  const evalExamples = run.evalExamples ?? [];
  return train({
    ...run,
    evalExamples,
    loss: sftLoss,
    lossKey: JSON.stringify(["sft", run.model.lora ?? null]),
  });
}

/** Mean NLL over the step's scored tokens; examples' weights do not count here. */
const sftLoss: Loss = (step) => {
  const normaliser = step
    .flatMap(({ sequences }) => sequences)
    .reduce((sum, sequence) => sum + scoredTokens(sequence), 0);
  return (part, logps) => {
    const scored = part.flatMap(({ sequences }) => sequences.map((sequence) => sequence.scored));
    const { loss, gradients } = maskedSftLoss(logps, scored, normaliser);
    return { gradients, metrics: { loss } };
  };
};
