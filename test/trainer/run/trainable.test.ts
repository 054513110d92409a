/** The runs on the real thing: a random model trained by ggml, small enough for seconds. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { encodeDocument, packDocuments } from "#trainer/data/packing.ts";
import type { Dialogue, PreferencePair } from "#trainer/data/preference.ts";
import { writeModelGguf } from "#trainer/gguf/model-file.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { LoraOptions, Trainable } from "#trainer/model/trainable.ts";
import { type DpoRun, trainDpo } from "#trainer/run/dpo.ts";
import { readMetrics } from "#trainer/run/metrics.ts";
import { TRAIN_DEFAULTS } from "#trainer/run/run.ts";
import { trainLanguageModel, trainSft } from "#trainer/run/sft.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";

const libraries = cpuLibraries();
const folder = mkdtempSync(join(tmpdir(), "trainable-"));
const ggufPath = join(folder, "model.gguf");
const { sha256 } = writeRandomModel(ggufPath, { libraries });
const vocabulary = Vocabulary.open(ggufPath, libraries);
const LORA: LoraOptions = { rank: 4, alpha: 8, targets: ["q", "v", "down"], seed: 1 };
const BATCH = 256;

function open(lora: LoraOptions | null, path = ggufPath): Trainable {
  return openTrainable({
    ggufPath: path,
    lora,
    precision: "f32",
    threads: 1,
    maxTokensPerBatch: BATCH,
    libraries,
  });
}

const newRunDir = () => mkdtempSync(join(folder, "run-"));

const dialogues: Dialogue[] = ["tea", "rain", "chess", "bread"].map((topic) => ({
  id: topic,
  messages: [
    { role: "user", content: `${topic}?` },
    { role: "assistant", content: `I like ${topic}.` },
  ],
}));

const pairs: PreferencePair[] = dialogues.map(({ id, messages }) => ({
  id,
  prompt: messages.slice(0, 1),
  chosen: `${id}: yes.`,
  rejected: `${id}, well, no.`,
  weight: 1,
}));

/** Of several lengths, so that steps take several passes. */
const manyPairs = Array.from(
  { length: 8 },
  (_, i): PreferencePair => ({
    id: `many-${i}`,
    prompt: [{ role: "user", content: `What of ${"tea ".repeat(1 + (i % 4))}?` }],
    chosen: `It is ${i} and good.`,
    rejected: `Well, ${"no ".repeat(i)}`,
    weight: i % 2 === 0 ? 1 : 0.5,
  }),
);

const sftOptions = {
  learningRate: 0.02,
  batchSize: 2,
  epochs: 4,
  maxTokensPerBatch: BATCH,
  checkpointEverySteps: 3,
};

describe("sft on the real trainable", () => {
  test("with an adapter: the loss falls by half and the base's own log-probabilities stay", async () => {
    using model = open(LORA);
    const example = packDocuments([encodeDocument(vocabulary, "hello you")], 32);
    const probe = example.flatMap(({ sequences }) => sequences);
    const before = await model.logps(probe, { reference: true });
    const runDir = newRunDir();
    const options = { ...sftOptions, epochs: 12 };
    await trainSft({ model, vocabulary, dialogues, runDir, options });
    const lines = readMetrics(join(runDir, "metrics.jsonl"));
    expect(lines.at(-1)?.["loss"]).toBeLessThan((lines[0]?.["loss"] ?? 0) / 2);
    expect(await model.logps(probe, { reference: true })).toEqual(before);
    expect(await model.logps(probe)).not.toEqual(before);
  });

  test("aborted and resumed in a new process' place: bit-identical parameters and moments", async () => {
    using whole = open(LORA);
    await trainSft({
      model: whole,
      vocabulary,
      dialogues,
      runDir: newRunDir(),
      options: sftOptions,
    });
    const runDir = newRunDir();
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }): void => {
      if (step === 5) controller.abort();
    };
    {
      using first = open(LORA);
      const { signal } = controller;
      const run = { model: first, vocabulary, dialogues, runDir, options: sftOptions };
      expect((await trainSft({ ...run, onStep, signal })).status).toBe("aborted");
    }
    using second = open(LORA);
    const run = { model: second, vocabulary, dialogues, runDir, options: sftOptions };
    expect((await trainSft(run)).resumedFrom).toBe(5);
    for (const { name } of whole.parameters()) {
      expect(second.readParameter(name)).toEqual(whole.readParameter(name));
    }
    expect(second.readOptimizer()).toEqual(whole.readOptimizer());
  });
});

