/** The second stage: DPO from the base, with a LoRA adapter, taken up at its last checkpoint if there is one. */
import { join } from "node:path";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { writeLoraGguf } from "../gguf/lora.ts";
import { fileAlpha } from "../model/lora-scale.ts";
import { openTrainable } from "../model/open-trainable.ts";
import { readLlamaShape } from "../model/read-shape.ts";
import { type DpoOutcome, trainDpo } from "../run/dpo.ts";
import type { RunData } from "./data-stage.ts";
import { chooseHyperparameters, type Hyperparameters } from "./hyperparameters.ts";
import { type Surroundings, threadsOf } from "./surroundings.ts";

/** The adapter's file in a run's folder. */
export const ADAPTER_FILE = "adapter.gguf";

/** Sizes of the base model that the settings follow from. */
export function settingsFor(at: Surroundings, data: RunData): Hyperparameters {
  using file = GgufFile.open(at.model.path, at.libraries);
  const { contextTokens } = readLlamaShape(file);
  const parameters = file.tensors
    .map(({ ne }) => ne.reduce((product, count) => product * count, 1))
    .reduce((sum, size) => sum + size, 0);
  const pairs = data.train.length + data.anchors.length;
  return chooseHyperparameters(parameters, pairs, contextTokens);
}

/**
 * Trains and writes the adapter into the run's folder; aborted, it leaves a checkpoint instead.
 * @throws CodedError as `trainDpo` and `writeLoraGguf`
 */
export async function trainAdapter(
  at: Surroundings,
  folder: string,
  data: RunData,
  settings: Hyperparameters,
): Promise<DpoOutcome> {
  at.say(
    `Training on ${data.train.length} pairs and ${data.anchors.length} fixed refusals, from the base …`,
  );
  using vocabulary = Vocabulary.open(at.model.path, at.libraries);
  using model = openTrainable({
    ggufPath: at.model.path,
    lora: settings.lora,
    precision: settings.precision,
    threads: threadsOf(at.config),
    maxTokensPerBatch: settings.dpo.maxTokensPerBatch,
    libraries: at.libraries,
  });
  const outcome = await trainDpo({
    model,
    vocabulary,
    pairs: [...data.train, ...data.anchors],
    evalPairs: data.heldOut,
    modelSha256: at.model.sha256,
    options: settings.dpo,
    runDir: folder,
    signal: at.signal,
    onProgress: at.onProgress,
    clock: at.clock,
  });
  if (outcome.status === "aborted") return outcome;
  writeLoraGguf(join(folder, ADAPTER_FILE), {
    libraries: at.libraries,
    trainable: model,
    alpha: fileAlpha(settings.lora),
    baseArchitecture: "llama",
  });
  return outcome;
}
