/** The training's settings for a model and a data set of given sizes. Pure. */
import type { LoraOptions } from "../model/trainable.ts";
import type { DpoOptions } from "../run/dpo.ts";

/** Settings of one run, as they go into the adapter's manifest. */
export type Hyperparameters = {
  readonly lora: LoraOptions;
  readonly precision: "f32" | "bf16";
  readonly dpo: Partial<DpoOptions> & {
    readonly maxTokens: number;
    readonly maxPromptTokens: number;
    readonly maxTokensPerBatch: number;
  };
};

/** Zephyr's QLoRA rate for 7 G parameters (handbook); smaller models take larger ones. */
const REFERENCE_RATE = 5e-6;
const REFERENCE_PARAMETERS = 7.24e9;
const LARGEST_RATE = 5e-4;
const SMALL_MODEL_PARAMETERS = 1e9;
const BATCH_SIZE = 16;
/** Zephyr's, of the paper. */
const EPOCHS = 3;
/** A small data set is gone through more often, up to so many steps … */
const STEPS_WANTED = 48;
/** … and so many times. */
const EPOCHS_MOST = 12;
const SEED = 42;

/**
 * Chooses the settings: LoRA r16 α16 on all linear layers, β 0.1, cosine decay, the learning rate
 * growing with 1/√parameters from Zephyr's own at 7 G.
 * @param parameters of the base model
 * @param pairs to train on
 * @param contextTokens of the base model
 */
export function chooseHyperparameters(
  parameters: number,
  pairs: number,
  contextTokens: number,
): Hyperparameters {
  const rate = REFERENCE_RATE * Math.sqrt(REFERENCE_PARAMETERS / parameters);
  const stepsAnEpoch = Math.max(1, pairs / BATCH_SIZE);
  const maxTokens = Math.min(1024, contextTokens);
  return {
    lora: {
      rank: 16,
      alpha: 16,
      targets: ["q", "k", "v", "o", "gate", "up", "down"],
      seed: SEED,
    },
    precision: parameters < SMALL_MODEL_PARAMETERS ? "f32" : "bf16",
    dpo: {
      learningRate: Math.min(LARGEST_RATE, rate),
      decay: "cosine",
      warmupRatio: 0.1,
      beta: 0.1,
      epochs: Math.min(EPOCHS_MOST, Math.max(EPOCHS, Math.ceil(STEPS_WANTED / stepsAnEpoch))),
      batchSize: BATCH_SIZE,
      maxTokens,
      maxPromptTokens: Math.floor(maxTokens / 2),
      maxTokensPerBatch: 2 * maxTokens,
      checkpointEverySteps: 10,
      seed: SEED,
    },
  };
}