const WAYS = ["killed", "before", "within"] as const;

test("dpo killed or aborted anywhere resumes to bit-identical weights, moments, order and figures", async () => {
  const dpo = {
    vocabulary,
    pairs: manyPairs,
    evalPairs: pairs,
    modelSha256: sha256,
    options: { learningRate: 0.005, batchSize: 3, epochs: 3, maxTokensPerBatch: BATCH },
  };
  const options = { ...dpo.options, checkpointEverySteps: 4, evalEverySteps: 3 };
  using whole = open(LORA);
  const wholeDir = newRunDir();
  await trainDpo({ ...dpo, options, model: whole, runDir: wholeDir });
  const figures = (runDir: string) =>
    readMetrics(join(runDir, "metrics.jsonl")).map(({ tokens_per_second: _, ...line }) => line);
  const stops = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom(...WAYS)), {
    minLength: 1,
    maxLength: 3,
  });
  await fc.assert(
    fc.asyncProperty(stops, async (given) => {
      const runDir = newRunDir();
      for (const [passes, way] of given) {
        using model = open(LORA);
        await interrupt({ ...dpo, options, model, runDir }, passes, way);
      }
      using model = open(LORA);
      expect((await trainDpo({ ...dpo, options, model, runDir })).status).toBe("finished");
      for (const { name } of whole.parameters()) {
        expect(model.readParameter(name)).toEqual(whole.readParameter(name));
      }
      expect(model.readOptimizer()).toEqual(whole.readOptimizer());
      expect(figures(runDir)).toEqual(figures(wholeDir));
    }),
    { numRuns: 8 },
  );
});

/** Aborts a run before or within its n-th pass over a micro-batch, or ends it there as a crash does. */
async function interrupt(run: DpoRun, passes: number, way: (typeof WAYS)[number]): Promise<void> {
  const controller = new AbortController();
  const { model } = run;
  const forwardBackward = model.forwardBackward.bind(model);
  let done = 0;
  model.forwardBackward = (...given) => {
    done += 1;
    if (done === passes && way === "killed") throw new Error("killed");
    if (done === passes && way === "before") controller.abort();
    if (done === passes && way === "within") setImmediate(() => controller.abort());
    return forwardBackward(...given);
  };
  await trainDpo({ ...run, signal: controller.signal }).catch((error: unknown) => {
    if (!(error instanceof Error) || error.message !== "killed") throw error;
  });
}

test("pretraining every parameter lowers the loss, and the exported file holds what was learnt", async () => {
  using model = open(null);
  const texts = ["hello you, hello you", "the rain and the tea", "on and on in the rain"];
  const documents = texts.map((text) => encodeDocument(vocabulary, text));
  const examples = packDocuments(documents, 32);
  const runDir = newRunDir();
  const options = { ...TRAIN_DEFAULTS, learningRate: 0.01, batchSize: 2, epochs: 12 };
  await trainLanguageModel({
    model,
    examples,
    runDir,
    options: { ...options, maxTokensPerBatch: BATCH },
  });
  const lines = readMetrics(join(runDir, "metrics.jsonl"));
  expect(lines.at(-1)?.["loss"]).toBeLessThan((lines[0]?.["loss"] ?? 0) / 2);

  const path = join(folder, "trained.gguf");
  const tensors = model.parameters().map((parameter) => {
    return { ...parameter, values: () => model.readParameter(parameter.name) };
  });
  writeModelGguf(path, { libraries, from: ggufPath, tensors, type: "f32" });
  using reopened = open(null, path);
  const sequences = examples.flatMap((example) => example.sequences);
  expect(await reopened.logps(sequences)).toEqual(await model.logps(sequences));
});

test("dpo on the real trainable starts at ln 2 and raises margins and accuracy", async () => {
  using model = open(LORA);
  const runDir = newRunDir();
  const options = { learningRate: 0.005, batchSize: 2, epochs: 4, maxTokensPerBatch: BATCH };
  const outcome = await trainDpo({
    model,
    vocabulary,
    pairs,
    evalPairs: pairs,
    modelSha256: sha256,
    runDir,
    options,
  });
  const [first] = readMetrics(join(runDir, "metrics.jsonl"));
  expect(first?.["loss"]).toBeCloseTo(Math.LN2, 5);
  expect(outcome.metrics?.["eval_rewards/accuracies"]).toBe(1);
  expect(outcome.metrics?.["eval_rewards/margins"]).toBeGreaterThan(0.5);
});
