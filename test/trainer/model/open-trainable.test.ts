import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GgufWriter } from "#engine/native/gguf-writer.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { llamaTensors } from "#trainer/gguf/llama-shape.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type {
  LoraOptions,
  Sequence,
  StepOptions,
  Trainable,
  TrainableOptions,
} from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import {
  cosine,
  distance,
  greatestDifference,
  perturbAdapter,
  randomSequences,
  randomWeights,
  sharePrompts,
} from "./sequences.ts";

const LORA: LoraOptions = { rank: 2, alpha: 4, targets: ["q", "v", "down"], seed: 3 };
const STEP: StepOptions = {
  learningRate: 1e-2,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.01,
  gradientScale: 1,
};

let folder = "";
let ggufPath = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "zephyr-trainable-"));
  ggufPath = join(folder, "model.gguf");
  writeRandomModel(ggufPath, { libraries: cpuLibraries(), tied: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function open(options: Partial<TrainableOptions> = {}): Trainable {
  return openTrainable({
    ggufPath,
    lora: null,
    precision: "f32",
    threads: 1,
    maxTokensPerBatch: 256,
    libraries: cpuLibraries(),
    ...options,
  });
}

function sequences(trainable: Trainable, lengths: readonly number[]) {
  return randomSequences(lengths, trainable.shape.nVocab, SeededRandom.from(8));
}

/** Each sequence's log-probabilities, from a batch of its own. */
async function apartOf(
  trainable: Trainable,
  batch: readonly Sequence[],
): Promise<readonly Float32Array[]> {
  const logps: Float32Array[] = [];
  for (const sequence of batch) logps.push(...(await trainable.logps([sequence])));
  return logps;
}

/** One step towards more probable sequences. */
async function train(trainable: Trainable, lengths: readonly number[]): Promise<void> {
  const batch = sequences(trainable, lengths);
  await trainable.forwardBackward(batch, (logps) => logps.map((list) => list.map(() => -0.05)));
  trainable.step(STEP);
}

describe("log-probabilities", () => {
  it("do not depend on what else is in the batch, nor on how it is split", async () => {
    using trainable = open({ maxTokensPerBatch: 64 });
    const batch = sequences(trainable, [5, 31, 33, 1, 20]);
    const alone = await apartOf(trainable, batch);
    expect(greatestDifference(await trainable.logps(batch), alone)).toBeLessThan(1e-4);
  });

  it.each([
    ["f32", 50],
    ["bf16", 50],
    ["f32", 85],
    ["bf16", 128],
  ] as const)(
    "of a pair are those of its sequences apart (%s, %i tokens in common)",
    async (precision, common) => {
      using trainable = open({ precision, maxTokensPerBatch: 512 });
      const pair = sharePrompts(sequences(trainable, [common + 20, common + 40]), common);
      const apart = await apartOf(trainable, pair);
      expect(greatestDifference(await trainable.logps(pair), apart)).toBeLessThan(1e-4);
    },
  );

  it("are 0 where not scored, and below 0 where scored", async () => {
    using trainable = open();
    const batch = sequences(trainable, [12]);
    const [logps = new Float32Array()] = await trainable.logps(batch);
    const isRight = [...logps].every((logp, i) =>
      batch[0]?.scored[i] === 1 ? logp < 0 : logp === 0,
    );
    expect(isRight).toBe(true);
  });

  it("of no sequences are none", async () => {
    using trainable = open();
    expect(await trainable.logps([])).toEqual([]);
    expect(await trainable.forwardBackward([], () => [])).toEqual([]);
  });

  it("of a fresh adapter are the bare model's, since B begins at 0", async () => {
    using trainable = open({ lora: LORA });
    const batch = sequences(trainable, [9, 14]);
    const reference = await trainable.logps(batch, { reference: true });
    expect(greatestDifference(await trainable.logps(batch), reference)).toBe(0);
    perturbAdapter(trainable, SeededRandom.from(1));
    expect(greatestDifference(await trainable.logps(batch), reference)).toBeGreaterThan(1e-3);
    expect(await trainable.logps(batch, { reference: true })).toEqual(reference);
  });

  it("are the same through graphs that were kept while many others came", async () => {
    using trainable = open({ maxTokensPerBatch: 4096 });
    const batch = sequences(trainable, [9]);
    const first = await trainable.logps(batch);
    for (let count = 2; count < 34; count++) {
      await trainable.logps(sequences(trainable, Array<number>(count).fill(20)));
      expect(await trainable.logps(batch)).toEqual(first);
    }
  });
});

describe("gradients", () => {
  it("accumulate over batches, and are zeroed on demand and by a step", async () => {
    using trainable = open({ lora: LORA });
    perturbAdapter(trainable, SeededRandom.from(2));
    const batch = sequences(trainable, [9, 14]);
    const weights = randomWeights(batch, SeededRandom.from(3));
    const name = "blk.1.attn_v.weight.lora_a";
    await trainable.forwardBackward(batch, () => weights);
    const once = trainable.readGradient(name);
    await trainable.forwardBackward(batch, () => weights);
    const twice = trainable.readGradient(name);
    expect(greatestDifference([twice], [once.map((g) => 2 * g)])).toBeLessThan(1e-4);
    trainable.zeroGradients();
    expect(trainable.gradientNorm()).toBe(0);
    await trainable.forwardBackward(batch, () => weights);
    trainable.step(STEP);
    expect(trainable.gradientNorm()).toBe(0);
  });

  it.each([null, LORA])("of a pair are the sum of its sequences' apart (lora %j)", async (lora) => {
    using trainable = open({ lora });
    perturbAdapter(trainable, SeededRandom.from(2));
    const pair = sharePrompts(sequences(trainable, [70, 90]), 50);
    const weights = randomWeights(pair, SeededRandom.from(3));
    const gradients = () => trainable.parameters().map(({ name }) => trainable.readGradient(name));
    await trainable.forwardBackward(pair, () => weights);
    const together = gradients();
    trainable.zeroGradients();
    for (const [i, sequence] of pair.entries()) {
      await trainable.forwardBackward([sequence], () => weights.slice(i, i + 1));
    }
    const cosines = gradients().map((apart, i) => cosine(apart, together[i] ?? apart));
    expect(Math.min(...cosines)).toBeGreaterThan(0.999999);
    expect(greatestDifference(gradients(), together)).toBeLessThan(1e-2);
  });

  it("have the norm of all their elements together", async () => {
    using trainable = open();
    const batch = sequences(trainable, [9, 14]);
    await trainable.forwardBackward(batch, () => randomWeights(batch, SeededRandom.from(3)));
    let squares = 0;
    for (const { name } of trainable.parameters()) {
      for (const gradient of trainable.readGradient(name)) squares += gradient ** 2;
    }
    expect(trainable.gradientNorm() / Math.sqrt(squares)).toBeCloseTo(1, 5);
  });
});

describe("gradients by other ways", () => {
  it.each([null, LORA])(
    "are the same where blocks are computed twice to save memory (lora %j)",
    async (lora) => {
      using keeping = open({ lora });
      using saving = open({ lora, activationBytes: 0 });
      const batch = sequences(keeping, [33, 70]);
      const weights = randomWeights(batch, SeededRandom.from(3));
      for (const trainable of [keeping, saving]) {
        perturbAdapter(trainable, SeededRandom.from(2));
        await trainable.forwardBackward(batch, () => weights);
      }
      for (const { name } of keeping.parameters()) {
        expect(saving.readGradient(name)).toEqual(keeping.readGradient(name));
      }
    },
  );

  it.each([
    ["f32", "f32", 1e-5],
    ["q8_0", "f32", 1e-5],
    ["bf16", "bf16", 1e-2],
    ["q4_K", "bf16", 1e-2],
  ] as const)(
    "are the same where frozen matrices are turned around in each pass, layer by layer (%s, %s products)",
    async (type, precision, tolerance) => {
      const path = join(folder, `turned-${type}.gguf`);
      const shape = { nEmbd: 256, nHead: 4, nHeadKv: 2, headDim: 64, nFf: 256 };
      writeRandomModel(path, { libraries: cpuLibraries(), type, shape });
      const targets = ["q", "v", "o", "gate", "up", "down"] as const;
      const options = { ggufPath: path, lora: { ...LORA, targets }, precision };
      using storing = open(options);
      using turning = open({ ...options, keepsTransposes: false, activationBytes: 0 });
      const batch = sequences(storing, [33, 70]);
      const weights = randomWeights(batch, SeededRandom.from(3));
      for (const trainable of [storing, turning]) {
        perturbAdapter(trainable, SeededRandom.from(2));
        await trainable.forwardBackward(batch, () => weights);
      }
      const distances = storing
        .parameters()
        .map(({ name }) => distance(turning.readGradient(name), storing.readGradient(name)));
      expect(Math.max(...distances)).toBeLessThan(tolerance);
    },
  );

  it.each([null, LORA])("in BF16 point where those in F32 do (lora %j)", async (lora) => {
    using exact = open({ lora });
    using fast = open({ lora, precision: "bf16" });
    const batch = sequences(exact, [33, 70]);
    const weights = randomWeights(batch, SeededRandom.from(3));
    for (const trainable of [exact, fast]) {
      perturbAdapter(trainable, SeededRandom.from(2));
      await trainable.forwardBackward(batch, () => weights);
    }
    const cosines = exact
      .parameters()
      .map(({ name }) => cosine(exact.readGradient(name), fast.readGradient(name)));
    expect(Math.min(...cosines)).toBeGreaterThan(0.999);
  });
});

describe("training", () => {
  it.each(["f32", "bf16"] as const)(
    "raises the probability of what it is shown (%s)",
    async (precision) => {
      using trainable = open({ precision });
      const batch = sequences(trainable, [20, 30]);
      const total = async () =>
        (await trainable.logps(batch)).flatMap((list) => [...list]).reduce((a, b) => a + b, 0);
      const before = await total();
      for (let i = 0; i < 10; i++) await train(trainable, [20, 30]);
      expect(await total()).toBeGreaterThan(before / 2);
    },
  );

  it("goes on exactly from saved parameters and moments", async () => {
    using straight = open({ lora: LORA });
    await train(straight, [9, 14]);
    const values = straight
      .parameters()
      .map(({ name }) => ({ name, v: straight.readParameter(name) }));
    const optimizer = straight.readOptimizer();
    using resumed = open({ lora: LORA });
    for (const { name, v } of values) resumed.writeParameter(name, v);
    resumed.writeOptimizer(optimizer);
    for (const trainable of [straight, resumed]) await train(trainable, [30]);
    for (const { name } of straight.parameters()) {
      expect(resumed.readParameter(name)).toEqual(straight.readParameter(name));
    }
    expect(resumed.readOptimizer()).toEqual(straight.readOptimizer());
    expect(resumed.readOptimizer().step).toBe(2);
  });

  it("begins alike for a seed, and otherwise for another", () => {
    const name = "blk.0.attn_q.weight.lora_a";
    const draw = (seed: number) => {
      using trainable = open({ lora: { ...LORA, seed } });
      return trainable.readParameter(name);
    };
    expect(draw(3)).toEqual(draw(3));
    expect(draw(4)).not.toEqual(draw(3));
  });

  it.each([1, 2])(
    "names an adapter's parameters as llama.cpp does, with their shapes (rank %i)",
    (rank) => {
      using trainable = open({ lora: { ...LORA, rank, targets: ["k"] } });
      expect(trainable.parameters()).toEqual(
        [0, 1].flatMap((layer) => [
          { name: `blk.${layer}.attn_k.weight.lora_a`, ne: [64, rank] },
          { name: `blk.${layer}.attn_k.weight.lora_b`, ne: [rank, 32] },
        ]),
      );
    },
  );

  it("names all of a model's parameters as its file does, with their shapes", () => {
    using trainable = open();
    const expected = llamaTensors(trainable.shape).sort((a, b) => a.name.localeCompare(b.name));
    const found = [...trainable.parameters()].sort((a, b) => a.name.localeCompare(b.name));
    expect(found).toEqual(expected);
  });
});

describe("refused with a reason", () => {
  it("a batch above the bound", async () => {
    using trainable = open({ maxTokensPerBatch: 64 });
    const batch = sequences(trainable, [33, 40]);
    const message = "at most 64 padded tokens";
    await expect(trainable.forwardBackward(batch, () => [])).rejects.toThrow(message);
    await expect(trainable.logps(sequences(trainable, [65]))).rejects.toThrow(message);
  });

  it("an unknown parameter, values of another size, moments that lack one", () => {
    using trainable = open({ lora: LORA });
    expect(() => trainable.readParameter("blk.9.attn_q.weight")).toThrow("no trained parameter");
    const name = "blk.0.attn_q.weight.lora_a";
    expect(() => trainable.writeParameter(name, new Float32Array(3))).toThrow("expected 512 bytes");
    expect(() => trainable.writeOptimizer({ step: 1, moments: new Map() })).toThrow(
      "no moments of",
    );
  });

  it("any use after disposal", async () => {
    const trainable = open({ lora: LORA });
    const batch = sequences(trainable, [9]);
    trainable[Symbol.dispose]();
    trainable[Symbol.dispose]();
    const uses: (() => unknown)[] = [
      () => trainable.gradientNorm(),
      () => trainable.zeroGradients(),
      () => trainable.step(STEP),
      () => trainable.readParameter("blk.0.attn_q.weight.lora_a"),
      () => trainable.readOptimizer(),
    ];
    for (const use of uses) expect(use).toThrow("disposed already");
    await expect(trainable.logps(batch)).rejects.toThrow("disposed already");
    await expect(trainable.forwardBackward(batch, (logps) => logps)).rejects.toThrow("disposed");
  });

  it("options that contradict each other", () => {
    expect(() => open({ maxTokensPerBatch: 0 })).toThrow("maxTokensPerBatch");
    expect(() => open({ threads: 0 })).toThrow("threads");
    expect(() => open({ lora: { ...LORA, rank: 0 } })).toThrow("rank");
    expect(() => open({ lora: { ...LORA, targets: [] } })).toThrow("target");
  });

  it("a missing file and one that is no GGUF", () => {
    expect(() => open({ ggufPath: join(folder, "none.gguf") })).toThrow(
      expect.objectContaining({ code: "model_missing" }),
    );
    const path = join(folder, "text.gguf");
    writeFileSync(path, "not a model at all, but long enough for a header");
    expect(() => open({ ggufPath: path })).toThrow(
      expect.objectContaining({ code: "model_invalid" }),
    );
  });

  it("a file of another architecture, saying what was expected", () => {
    const path = join(folder, "other.gguf");
    using writer = new GgufWriter(cpuLibraries());
    writer.set("general.architecture", "str", "gpt2").write(path);
    expect(() => open({ ggufPath: path })).toThrow(/expected the architecture llama.*found gpt2/);
  });
});
