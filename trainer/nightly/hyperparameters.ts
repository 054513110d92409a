/** The training's settings for a model and a data set of given sizes. Pure. */
import type { Config } from "#engine/base/config.ts";
import type { LoraOptions } from "../model/trainable.ts";
import type { DpoOptions } from "../run/dpo.ts";

/** Settings of one run, as they go into the adapter's manifest. */
export type Hyperparameters = {
  /** By the setting's name; `kto` learns from single answers, all others from pairs. */
  readonly loss: LossName;
  readonly lora: LoraOptions;
  /** The registry's name of an adapter that was not trained here; loss and `dpo` then say nothing of it. */
  readonly judgedAs?: string;
  /** The adapter that the training went on from, and was held to as its reference. */
  readonly startsFrom?: { readonly name: string; readonly sha256: string };
  readonly precision: "f32" | "bf16";
  readonly dpo: Partial<DpoOptions> & {
    readonly maxTokens: number;
    readonly maxPromptTokens: number;
    readonly maxTokensPerBatch: number;
  };
};

type LossName = Config["TRAIN_LOSS"];

/** The settings that a person may choose. */
type Choices = Pick<
  Config,
  | "TRAIN_LOSS"
  | "TRAIN_BETA"
  | "TRAIN_LORA_RANK"
  | "TRAIN_LORA_ALPHA"
  | "TRAIN_LORA_SCALING"
  | "TRAIN_LORA_DROPOUT"
  | "TRAIN_LORA_TARGETS"
  | "TRAIN_LORA_LAYERS"
>;

/** What each name stands for, with the values of its paper, or of Zephyr's handbook where that has one. */
const LOSSES: Readonly<Record<LossName, Partial<DpoOptions> & { readonly beta: number }>> = {
  sigmoid: { beta: 0.1 },
  cdpo: { beta: 0.1, labelSmoothing: 0.1 },
  robust: { loss: "robust", beta: 0.1, labelSmoothing: 0.1 },
  hinge: { loss: "hinge", beta: 0.1 },
  ipo: { loss: "ipo", beta: 0.1 },
  sigmoid_norm: { loss: "sigmoid_norm", beta: 5 },
  ld: { beta: 0.1, ldAlpha: 0.5 },
  rpo: { beta: 0.1, rpoAlpha: 1 },
  orpo: { loss: "orpo", beta: 0.1 },
  simpo: { loss: "simpo", beta: 2, simpoGamma: 1 },
  kto: { beta: 0.1 },
};

/** Zephyr's QLoRA rate for 7 G parameters and an epoch of UltraFeedback (handbook) … */
const REFERENCE_RATE = 5e-6;
const REFERENCE_PARAMETERS = 7.24e9;
const REFERENCE_STEPS = 61_135 / 16;
const LARGEST_RATE = 4e-4;
const SMALL_MODEL_PARAMETERS = 1e9;
const BATCH_SIZE = 16;
/** Zephyr's, of the paper. */
const EPOCHS = 3;
/** A small data set is gone through more often, up to so many steps … */
const STEPS_WANTED = 40;
/** … and so many times. */
const EPOCHS_MOST = 12;
const SEED = 42;

/** What the settings follow from. */
type Sizes = {
  /** Of the base model. */
  readonly parameters: number;
  /** Examples to train on: pairs, or single answers. */
  readonly examples: number;
  /** Of the base model. */
  readonly contextTokens: number;
};

/**
 * The settings: what was chosen, and where nothing was LoRA r16 α16 on all linear layers, β 0.1, cosine decay.
 * The learning rate grows from Zephyr's own with 1/√parameters, and with 1/√steps: under Adam a weight goes no
 * further than rate × steps, so at Zephyr's rate a night of some dozens of steps would learn nothing (docs/experiments.md).
 */
export function chooseHyperparameters(
  { parameters, examples, contextTokens }: Sizes,
  choices: Choices,
): Hyperparameters {
  const stepsAnEpoch = Math.max(1, Math.ceil(examples / BATCH_SIZE));
  const epochs = Math.min(EPOCHS_MOST, Math.max(EPOCHS, Math.ceil(STEPS_WANTED / stepsAnEpoch)));
  const fewer = Math.max(1, REFERENCE_STEPS / (stepsAnEpoch * epochs));
  const rate = REFERENCE_RATE * Math.sqrt((REFERENCE_PARAMETERS / parameters) * fewer);
  const maxTokens = Math.min(1024, contextTokens);
  const { TRAIN_LOSS: loss, TRAIN_BETA: beta } = choices;
  return {
    loss,
    lora: loraOf(choices),
    precision: parameters < SMALL_MODEL_PARAMETERS ? "f32" : "bf16",
    dpo: {
      learningRate: Math.min(LARGEST_RATE, rate),
      decay: "cosine",
      warmupRatio: 0.1,
      ...LOSSES[loss],
      ...(beta === undefined ? {} : { beta }),
      epochs,
      batchSize: BATCH_SIZE,
      maxTokens,
      maxPromptTokens: Math.floor(maxTokens / 2),
      maxTokensPerBatch: 2 * maxTokens,
      checkpointEverySteps: 10,
      seed: SEED,
    },
  };
}

function loraOf(choices: Choices): LoraOptions {
  const { TRAIN_LORA_LAYERS: layers } = choices;
  return {
    rank: choices.TRAIN_LORA_RANK,
    alpha: choices.TRAIN_LORA_ALPHA,
    scaling: choices.TRAIN_LORA_SCALING,
    dropout: choices.TRAIN_LORA_DROPOUT,
    targets: choices.TRAIN_LORA_TARGETS,
    ...(layers === undefined ? {} : { layers }),
    seed: SEED,
  };
}
