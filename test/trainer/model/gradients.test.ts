/** Every gradient against central finite differences in F32. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LORA_TARGETS } from "#engine/base/config.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import type { LlamaShape } from "#trainer/gguf/llama-shape.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { LoraOptions, LoraTarget, Sequence, Trainable } from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import {
  perturbAdapter,
  randomSequences,
  randomWeights,
  sharePrompts,
  weightedSum,
} from "./sequences.ts";

const TOLERANCE = 1e-3;

type Case = {
  readonly name: string;
  readonly shape?: Partial<Omit<LlamaShape, "nVocab" | "tied">>;
  readonly tied: boolean;
  readonly lora: LoraOptions | null;
  readonly lengths: readonly number[];
  /** Tokens that sequences have in common two by two, scored ones among them. */
  readonly common?: number;
};

const lora = (rank: number, targets: readonly LoraTarget[] = LORA_TARGETS): LoraOptions => ({
  rank,
  alpha: 2 * rank,
  targets,
  seed: 5,
});

const CASES: readonly Case[] = [
  { name: "all parameters, untied head", tied: false, lora: null, lengths: [9, 17, 5] },
  { name: "all parameters, tied head", tied: true, lora: null, lengths: [33, 7] },
  {
    name: "all parameters, one key head for all, two and three tokens",
    shape: { nHead: 4, nHeadKv: 1 },
    tied: false,
    lora: null,
    lengths: [2, 3],
  },
  {
    name: "all parameters, as many key heads as query heads, a head size of 6, odd widths",
    shape: { nLayer: 1, nEmbd: 35, nHead: 3, nHeadKv: 3, headDim: 6, nFf: 37 },
    tied: true,
    lora: null,
    lengths: [13, 1, 3],
  },
  {
    name: "all parameters, sequences over several attention spans",
    shape: { nLayer: 1, ropeTheta: 500 },
    tied: true,
    lora: null,
    lengths: [131, 97, 66],
  },
  { name: "an adapter on every linear layer", tied: false, lora: lora(4), lengths: [11, 40, 3] },
  {
    name: "an adapter of odd rank, six heads on two, odd widths",
    shape: { nLayer: 1, nEmbd: 51, nHead: 6, nHeadKv: 2, headDim: 10, nFf: 71 },
    tied: true,
    lora: lora(3),
    lengths: [19],
  },
  {
    name: "an adapter of a rank above 32",
    shape: { nLayer: 1 },
    tied: false,
    lora: lora(40),
    lengths: [21, 6],
  },
  {
    name: "an adapter over several attention spans",
    shape: { nLayer: 1 },
    tied: false,
    lora: lora(2, ["q", "k", "v", "o"]),
    lengths: [150, 129],
  },
  {
    name: "all parameters, pairs with a common prompt",
    tied: true,
    lora: null,
    lengths: [23, 14, 40, 40, 5],
    common: 12,
  },
  {
    name: "an adapter, pairs with a common prompt over several attention spans",
    tied: false,
    lora: lora(4),
    lengths: [150, 129, 70, 97],
    common: 75,
  },
  {
    name: "an adapter, a pair that differs in its last token only",
    shape: { nLayer: 1 },
    tied: false,
    lora: lora(3),
    lengths: [34, 34],
    common: 33,
  },
  ...LORA_TARGETS.map((target) => ({
    name: `an adapter on ${target} alone`,
    shape: { nLayer: 2 },
    tied: true,
    lora: lora(2, [target]),
    lengths: [7, 12],
  })),
];

describe("every gradient agrees with central finite differences", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "zephyr-gradients-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(CASES)("$name", async ({ shape = {}, tied, lora, lengths, common = 0 }) => {
    const libraries = cpuLibraries();
    const ggufPath = join(folder, "model.gguf");
    writeRandomModel(ggufPath, { libraries, shape, tied, seed: 11 });
    using trainable = openTrainable({
      ggufPath,
      lora,
      precision: "f32",
      threads: 1,
      maxTokensPerBatch: 1024,
      libraries,
    });
    const random = SeededRandom.from(29, ...lengths);
    perturbAdapter(trainable, random);
    const apart = randomSequences(lengths, trainable.shape.nVocab, random);
    const errors = await gradientErrors(trainable, sharePrompts(apart, common), random);
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.filter(({ error }) => !(error < TOLERANCE))).toEqual([]);
  });

  it("a gradient that is wrong by one percent would be found", async () => {
    const libraries = cpuLibraries();
    const ggufPath = join(folder, "wrong.gguf");
    writeRandomModel(ggufPath, { libraries, tied: true, seed: 11, shape: { nLayer: 1 } });
    using trainable = openTrainable({
      ggufPath,
      lora: lora(2, ["v"]),
      precision: "f32",
      threads: 1,
      maxTokensPerBatch: 256,
      libraries,
    });
    const random = SeededRandom.from(31);
    perturbAdapter(trainable, random);
    const batch = randomSequences([9], trainable.shape.nVocab, random);
    const errors = await gradientErrors(trainable, batch, random, 1.01);
    expect(errors.every(({ error }) => error > TOLERANCE)).toBe(true);
  });
});

/**
 * The relative error of each tensor's gradient along itself and along random halves of itself: where a random
 * subset s of the coordinates moves along g∘s, the loss's slope must be |g∘s|.
 */
async function gradientErrors(
  trainable: Trainable,
  batch: readonly Sequence[],
  random: SeededRandom,
  exaggeration = 1,
): Promise<{ name: string; error: number }[]> {
  const weights = randomWeights(batch, random);
  const loss = async () => weightedSum(await trainable.logps(batch), weights);
  await trainable.forwardBackward(batch, () => weights);
  const found: { name: string; error: number }[] = [];
  for (const { name } of trainable.parameters()) {
    const gradient = trainable.readGradient(name).map((each) => each * exaggeration);
    const value = trainable.readParameter(name);
    const lossAlong = (direction: Float32Array, distance: number) => {
      trainable.writeParameter(
        name,
        value.map((x, i) => x + distance * (direction[i] ?? 0)),
      );
      return loss();
    };
    const subsets = [
      gradient,
      ...[1, 2].map(() => gradient.map((g) => (random.uniform() < 0.5 ? g : 0))),
    ];
    const errors: number[] = [];
    for (const subset of subsets) {
      const norm = Math.hypot(...subset);
      const slope = await centralDifference((x) =>
        lossAlong(
          subset.map((g) => g / norm),
          x,
        ),
      );
      errors.push(Math.abs(slope - norm) / Math.abs(slope));
    }
    trainable.writeParameter(name, value);
    found.push({ name, error: Math.max(...errors) });
  }
  return found;
}

/** The slope at 0 by central differences at two distances, extrapolated (the error falls as h⁴). */
async function centralDifference(f: (x: number) => Promise<number>): Promise<number> {
  const h = 0.02;
  const wide = ((await f(2 * h)) - (await f(-2 * h))) / (4 * h);
  const narrow = ((await f(h)) - (await f(-h))) / (2 * h);
  return (4 * narrow - wide) / 3;
}
