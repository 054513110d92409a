/** Every preference loss on the real thing: a random model trained by ggml, small enough for seconds. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import type { Dialogue, PreferencePair, RatedCompletion } from "#trainer/data/preference.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { LoraOptions, Trainable } from "#trainer/model/trainable.ts";
import { type DpoOptions, type DpoRun, trainDpo } from "#trainer/run/dpo.ts";
import { trainKto } from "#trainer/run/kto.ts";
import { readMetrics } from "#trainer/run/metrics.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";

const libraries = cpuLibraries();
const folder = mkdtempSync(join(tmpdir(), "preferences-"));
const ggufPath = join(folder, "model.gguf");
const { sha256 } = writeRandomModel(ggufPath, { libraries });
const vocabulary = Vocabulary.open(ggufPath, libraries);
const LORA: LoraOptions = { rank: 4, alpha: 8, targets: ["q", "v", "down"], seed: 1 };
const BATCH = 256;
const newRunDir = () => mkdtempSync(join(folder, "run-"));

function open(lora = LORA): Trainable {
  const options = { precision: "f32", threads: 1, maxTokensPerBatch: BATCH, libraries } as const;
  return openTrainable({ ...options, ggufPath, lora });
}

const topics = ["tea", "rain", "chess", "bread"];
const pairs: PreferencePair[] = topics.map((topic) => ({
  id: topic,
  prompt: [{ role: "user", content: `${topic}?` }],
  chosen: `${topic}: yes.`,
  rejected: `${topic}, well, no.`,
  weight: 1,
}));
const completions: RatedCompletion[] = pairs.flatMap(({ id, prompt, chosen, rejected }) => [
  { id: `${id}+`, prompt, completion: chosen, isDesirable: true, weight: 1 },
  { id: `${id}-`, prompt, completion: rejected, isDesirable: false, weight: 1 },
]);
const keepSet: Dialogue[] = [
  {
    id: "keep",
    messages: [
      { role: "user", content: "hello" },
      { role: "assistant", content: "hello you" },
    ],
  },
];

const OPTIONS = {
  learningRate: 0.005,
  batchSize: 4,
  epochs: 12,
  maxTokensPerBatch: BATCH,
  maxTokens: 64,
};

function dpoRun(model: Trainable, options: Partial<DpoOptions>, runDir = newRunDir()): DpoRun {
  return {
    model,
    vocabulary,
    pairs,
    evalPairs: pairs,
    modelSha256: sha256,
    runDir,
    options: { ...OPTIONS, ...options },
  };
}

/** The loss of the first step worked out by hand: policy and reference agree, so every margin is 0. */
const AT_START: Record<string, number | undefined> = {
  sigmoid: Math.LN2,
  conservative: Math.LN2,
  robust: Math.LN2,
  hinge: 1,
  ipo: 0.25,
  sigmoid_norm: Math.LN2,
  ld: Math.LN2,
};

describe.each<[string, Partial<DpoOptions>]>([
  ["sigmoid", { loss: "sigmoid" }],
  ["conservative", { loss: "sigmoid", labelSmoothing: 0.1 }],
  ["robust", { loss: "robust", labelSmoothing: 0.1 }],
  ["hinge", { loss: "hinge" }],
  ["ipo", { loss: "ipo", beta: 1 }],
  ["sigmoid_norm", { loss: "sigmoid_norm", beta: 5 }],
  ["ld", { loss: "sigmoid", ldAlpha: 0.5 }],
  ["with NLL", { loss: "sigmoid", rpoAlpha: 1 }],
  ["orpo", { loss: "orpo" }],
  ["simpo", { loss: "simpo", beta: 2, simpoGamma: 1 }],
])("%s", (name, options) => {
  test("training lowers the loss and prefers the chosen", async () => {
    using model = open();
    const run = dpoRun(model, options);
    const { metrics } = await trainDpo(run);
    const lines = readMetrics(join(run.runDir, "metrics.jsonl")).filter((line) => "loss" in line);
    const [first] = lines;
    const start = AT_START[name];
    if (start !== undefined) expect(first?.["loss"]).toBeCloseTo(start, 4);
    expect(lines.at(-1)?.["loss"]).toBeLessThan((first?.["loss"] ?? 0) - 0.01);
    expect(metrics?.["eval_rewards/accuracies"]).toBe(1);
    const margin = (line: typeof first) =>
      (line?.["logps/chosen"] ?? 0) - (line?.["logps/rejected"] ?? 0);
    expect(margin(lines.at(-1))).toBeGreaterThan(margin(first) + 0.5);
  });
});

