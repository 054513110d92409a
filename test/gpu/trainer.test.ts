/**
 * The trainer's real steps on a Vulkan device, against the CPU in the same build. Tolerances: BF16 keeps 8 bits, so an
 * operand is at most 0.4% off; on quantised weights the CPU rounds activations to 8 bits a block as well.
 */

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LORA_TARGETS } from "#engine/base/config.ts";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { Device } from "#trainer/ggml/device.ts";
import type { WeightType } from "#trainer/gguf/encode.ts";
import { loadWeights } from "#trainer/model/load-weights.ts";
import { sizesOf } from "#trainer/model/memory-plan.ts";
import { buildFittingGraph } from "#trainer/model/model-graph.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { TrainableOptions } from "#trainer/model/trainable.ts";
import { trainDpo } from "#trainer/run/dpo.ts";
import { readMetrics } from "#trainer/run/metrics.ts";
import { writeRandomModel } from "../model/random-model.ts";
import {
  cosine,
  distance,
  greatestDifference,
  perturbAdapter,
  randomSequences,
  randomWeights,
  sharePrompts,
} from "../trainer/model/sequences.ts";
import { vulkanSupports } from "../trainer/model/vulkan-operators.ts";
import { VULKAN, vulkanLibraries } from "./vulkan-device.ts";

const SIZES = { nEmbd: 256, nFf: 256, headDim: 64 };
/** Of a rank that Vulkan has a kernel for vectors for, which takes no BF16. */
const LORA = {
  rank: 8,
  alpha: 16,
  targets: LORA_TARGETS,
  seed: 3,
} as const;
const STEP = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  gradientScale: 0.1,
};
const folder = mkdtempSync(join(tmpdir(), "vulkan-trainer-"));
/** Mesa compiles each shader when it is first met, which its cache spares the next run. */
const SLOW = { timeout: 180_000 };
const because = VULKAN.missing === undefined ? "" : ` (skipped: ${VULKAN.missing})`;

/** Two pairs with a shared prompt each, forward, backward and one step; `scale` makes the loss's weights small. */
async function pass(type: WeightType, options: Partial<TrainableOptions>, scale = 1) {
  const libraries = vulkanLibraries();
  const ggufPath = join(folder, `${type}.gguf`);
  const { shape } = writeRandomModel(ggufPath, { libraries, type, shape: SIZES });
  const lengths = [50, 39, 62, 45];
  const drawn = randomSequences(lengths, shape.nVocab, SeededRandom.from(4));
  const batch = sharePrompts(drawn, 32);
  const weights = randomWeights(batch, SeededRandom.from(8));
  const common = { ggufPath, libraries, lora: LORA, threads: 1, maxTokensPerBatch: 1024 } as const;
  using trainable = openTrainable({ ...common, precision: "bf16", ...options });
  if (options.lora !== null) perturbAdapter(trainable, SeededRandom.from(5));
  const reference = await trainable.logps(batch, { reference: true });
  const scaled = weights.map((list) => list.map((weight) => scale * weight));
  const logps = await trainable.forwardBackward(batch, () => scaled);
  const names = trainable.parameters().map(({ name }) => name);
  const gradients = names.map((name) => trainable.readGradient(name));
  const norm = trainable.gradientNorm();
  trainable.step(STEP);
  const values = names.map((name) => trainable.readParameter(name));
  return { reference, logps, gradients, norm, values, after: await trainable.logps(batch) };
}

/** The nodes of a step as they are laid out for a GPU or the CPU, each with what the device and the stand-in say. */
function answersFor(isCpu: boolean, type: number) {
  const libraries = vulkanLibraries();
  using device = Device.open({ libraries, threads: 1 });
  Object.defineProperties(device, { isCpu: { value: isCpu }, isDry: { value: true } });
  const shape = {
    ...SIZES,
    ...{ nLayer: 2, nHead: 4, nHeadKv: 2, nVocab: 512, ropeTheta: 10_000, rmsEps: 1e-5 },
    ...{ tied: false, contextTokens: 256 },
  };
  const source = sizesOf(shape, libraries, () => type);
  const workType = GGML_TYPE.bf16;
  const keepsTransposes = isCpu;
  const model = loadWeights({ device, source, shape, lora: LORA, workType, keepsTransposes });
  const batch = { nSequences: 2, nTokens: 256, nColumns: 384, nShared: 128, nPrefix: 128 };
  const kind = { workType, reference: false, backward: true, dropout: true, exactTails: true };
  const { weights, storages } = model;
  const sized = { device, weights, batch: { ...batch, nScored: 256 }, ...kind };
  const { graph } = buildFittingGraph(sized, isCpu ? 1e12 : 0);
  const answers = graph.describeNodes().map(({ operator, node }) => ({
    operator,
    isSupported: device.ggml.ggml_backend_supports_op(device.backend, node),
    isKnownAsRight: vulkanSupports(operator, node),
  }));
  graph[Symbol.dispose]();
  for (const storage of Object.values(storages)) storage[Symbol.dispose]();
  return answers;
}

