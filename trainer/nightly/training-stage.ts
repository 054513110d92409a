/** The second stage: preference training from the base, with a LoRA adapter, taken up at its last checkpoint if there is one. */
import { join } from "node:path";
import { CodedError } from "#engine/base/errors.ts";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { loadKeepSet } from "#prompts/load.ts";
import type { PreferencePair, RatedCompletion } from "../data/preference.ts";
import { loadLora } from "../gate/load-adapter.ts";
import { writeLoraGguf } from "../gguf/lora.ts";
import { fileAlpha } from "../model/lora-scale.ts";
import { openTrainable } from "../model/open-trainable.ts";
import { readLlamaShape } from "../model/read-shape.ts";
import { ratedCompletions } from "../pairs/completions.ts";
import { trainDpo } from "../run/dpo.ts";
import { trainKto } from "../run/kto.ts";
import type { PreferenceSurroundings } from "../run/preparation.ts";
import type { TrainOutcome } from "../run/run.ts";
import type { RunData } from "./data-stage.ts";
import { chooseHyperparameters, type Hyperparameters } from "./hyperparameters.ts";
import { chooseMemory } from "./memory-stage.ts";
import { runsFolder } from "./run-folder.ts";
import { type Surroundings, threadsOf } from "./surroundings.ts";

/** The adapter's file in a run's folder. */
export const ADAPTER_FILE = "adapter.gguf";
/** The adapter that a training goes on from, where it does. */
export const START_FILE = "start.gguf";
/** The base's word on the last night's answers: hashes and numbers, nothing of what was deleted since. */
const REFERENCE_CACHE = "reference-logps.db";

/** The settings for a run's data. */
export function settingsFor(at: Surroundings, data: TrainingData): Hyperparameters {
  const isUnpaired = at.config.TRAIN_LOSS === "kto";
  const examples = isUnpaired ? answersOf(data).length : countOf(data.train) + data.anchors.length;
  return settingsForExamples(at, examples);
}

/**
 * Sizes of the base model, and how much there is to learn from, are what the settings follow from.
 * @throws CodedError `config_invalid` when they name blocks that the model does not have
 */
export function settingsForExamples(at: Surroundings, examples: number): Hyperparameters {
  using file = GgufFile.open(at.model.path, at.libraries);
  const { contextTokens, nLayer } = readLlamaShape(file);
  const stray = at.config.TRAIN_LORA_LAYERS?.find((layer) => layer >= nLayer);
  if (stray !== undefined) {
    throw new CodedError(
      `TRAIN_LORA_LAYERS names block ${stray}; the model has blocks 0 to ${nLayer - 1}. Name some of these, or none for all.`,
      { code: "config_invalid" },
    );
  }
  const parameters = file.tensors
    .map(({ ne }) => ne.reduce((product, count) => product * count, 1))
    .reduce((sum, size) => sum + size, 0);
  return chooseHyperparameters({ parameters, examples, contextTokens }, at.config);
}

/** What is learnt from. */
type TrainingData = Pick<RunData, "train" | "anchors" | "lone">;

function countOf(items: Iterable<unknown>): number {
  let count = 0;
  for (const _ of items) count += 1;
  return count;
}

/** The pairs' answers, liked and disliked, and those that stand alone. */
export function answersOf(data: TrainingData): readonly RatedCompletion[] {
  return [...ratedCompletions([...data.train, ...data.anchors]), ...data.lone];
}

/**
 * Trains and writes the adapter into the run's folder; aborted, it leaves a checkpoint instead.
 * @throws CodedError `out_of_memory` before anything is loaded, and as `trainDpo`, `trainKto` and `writeLoraGguf`
 */
export async function trainAdapter(
  at: Surroundings,
  folder: string,
  data: RunData,
  settings: Hyperparameters,
): Promise<TrainOutcome> {
  const { startsFrom } = settings;
  at.say(
    `Training on ${data.manifest.trainPairs} pairs and ${data.anchors.length} fixed refusals, from ${startsFrom?.name ?? "the base"} …`,
  );
  const memory = chooseMemory(at, settings);
  if (!memory.fits) throw new CodedError(memory.message, { code: "out_of_memory" });
  using vocabulary = Vocabulary.open(at.model.path, at.libraries);
  using model = openTrainable({
    ggufPath: at.model.path,
    lora: settings.lora,
    precision: settings.precision,
    threads: threadsOf(at.config),
    maxTokensPerBatch: settings.dpo.maxTokensPerBatch,
    libraries: at.libraries,
    ...memory.options,
  });
  if (startsFrom !== undefined) loadLora(model, join(folder, START_FILE), at.libraries);
  const outcome = await trainOn(data, settings, {
    model,
    vocabulary,
    seal: at.keys,
    modelSha256: at.model.sha256,
    ...(startsFrom === undefined ? {} : { startAdapterSha256: startsFrom.sha256 }),
    keepSet: loadKeepSet(),
    runDir: folder,
    // Shared by all nights, since most of a night's pairs were there the night before.
    referenceCachePath: join(runsFolder(at.config.DATA_DIR), REFERENCE_CACHE),
    signal: at.signal,
    onProgress: at.onProgress,
    clock: at.clock,
  });
  for (const line of remarksOn(outcome, settings)) at.say(line);
  if (outcome.status === "aborted") return outcome;
  writeLoraGguf(join(folder, ADAPTER_FILE), {
    libraries: at.libraries,
    trainable: model,
    alpha: fileAlpha(settings.lora),
    baseArchitecture: "llama",
  });
  return outcome;
}

/** What a person who reads along should know of a training that did not go by the book. */
export function remarksOn(
  { damagedCheckpoints, resumedFrom, cut }: TrainOutcome & { readonly cut: number },
  { dpo: { maxTokens } }: Pick<Hyperparameters, "dpo">,
): readonly string[] {
  const damaged = `Damaged checkpoints were passed over (${damagedCheckpoints.join(", ")}); training went on from step ${resumedFrom}.`;
  const shortened = `${cut} of what it learnt from did not fit ${maxTokens} tokens and was shortened.`;
  return [...(damagedCheckpoints.length === 0 ? [] : [damaged]), ...(cut === 0 ? [] : [shortened])];
}

/** One at a time: there may be more than memory holds. */
function pairsOf({ train, anchors }: TrainingData): Iterable<PreferencePair> {
  return {
    *[Symbol.iterator]() {
      yield* train;
      yield* anchors;
    },
  };
}

/** @returns with how many examples were cut to fit */
async function trainOn(
  data: RunData,
  { loss, dpo: options }: Hyperparameters,
  run: PreferenceSurroundings,
): Promise<TrainOutcome & { readonly cut: number }> {
  if (loss !== "kto") {
    const evalPairs = data.heldOut;
    const outcome = await trainDpo({ ...run, pairs: pairsOf(data), evalPairs, options });
    return { ...outcome, cut: outcome.truncated.count };
  }
  const evalCompletions = ratedCompletions(data.heldOut);
  const completions = answersOf(data);
  const outcome = await trainKto({ ...run, completions, evalCompletions, options });
  return { ...outcome, cut: outcome.truncated.length };
}
