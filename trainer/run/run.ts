/** What a training run takes and gives: its parts as types, so that losses, loop and entry points agree. */
import type { Clock } from "#engine/base/clock.ts";
import type { ExampleSource } from "../data/example-source.ts";
import type { Example } from "../data/sequence.ts";
import type { Trainable } from "../model/trainable.ts";
import type { EarlyStop, Evaluation } from "./early-stop.ts";
import type { MetricsLine } from "./metrics.ts";
import type { Schedule } from "./schedule.ts";

/** The part of a model that the loop needs. */
export type TrainingModel = Pick<
  Trainable,
  | "logps"
  | "forwardBackward"
  | "gradientNorm"
  | "step"
  | "zeroGradients"
  | "parameters"
  | "readParameter"
  | "writeParameter"
  | "readOptimizer"
  | "writeOptimizer"
> &
  Partial<Pick<Trainable, "lora">>;

/** What a loss says of one part (micro-batch) of a step. */
export type PartLoss = {
  /** d loss / d logp for each token of the part's sequences, in their order. */
  readonly gradients: readonly Float32Array[];
  /** Named figures, `loss` among them; parts of a step add up to the step's figure. */
  readonly metrics: Readonly<Record<string, number>> & { readonly loss: number };
};

/** The part of a model that scores without a gradient: the policy as it stands. */
export type ScoringModel = Pick<TrainingModel, "logps">;

/** Weighs one part of a step. @param logps [tokens] for each sequence of the part's examples, in order */
export type PartWeigher = (part: readonly Example[], logps: readonly Float32Array[]) => PartLoss;

/**
 * A loss: given all examples of a step, it fixes its denominators and returns what weighs each part, so that
 * the gradient is the same however a step is split.
 * @param model for losses that also ask the policy about other sequences than the step's own
 */
export type Loss = (
  step: readonly Example[],
  model: ScoringModel,
) => PartWeigher | Promise<PartWeigher>;

/** How to train. */
export type TrainOptions = Schedule & {
  /** Times through the data; fractions end within one. */
  readonly epochs: number;
  /** Examples in an optimiser step. */
  readonly batchSize: number;
  /** Tokens of one forward and backward pass, padding included; at most what the model was opened with. */
  readonly maxTokensPerBatch: number;
  /** Gradients are scaled down to this norm. */
  readonly maxGradientNorm: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Fixes the data's order. */
  readonly seed: number;
  /** Steps between evaluations; 0 evaluates at the end only. */
  readonly evalEverySteps: number;
  /** Steps between checkpoints. */
  readonly checkpointEverySteps: number;
  /** Ends the run after this much training time, the learning rate decaying towards it. */
  readonly timeLimitMs?: number;
  /** Ends the run when evaluations no longer get better; the model then has the best one's parameters. */
  readonly earlyStop?: EarlyStop;
};

/** Zephyr's optimiser settings (handbook, QLoRA recipe) where a run does not say otherwise. */
export const TRAIN_DEFAULTS = {
  epochs: 1,
  warmupRatio: 0.1,
  decay: "cosine",
  maxGradientNorm: 1,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  seed: 42,
  evalEverySteps: 0,
  checkpointEverySteps: 50,
} as const satisfies Partial<TrainOptions>;

/** How far a run is, for a progress bar. */
export type Progress = {
  readonly phase: "reference" | "train" | "evaluate";
  /** Units done and to do: examples of the reference or the evaluation, optimiser steps of the training. */
  readonly done: number;
  readonly total: number;
  /** Of the last step; undefined outside training. */
  readonly loss?: number;
  readonly tokensPerSecond?: number;
  /** Estimate; undefined until there is something to go by. */
  readonly remainingMs?: number;
};

/** What every run takes beside its data. */
export type RunSurroundings = {
  readonly model: TrainingModel;
  /** Gets `metrics.jsonl`, its plot `metrics.svg`, and `checkpoints/`; a run found there is taken up. */
  readonly runDir: string;
  readonly onProgress?: (progress: Progress) => void;
  /** Called and awaited after each optimiser step, with the line that went into the metrics. */
  readonly onStep?: (line: MetricsLine) => void | Promise<void>;
  /** Aborting drops the unfinished step, writes a checkpoint and ends the run, on the CPU within a graph's node. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
};

/** Sequences that are not learnt but measured at each evaluation, such as a keep-set. */
export type Watch = {
  readonly examples: readonly Example[];
  /** Figures of a part of the examples, by names without `eval_`; parts add up. */
  readonly measure: (
    part: readonly Example[],
    logps: readonly Float32Array[],
  ) => Readonly<Record<string, number>>;
};

/** What to train. */
export type TrainingRun = RunSurroundings & {
  readonly examples: readonly Example[] | ExampleSource;
  /** Evaluated at the end and every `evalEverySteps`; may be empty. */
  readonly evalExamples: readonly Example[];
  readonly loss: Loss;
  readonly watch?: Watch;
  /** Tells this loss and its settings from others: a checkpoint is taken up by the same loss only. */
  readonly lossKey: string;
  readonly options: TrainOptions;
};

/** How a run ended. */
export type TrainOutcome = {
  /** `aborted`: by the signal; the same call goes on from the checkpoint. */
  readonly status: "finished" | "time_limit" | "early_stop" | "aborted";
  readonly step: number;
  readonly totalSteps: number;
  /** Tokens trained on, padding not counted. */
  readonly tokens: number;
  readonly elapsedMs: number;
  /** The last line of the metrics that this call wrote; undefined when nothing was left to do. */
  readonly metrics: MetricsLine | undefined;
  /** The evaluation whose parameters the model has at the end; undefined without `earlyStop`. */
  readonly best: Evaluation | undefined;
  /** Share of computed columns that were padding, in this call. */
  readonly paddingFraction: number;
  /** The step of the checkpoint that this call began from; 0 for the start. */
  readonly resumedFrom: number;
  /** Damaged checkpoints that were passed over. */
  readonly damagedCheckpoints: readonly string[];
};