describe.skipIf(VULKAN.missing !== undefined)(`a step on a Vulkan device${because}`, SLOW, () => {
  it.each([
    ["f32", { keepsTransposes: true }, 0.03],
    ["bf16", { keepsTransposes: false, activationBytes: 1 }, 0.03],
    ["q8_0", { keepsTransposes: false }, 0.1],
    ["f32", { lora: null }, 0.03],
    ["q4_K", { keepsTransposes: false, activationBytes: 1 }, 0.1],
  ] as const)("on %s gives the CPU's numbers %j", async (type, options, tolerance) => {
    const cpu = await pass(type, { ...options, onCpu: true });
    const gpu = await pass(type, options);
    expect(greatestDifference(gpu.reference, cpu.reference)).toBeLessThan(tolerance);
    expect(greatestDifference(gpu.logps, cpu.logps)).toBeLessThan(tolerance);
    const cosines = gpu.gradients.map((each, i) => cosine(each, cpu.gradients[i] ?? each));
    expect(cosines.length).toBeGreaterThan(20);
    expect(Math.min(...cosines)).toBeGreaterThan(0.998);
    expect(gpu.norm / cpu.norm).toBeCloseTo(1, 2);
    const moved = gpu.values.map((each, i) => distance(each, cpu.values[i] ?? each));
    expect(Math.max(...moved)).toBeLessThan(0.02);
    expect(greatestDifference(gpu.after, cpu.after)).toBeLessThan(2 * tolerance);
    // The step did something.
    expect(greatestDifference(gpu.after, gpu.logps)).toBeGreaterThan(2 * tolerance);
  });

  it("keeps the gradients of a loss of small weights, also where F32 is asked for", async () => {
    const cpu = await pass("f32", { precision: "f32", onCpu: true }, 1e-5);
    const gpu = await pass("f32", { precision: "f32" }, 1e-5);
    const cosines = gpu.gradients.map((each, i) => cosine(each, cpu.gradients[i] ?? each));
    expect(Math.min(...cosines)).toBeGreaterThan(0.998);
  });

  it("is the same from run to run, bit for bit", async () => {
    const [one, other] = [await pass("q8_0", {}), await pass("q8_0", {})];
    expect(other.values).toEqual(one.values);
  });

  it.each(["q4_K", "q8_0", "bf16", "f32"] as const)(
    "has no node on %s that falls back to the CPU, and none that goes wrong",
    (type) => {
      const answers = answersFor(false, GGML_TYPE[type]);
      expect(answers.length).toBeGreaterThan(300);
      const doubted = answers.filter((each) => !each.isSupported || !each.isKnownAsRight);
      expect(doubted).toEqual([]);
    },
  );

  it("is refused by the stand-in wherever the device refuses it, and where it would go wrong", () => {
    const answers = answersFor(true, GGML_TYPE.q4_K);
    const named = (each: readonly { operator: string }[]) =>
      new Set(each.map(({ operator }) => operator));
    const refused = answers.filter(({ isSupported }) => !isSupported);
    expect(refused.filter(({ isKnownAsRight }) => isKnownAsRight)).toEqual([]);
    const silent = answers.filter((each) => each.isSupported && !each.isKnownAsRight);
    expect(named(silent)).toEqual(new Set(["MUL_MAT", "SET", "OUT_PROD"]));
  });
});

describe.skipIf(VULKAN.missing !== undefined)(`a run on a Vulkan device${because}`, SLOW, () => {
  it("of DPO has the CPU's losses", async () => {
    const [cpu, gpu] = [await dpoLosses(true), await dpoLosses(false)];
    expect(gpu).toHaveLength(4);
    expect(gpu[0]).toBeCloseTo(Math.LN2, 4);
    for (const [i, loss] of gpu.entries()) expect(loss).toBeCloseTo(cpu[i] ?? Number.NaN, 1);
    expect(gpu.at(-1)).toBeLessThan(0.5);
  });
});

/** Each step's loss of a short run, of answers that differ in length. */
async function dpoLosses(onCpu: boolean): Promise<readonly number[]> {
  const libraries = vulkanLibraries();
  const ggufPath = join(folder, "dpo.gguf");
  writeRandomModel(ggufPath, { libraries, type: "q8_0", shape: SIZES });
  const vocabulary = Vocabulary.open(ggufPath, libraries);
  const runDir = mkdtempSync(join(folder, "run-"));
  const common = { ggufPath, libraries, lora: LORA, threads: 1, maxTokensPerBatch: 512 } as const;
  using model = openTrainable({ ...common, precision: "f32", onCpu });
  const pairs = ["tea", "rain", "chess", "bread"].map((topic) => ({
    id: topic,
    prompt: [{ role: "user", content: `What of ${topic}?` } as const],
    chosen: `${topic} is fine.`,
    rejected: `Well, ${topic} is a thing of many sides.`,
    weight: 1,
  }));
  await trainDpo({
    runDir,
    vocabulary,
    model,
    pairs,
    evalPairs: [],
    modelSha256: "a".repeat(64),
    options: { learningRate: 2e-3, epochs: 2, batchSize: 2, maxTokensPerBatch: 512 },
  });
  const lines = readMetrics(join(runDir, "metrics.jsonl"));
  return lines.flatMap((each) => ("loss" in each ? [Number(each["loss"])] : []));
}
