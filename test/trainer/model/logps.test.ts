/** The trainer's forward pass against libllama's on the same file, with and without an adapter. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LORA_TARGETS } from "#engine/base/config.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import type { LlamaShape } from "#trainer/gguf/llama-shape.ts";
import { writeLoraGguf } from "#trainer/gguf/lora.ts";
import { writeModelGguf } from "#trainer/gguf/model-file.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { LoraOptions } from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { type RandomModelOptions, writeRandomModel } from "../../model/random-model.ts";
import { libllamaLogps } from "./libllama-logps.ts";
import { greatestDifference, perturbAdapter, randomSequences, sharePrompts } from "./sequences.ts";

const WIDE: Partial<Omit<LlamaShape, "nVocab" | "tied">> = {
  nEmbd: 256,
  nHead: 4,
  nHeadKv: 2,
  headDim: 64,
  nFf: 256,
};
const ALL: LoraOptions = {
  rank: 4,
  alpha: 8,
  targets: LORA_TARGETS,
  seed: 2,
};

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "zephyr-logps-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function modelFile(options: Omit<RandomModelOptions, "libraries">): string {
  const path = join(folder, `${JSON.stringify(options).replaceAll(/\W+/g, "-")}.gguf`);
  writeRandomModel(path, { libraries: cpuLibraries(), ...options });
  return path;
}

function open(ggufPath: string, lora: LoraOptions | null, precision: "f32" | "bf16" = "f32") {
  const libraries = cpuLibraries();
  return openTrainable({
    ggufPath,
    lora,
    precision,
    threads: 1,
    maxTokensPerBatch: 600,
    libraries,
  });
}

describe("log-probabilities of an F32 model are libllama's", () => {
  it.each([
    { name: "untied head", options: {} },
    { name: "tied head", options: { tied: true } },
    {
      name: "another rope base and epsilon",
      options: { shape: { ropeTheta: 1_000_000, rmsEps: 1e-6 } },
    },
    {
      name: "odd widths",
      options: { shape: { nEmbd: 50, nHead: 5, nHeadKv: 1, headDim: 10, nFf: 77 } },
    },
  ])("$name", async ({ options }) => {
    const modelPath = modelFile(options);
    using trainable = open(modelPath, null);
    const apart = randomSequences([150, 33, 7], trainable.shape.nVocab, SeededRandom.from(3));
    const paired = sharePrompts(apart, 20);
    for (const batch of [apart, paired]) {
      const theirs = libllamaLogps(batch, { libraries: cpuLibraries(), modelPath });
      expect(greatestDifference(await trainable.logps(batch), theirs)).toBeLessThan(1e-3);
    }
  });
});

describe("frequency divisors of long-context models", () => {
  it("turn keys and queries as libllama turns them", async () => {
    const libraries = cpuLibraries();
    const plain = modelFile({});
    const modelPath = join(folder, "divided.gguf");
    const divisors = Float32Array.of(1, 1, 2, 3, 4, 6, 8, 8);
    const tensor = { name: "rope_freqs.weight", ne: [8], values: () => divisors };
    writeModelGguf(modelPath, { libraries, from: plain, tensors: [tensor], type: "f32" });
    using trainable = open(modelPath, null);
    using undivided = open(plain, null);
    const batch = randomSequences([100], trainable.shape.nVocab, SeededRandom.from(3));
    const ours = await trainable.logps(batch);
    expect(greatestDifference(ours, libllamaLogps(batch, { libraries, modelPath }))).toBeLessThan(
      1e-3,
    );
    expect(greatestDifference(ours, await undivided.logps(batch))).toBeGreaterThan(1e-2);
  });
});

const STORED = ["f16", "bf16", "q8_0", "q4_0", "q4_K", "q6_K"] as const;

describe("log-probabilities of other weights differ from libllama's no more than its kernels among themselves", () => {
  const gaps = new Map<string, readonly { ours: number; among: number }[]>();
  beforeAll(async () => {
    for (const type of STORED) {
      gaps.set(type, [await compareKernels(type, 1), await compareKernels(type, 2)]);
    }
  });

  it.each(STORED)("%s: on the better of two models by the same type's measure", (type) => {
    const found = gaps.get(type) ?? [];
    const ours = Math.min(...found.map((each) => each.ours));
    const among = Math.max(...found.map((each) => each.among));
    // Where its kernels agree bit for bit, rounding of F32 sums is what is left.
    expect(ours).toBeLessThan(Math.max(among, 1e-3));
  });

  it("on every model by the measure of all types: one activation that rounds otherwise moves all that follow", () => {
    const found = [...gaps.values()].flat();
    expect(found).toHaveLength(2 * STORED.length);
    const among = Math.max(...found.map((each) => each.among));
    expect(Math.max(...found.map((each) => each.ours))).toBeLessThanOrEqual(among);
  });
});

/** The trainer's distance to libllama's nearest way of evaluating, and libllama's ways' greatest distance. */
async function compareKernels(type: (typeof STORED)[number], seed: number) {
  const modelPath = modelFile({ type, seed, shape: WIDE });
  using trainable = open(modelPath, ALL);
  const libraries = cpuLibraries();
  const batch = randomSequences([64, 33], trainable.shape.nVocab, SeededRandom.from(4));
  const ways = [{}, { repack: false }, { batchTokens: 1 }, { batchTokens: 7 }].map((way) =>
    libllamaLogps(batch, { libraries, modelPath, ...way }),
  );
  const ours = await trainable.logps(batch);
  return {
    ours: Math.min(...ways.map((way) => greatestDifference(ours, way))),
    among: Math.max(...ways.flatMap((a) => ways.map((b) => greatestDifference(a, b)))),
  };
}