test("reference-free losses ask the reference for nothing", async () => {
  for (const loss of ["orpo", "simpo", "sigmoid"] as const) {
    using model = open();
    let asked = 0;
    const logps = model.logps.bind(model);
    model.logps = (batch, options) => {
      if (options?.reference === true) asked += batch.length;
      return logps(batch, options);
    };
    await trainDpo(dpoRun(model, { loss, epochs: 1 }));
    // Four pairs, trained on and held out alike: each sequence is asked about once.
    expect(asked).toBe(loss === "sigmoid" ? 8 : 0);
  }
});

test("a checkpoint of one loss, or of other settings of it, is not taken up by another", async () => {
  using model = open();
  const runDir = newRunDir();
  await trainDpo(dpoRun(model, { epochs: 1 }, runDir));
  for (const other of [{ loss: "hinge" }, { labelSmoothing: 0.1 }, { ldAlpha: 0.5 }] as const) {
    const run = dpoRun(model, { epochs: 1, ...other }, runDir);
    await expect(trainDpo(run)).rejects.toMatchObject({ code: "checkpoint_mismatch" });
  }
});

test("the keep-set's NLL and its rise over the reference are measured at each evaluation", async () => {
  using model = open();
  const run = { ...dpoRun(model, { evalEverySteps: 4 }), keepSet };
  await trainDpo(run);
  const lines = readMetrics(join(run.runDir, "metrics.jsonl"));
  const measured = lines.filter((line) => "eval_keep_nll" in line);
  expect(measured.map(({ step }) => step)).toEqual([4, 8, 12]);
  const last = measured.at(-1);
  const before = (last?.["eval_keep_nll"] ?? 0) / (1 + (last?.["eval_keep_nll_rise"] ?? 0));
  using bare = open();
  const again = { ...dpoRun(bare, { epochs: 0.25, learningRate: 1e-12 }), evalPairs: [], keepSet };
  const { metrics } = await trainDpo(again);
  expect(metrics?.["eval_keep_nll"]).toBeCloseTo(before, 4);
  expect(metrics?.["eval_keep_nll_rise"]).toBeCloseTo(0, 5);
});

test("with dropout a run that was interrupted ends as one that was left alone, bit for bit", async () => {
  const openDropping = () => open({ ...LORA, dropout: 0.2 });
  using whole = openDropping();
  const untouched = dpoRun(whole, { epochs: 6, batchSize: 2 });
  await trainDpo(untouched);
  const runDir = newRunDir();
  const controller = new AbortController();
  const onStep = ({ step }: { step: number }): void => {
    if (step === 5) controller.abort();
  };
  {
    using first = openDropping();
    const run = dpoRun(first, { epochs: 6, batchSize: 2 }, runDir);
    expect((await trainDpo({ ...run, onStep, signal: controller.signal })).status).toBe("aborted");
  }
  using second = openDropping();
  expect((await trainDpo(dpoRun(second, { epochs: 6, batchSize: 2 }, runDir))).resumedFrom).toBe(5);
  for (const { name } of whole.parameters()) {
    expect(second.readParameter(name)).toEqual(whole.readParameter(name));
  }
  using plain = open();
  const other = dpoRun(plain, { epochs: 6, batchSize: 2 }, runDir);
  await expect(trainDpo(other)).rejects.toMatchObject({ code: "checkpoint_mismatch" });
});

