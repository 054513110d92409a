import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LORA_TARGETS } from "#engine/base/config.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { drawDropout } from "#trainer/model/dropout.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { LoraOptions, StepOptions, Trainable } from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { perturbAdapter, randomSequences, randomWeights, weightedSum } from "./sequences.ts";

const libraries = cpuLibraries();
const ggufPath = join(mkdtempSync(join(tmpdir(), "dropout-")), "model.gguf");
writeRandomModel(ggufPath, { libraries });
const LORA: LoraOptions = {
  rank: 4,
  alpha: 8,
  targets: LORA_TARGETS,
  seed: 3,
  dropout: 0.3,
};
const STEP: StepOptions = {
  learningRate: 1e-2,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0,
  gradientScale: 1,
};

function open(lora: LoraOptions, activationBytes = 2 ** 31): Trainable {
  const options = { precision: "f32", threads: 1, maxTokensPerBatch: 256, libraries } as const;
  const model = openTrainable({ ...options, ggufPath, lora, activationBytes });
  perturbAdapter(model, SeededRandom.from(5));
  return model;
}

const batch = randomSequences([20, 33], 387, SeededRandom.from(8));
const weights = randomWeights(batch, SeededRandom.from(9));

/** A training pass's log-probabilities, as the first since the gradients were zeroed. */
async function firstPass(model: Trainable): Promise<Float32Array[]> {
  model.zeroGradients();
  return await model.forwardBackward(batch, () => weights);
}

describe("the pool", () => {
  test.each([0.05, 0.5, 0.9])("at %d drops that share, and keeps the mean at 1", (rate) => {
    const factors = drawDropout(200_000, rate, SeededRandom.from(1));
    const zeros = factors.filter((factor) => factor === 0).length / factors.length;
    expect(zeros).toBeGreaterThan(rate - 0.005);
    expect(zeros).toBeLessThan(rate + 0.005);
    expect(new Set(factors)).toEqual(new Set([0, Math.fround(1 / (1 - rate))]));
  });

  test("neighbours are dropped independently of each other", () => {
    const factors = drawDropout(200_000, 0.3, SeededRandom.from(2));
    const both = factors.filter((factor, i) => factor === 0 && factors[i + 1] === 0).length;
    expect(both / factors.length).toBeCloseTo(0.09, 2);
  });
});

test("with dropout every gradient agrees with central finite differences of the same pass", async () => {
  for (const activationBytes of [2 ** 31, 0]) {
    using model = open(LORA, activationBytes);
    const loss = async () => weightedSum(await firstPass(model), weights);
    await loss();
    const gradients = model
      .parameters()
      .map(({ name }) => ({ name, gradient: model.readGradient(name) }));
    for (const { name, gradient } of gradients) {
      const value = model.readParameter(name);
      const norm = Math.hypot(...gradient);
      const at = (distance: number) => {
        model.writeParameter(
          name,
          value.map((x, i) => x + (distance * (gradient[i] ?? 0)) / norm),
        );
        return loss();
      };
      const h = 0.02;
      const narrow = ((await at(h)) - (await at(-h))) / (2 * h);
      const slope = (4 * narrow - ((await at(2 * h)) - (await at(-2 * h))) / (4 * h)) / 3;
      expect(Math.abs(slope - norm) / norm, name).toBeLessThan(1e-3);
      model.writeParameter(name, value);
    }
  }
});

test("scoring drops nothing: log-probabilities are those of the same adapter without dropout", async () => {
  using model = open(LORA);
  using plain = open({ ...LORA, dropout: 0 });
  expect(await model.logps(batch)).toEqual(await plain.logps(batch));
  expect(await model.logps(batch, { reference: true })).toEqual(
    await plain.logps(batch, { reference: true }),
  );
  expect(await firstPass(model)).not.toEqual(await firstPass(plain));
});

test("passes and steps draw anew; the same pass of the same step draws the same", async () => {
  using model = open(LORA);
  const first = await firstPass(model);
  const second = await model.forwardBackward(batch, () => weights);
  expect(second).not.toEqual(first);
  expect(await firstPass(model)).toEqual(first);
  const values = model.parameters().map(({ name }) => [name, model.readParameter(name)] as const);
  model.step({ ...STEP, learningRate: 1e-30 });
  for (const [name, value] of values) model.writeParameter(name, value);
  expect(await firstPass(model)).not.toEqual(first);
});

test("from the same optimiser state another process draws the same, so resume is exact", async () => {
  using whole = open(LORA);
  const train = async (model: Trainable) => {
    for (let part = 0; part < 2; part++) await model.forwardBackward(batch, () => weights);
    model.step(STEP);
  };
  await train(whole);
  using resumed = open(LORA);
  for (const { name } of whole.parameters())
    resumed.writeParameter(name, whole.readParameter(name));
  resumed.writeOptimizer(whole.readOptimizer());
  await train(whole);
  await train(resumed);
  for (const { name } of whole.parameters()) {
    expect(resumed.readParameter(name)).toEqual(whole.readParameter(name));
  }
});

test.each([-0.1, 1, Number.NaN])("a dropout of %d is refused", (dropout) => {
  expect(() => open({ ...LORA, dropout })).toThrow(/dropout/);
});