describe("an adapter", () => {
  it("changes libllama's log-probabilities as the trainer's own forward pass says", async () => {
    const modelPath = modelFile({});
    using trainable = open(modelPath, ALL);
    const libraries = cpuLibraries();
    const random = SeededRandom.from(5);
    perturbAdapter(trainable, random);
    const batch = randomSequences([40, 21], trainable.shape.nVocab, random);
    const adapterPath = join(folder, "adapter.gguf");
    writeLoraGguf(adapterPath, {
      libraries,
      trainable,
      alpha: ALL.alpha,
      baseArchitecture: "llama",
    });
    const adapted = libllamaLogps(batch, { libraries, modelPath, adapterPath });
    const bare = libllamaLogps(batch, { libraries, modelPath });
    expect(greatestDifference(adapted, bare)).toBeGreaterThan(0.1);
    expect(greatestDifference(await trainable.logps(batch), adapted)).toBeLessThan(1e-3);
    expect(
      greatestDifference(await trainable.logps(batch, { reference: true }), bare),
    ).toBeLessThan(1e-3);
  });

  it("trained for some steps raises the answer's probability in libllama by as much as in the trainer", async () => {
    const modelPath = modelFile({ type: "q8_0" });
    using trainable = open(modelPath, ALL, "bf16");
    const libraries = cpuLibraries();
    const batch = randomSequences([30, 25], trainable.shape.nVocab, SeededRandom.from(6));
    const before = total(await trainable.logps(batch));
    for (let step = 0; step < 20; step++) {
      await trainable.forwardBackward(batch, (logps) => logps.map((list) => list.map(() => -0.02)));
      trainable.step({
        learningRate: 5e-3,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        weightDecay: 0,
        gradientScale: 1,
      });
    }
    const adapterPath = join(folder, "trained.gguf");
    writeLoraGguf(adapterPath, {
      libraries,
      trainable,
      alpha: ALL.alpha,
      baseArchitecture: "llama",
    });
    const gained = total(await trainable.logps(batch)) - before;
    const adapted = total(libllamaLogps(batch, { libraries, modelPath, adapterPath }));
    const theirGain = adapted - total(libllamaLogps(batch, { libraries, modelPath }));
    expect(gained).toBeGreaterThan(20);
    expect(Math.abs(theirGain - gained) / gained).toBeLessThan(0.01);
  });
});

function total(logps: readonly Float32Array[]): number {
  return logps.reduce((sum, list) => sum + list.reduce((a, b) => a + b, 0), 0);
}
