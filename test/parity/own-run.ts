/** This project's half of the comparison: the real loop, loss and model, on the scenario's pairs. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { NativeLibraries } from "#engine/native/library.ts";
import { sourceOf } from "#trainer/data/example-source.ts";
import { sequenceLogp } from "#trainer/data/sequence.ts";
import { loadLora } from "#trainer/gate/load-adapter.ts";
import { writeLoraGguf } from "#trainer/gguf/lora.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { Trainable } from "#trainer/model/trainable.ts";
import { exportPeft } from "#trainer/peft/export.ts";
import { importPeft } from "#trainer/peft/import.ts";
import { train } from "#trainer/run/loop.ts";
import { readMetrics } from "#trainer/run/metrics.ts";
import { preferenceLoss } from "#trainer/run/pair-loss.ts";
import { sharedHeads, splitReference } from "#trainer/run/preparation.ts";
import { referenceLogps } from "#trainer/run/reference.ts";
import { exampleOf, type Scenario, type TokenPair } from "./scenario.ts";

/** What the run did. */
export type OwnRun = {
  /** The pairs of each step, in the order of this run's own shuffle. */
  readonly steps: readonly (readonly TokenPair[])[];
  readonly losses: readonly number[];
  /** log p of every completion at the end, chosen and rejected in turn. */
  readonly logps: readonly number[];
};

/** Opens the scenario's model with its adapter. */
export function openScenario(
  folder: string,
  libraries: NativeLibraries,
  { lora, options, threads }: Scenario,
  precision: "f32" | "bf16",
): Trainable {
  return openTrainable({
    ggufPath: join(folder, "model.gguf"),
    lora,
    precision,
    threads,
    maxTokensPerBatch: options.maxTokensPerBatch,
    libraries,
  });
}

/** Trains on the pairs and writes the adapter as it was before and after: `initial.gguf`, `final.gguf`. */
export async function trainOwn(
  folder: string,
  libraries: NativeLibraries,
  scenario: Scenario,
  pairs: readonly TokenPair[],
): Promise<OwnRun> {
  using model = openScenario(folder, libraries, scenario, "f32");
  writeAdapter(folder, "initial.gguf", libraries, scenario, model);
  const runDir = join(folder, "run");
  mkdirSync(runDir);
  const source = sourceOf(pairs.map(exampleOf));
  const { options } = scenario;
  using reference = await referenceLogps({
    model,
    modelSha256: "",
    sources: options.ldAlpha === 1 ? [source] : [source, sharedHeads(source)],
    maxTokensPerBatch: options.maxTokensPerBatch,
    cachePath: join(runDir, "reference.db"),
  });
  if (reference === undefined) throw new Error("nothing aborts this run");
  const loss = preferenceLoss(splitReference(reference, options), options);
  const steps: (readonly TokenPair[])[] = [];
  const byId = new Map(pairs.map((pair) => [pair.id, pair]));
  await train({
    model,
    runDir,
    examples: source,
    evalExamples: [],
    options,
    lossKey: "parity",
    // The loop asks for a step's loss once, with the step's examples.
    loss: (step) => {
      steps.push(step.flatMap(({ id }) => byId.get(id) ?? []));
      return loss(step);
    },
  });
  writeAdapter(folder, "final.gguf", libraries, scenario, model);
  exportPeft({
    libraries,
    adapterPath: join(folder, "final.gguf"),
    basePath: join(folder, "model.gguf"),
    folder: join(folder, "exported"),
    baseModel: null,
  });
  const lines = readMetrics(join(runDir, "metrics.jsonl"));
  return {
    steps,
    losses: lines.map((line) => line["loss"] ?? Number.NaN),
    logps: await logpsOf(model, steps.flat()),
  };
}

/** log p of the pairs' completions under the adapter that PEFT saved, read back by this project. */
export async function importedLogps(
  folder: string,
  libraries: NativeLibraries,
  scenario: Scenario,
  pairs: readonly TokenPair[],
): Promise<readonly number[]> {
  const adapterPath = join(folder, "imported.gguf");
  const basePath = join(folder, "model.gguf");
  importPeft({ libraries, folder: join(folder, "trl-adapter"), basePath, adapterPath });
  using model = openScenario(folder, libraries, scenario, "f32");
  loadLora(model, adapterPath, libraries);
  return await logpsOf(model, pairs);
}

async function logpsOf(model: Trainable, pairs: readonly TokenPair[]): Promise<number[]> {
  const sequences = pairs.flatMap((pair) => exampleOf(pair).sequences);
  return (await model.logps(sequences)).map(sequenceLogp);
}

/** Writes the model's adapter into the folder. */
export function writeAdapter(
  folder: string,
  name: string,
  libraries: NativeLibraries,
  { lora }: Scenario,
  trainable: Trainable,
): void {
  const baseArchitecture = "llama";
  writeLoraGguf(join(folder, name), { libraries, trainable, alpha: lora.alpha, baseArchitecture });
}
