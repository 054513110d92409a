/**
 * A training stage of a recipe, from one GGUF to the next, and a model's last step to fewer bits. A stage whose
 * file is there is not run again; one that was stopped goes on from its checkpoint. It knows no data.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import type { WeightType } from "../gguf/encode.ts";
import { writeModelGguf } from "../gguf/model-file.ts";
import { openTrainable } from "../model/open-trainable.ts";
import type { Trainable } from "../model/trainable.ts";
import type { Progress, RunSurroundings, TrainOutcome } from "../run/run.ts";

/** What the stages of a recipe share. */
export type StageSetting = {
  readonly libraries: NativeLibraries;
  readonly threads: number;
  /** Holds the stages' files, checkpoints and metrics. */
  readonly runDir: string;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
  /** Tokens of one pass that the stages' options ask for. */
  readonly maxTokensPerBatch: number;
};

/** How a trained stage ended; undefined where its file was there already. */
export type StageOutcome = TrainOutcome | undefined;

type StageParts = { readonly surroundings: RunSurroundings; readonly vocabulary: Vocabulary };

/** The model pads lengths further than the batches count on. */
const PADDING_ROOM = 1.5;

/** Trains all weights of `from` by `run` and writes them to `to`, in F32, unless it was interrupted. */
export async function trainedStage(
  { libraries, threads, runDir, signal, onProgress, maxTokensPerBatch }: StageSetting,
  { from, to, name }: { readonly from: string; readonly to: string; readonly name: string },
  run: (parts: StageParts) => Promise<TrainOutcome>,
): Promise<StageOutcome> {
  if (existsSync(to)) return undefined;
  using vocabulary = Vocabulary.open(from, libraries);
  using model = openTrainable({
    ggufPath: from,
    lora: null,
    precision: "bf16",
    threads,
    maxTokensPerBatch: PADDING_ROOM * maxTokensPerBatch,
    libraries,
  });
  const surroundings = { model, runDir: join(runDir, name), signal, onProgress };
  const outcome = await run({ surroundings, vocabulary });
  if (outcome.status !== "aborted") writeParameters(model, { from, to, libraries, type: "f32" });
  return outcome;
}

/** Writes the model in fewer bits, for serving. @returns sha256 (hex), bytes and the count of parameters */
export function quantise(
  { libraries, threads }: Pick<StageSetting, "libraries" | "threads">,
  from: string,
  to: string,
  type: WeightType,
): { readonly sha256: string; readonly bytes: number; readonly parameters: number } {
  const options = { lora: null, precision: "f32", maxTokensPerBatch: 64 } as const;
  using model = openTrainable({ ggufPath: from, threads, libraries, ...options });
  const parameters = model
    .parameters()
    .reduce((sum, { ne }) => sum + ne.reduce((product, count) => product * count, 1), 0);
  return { parameters, ...writeParameters(model, { from, to, libraries, type }) };
}

function writeParameters(
  model: Trainable,
  file: { from: string; to: string; libraries: NativeLibraries; type: WeightType },
): { sha256: string; bytes: number } {
  const tensors = model.parameters().map(({ name, ne }) => ({
    name,
    ne,
    values: () => model.readParameter(name),
  }));
  return writeModelGguf(file.to, { ...file, tensors });
}