describe("going on from an adapter", () => {
  const adapter = new Map<string, Float32Array>();
  beforeAll(async () => {
    using model = open();
    await trainDpo(dpoRun(model, { epochs: 4 }));
    for (const { name } of model.parameters()) adapter.set(name, model.readParameter(name));
  });

  function openFromAdapter(): Trainable {
    const model = open();
    for (const [name, values] of adapter) model.writeParameter(name, values);
    return model;
  }

  test("the reference is the adapter as it was: the first step stands at ln 2 with no margin", async () => {
    using model = openFromAdapter();
    const run = { ...dpoRun(model, { epochs: 4 }), startAdapterSha256: "a".repeat(64) };
    await trainDpo(run);
    const [first] = readMetrics(join(run.runDir, "metrics.jsonl"));
    expect(first?.["loss"]).toBeCloseTo(Math.LN2, 5);
    using other = openFromAdapter();
    const fromBase = dpoRun(other, { epochs: 1 });
    await trainDpo(fromBase);
    const [against] = readMetrics(join(fromBase.runDir, "metrics.jsonl"));
    expect(against?.["loss"]).toBeLessThan(Math.LN2 - 0.01);
  });

  test("interrupted and resumed, it ends as if it was left alone: the start stays the reference", async () => {
    const startAdapterSha256 = "b".repeat(64);
    using whole = openFromAdapter();
    await trainDpo({ ...dpoRun(whole, { epochs: 6 }), startAdapterSha256 });
    const runDir = newRunDir();
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }): void => {
      if (step === 3) controller.abort();
    };
    {
      using first = openFromAdapter();
      const run = { ...dpoRun(first, { epochs: 6 }, runDir), startAdapterSha256 };
      expect((await trainDpo({ ...run, onStep, signal: controller.signal })).status).toBe(
        "aborted",
      );
    }
    using second = openFromAdapter();
    const run = { ...dpoRun(second, { epochs: 6 }, runDir), startAdapterSha256 };
    expect((await trainDpo(run)).resumedFrom).toBe(3);
    for (const { name } of whole.parameters()) {
      expect(second.readParameter(name)).toEqual(whole.readParameter(name));
    }
    const other = { ...dpoRun(second, { epochs: 6 }, runDir), startAdapterSha256: "c".repeat(64) };
    await expect(trainDpo(other)).rejects.toMatchObject({ code: "checkpoint_mismatch" });
  });
});

describe("kto", () => {
  const ktoRun = (model: Trainable, runDir = newRunDir()) => ({
    model,
    vocabulary,
    completions,
    evalCompletions: completions,
    modelSha256: sha256,
    runDir,
    options: OPTIONS,
    keepSet,
  });

  test("starts at ½, then likes what was liked more and what was disliked less", async () => {
    using model = open();
    const run = ktoRun(model);
    const outcome = await trainKto(run);
    expect(outcome).toMatchObject({ status: "finished", desirable: 4, undesirable: 4 });
    const lines = readMetrics(join(run.runDir, "metrics.jsonl")).filter((line) => "loss" in line);
    expect(lines[0]?.["loss"]).toBeCloseTo(0.5, 5);
    expect(lines[0]?.["kl"]).toBeCloseTo(0, 5);
    expect(outcome.metrics?.["eval_loss"]).toBeLessThan(0.45);
    expect(outcome.metrics?.["eval_rewards/chosen"]).toBeGreaterThan(
      outcome.metrics?.["eval_rewards/rejected"] ?? 0,
    );
    expect(outcome.metrics?.["eval_keep_nll"]).toBeGreaterThan(0);
  });

  test("with one kind of answer only it still trains", async () => {
    using model = open();
    const liked = completions.filter(({ isDesirable }) => isDesirable);
    const run = { ...ktoRun(model), completions: liked, evalCompletions: [] };
    expect(await trainKto(run)).toMatchObject({ status: "finished", desirable: 4, undesirable: 0 });
    const lines = readMetrics(join(run.runDir, "metrics.jsonl")).filter((line) => "loss" in line);
    expect(lines.at(-1)?.["logps/chosen"]).toBeGreaterThan(lines[0]?.["logps/chosen"] ?? 0);
  });

  test("interrupted and resumed, it ends with the same parameters", async () => {
    using whole = open();
    await trainKto(ktoRun(whole));
    const runDir = newRunDir();
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }): void => {
      if (step === 7) controller.abort();
    };
    {
      using first = open();
      const { signal } = controller;
      expect((await trainKto({ ...ktoRun(first, runDir), onStep, signal })).status).toBe("aborted");
    }
    using second = open();
    expect((await trainKto(ktoRun(second, runDir))).resumedFrom).toBe(7);
    for (const { name } of whole.parameters()) {
      expect(second.readParameter(name)).toEqual(whole.readParameter(name));
    }
  });

  test("too few rated answers is data_too_small, saying so", async () => {
    using model = open();
    const run = { ...ktoRun(model), completions: completions.slice(0, 1) };
    await expect(trainKto(run)).rejects.toMatchObject({
      code: "data_too_small",
      message: expect.stringContaining("rated answers, found 1 of 1"),
    });
  });
});
