/** The plan against what a step in a process of its own takes at its peak, and for models that are no file. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LORA_TARGETS } from "#engine/base/config.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { WeightType } from "#trainer/gguf/encode.ts";
import { type MemoryPlan, planMemory, sizesOf } from "#trainer/model/memory-plan.ts";
import type { LoraOptions } from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";

const LORA: LoraOptions = {
  rank: 16,
  alpha: 16,
  targets: LORA_TARGETS,
  seed: 1,
};
const WIDE = { nLayer: 4, nEmbd: 512, nHead: 8, nHeadKv: 4, headDim: 64, nFf: 1536 };
const SMALL = { nLayer: 4, nEmbd: 256, nHead: 8, nHeadKv: 4, headDim: 32, nFf: 704 };
/** Mistral's, of which Zephyr is made. */
const SEVEN_BILLION = {
  nLayer: 32,
  nEmbd: 4096,
  nHead: 32,
  nHeadKv: 8,
  headDim: 128,
  nFf: 14_336,
  nVocab: 32_000,
  ropeTheta: 10_000,
  rmsEps: 1e-5,
  tied: false,
  contextTokens: 32_768,
};
const GIB = 2 ** 30;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "zephyr-plan-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Settings = {
  readonly lora: LoraOptions | null;
  readonly precision: "f32" | "bf16";
  readonly maxTokensPerBatch: number;
  readonly maxTokens: number;
  readonly activationBytes?: number;
};

function measure(
  type: WeightType,
  settings: Settings,
  shape: typeof WIDE,
): { planned: MemoryPlan; peak: number } {
  const path = join(folder, `${type}.gguf`);
  writeRandomModel(path, { libraries: cpuLibraries(), type, shape });
  const script = join(import.meta.dirname, "planned-run.ts");
  const output = execFileSync(process.execPath, [script, path, JSON.stringify(settings)]);
  return JSON.parse(output.toString());
}

describe.runIf(process.platform === "linux")(
  "a step's peak memory is within a tenth of its plan",
  () => {
    it.each<[string, WeightType, Settings, typeof WIDE]>([
      [
        "an adapter on a model as small as the shipped one",
        "q8_0",
        { lora: LORA, precision: "f32", maxTokensPerBatch: 2048, maxTokens: 256 },
        SMALL,
      ],
      [
        "an adapter, all values kept",
        "bf16",
        { lora: LORA, precision: "bf16", maxTokensPerBatch: 1536, maxTokens: 512 },
        WIDE,
      ],
      [
        "an adapter on quantised weights, blocks computed twice",
        "q4_K",
        {
          lora: LORA,
          precision: "bf16",
          maxTokensPerBatch: 2048,
          maxTokens: 1024,
          activationBytes: 0,
        },
        WIDE,
      ],
      [
        "every parameter in F32",
        "f32",
        { lora: null, precision: "f32", maxTokensPerBatch: 1024, maxTokens: 256 },
        WIDE,
      ],
    ])("%s", (_, type, settings, shape) => {
      const { planned, peak } = measure(type, settings, shape);
      expect(planned.recomputes).toBe(settings.activationBytes === 0);
      expect(planned.total / peak).toBeGreaterThan(0.9);
      expect(planned.total / peak).toBeLessThan(1.1);
    });
  },
);

describe("a model of 7 G parameters in Q4_K, planned from its sizes alone", () => {
  const libraries = cpuLibraries();
  const source = sizesOf(SEVEN_BILLION, libraries, () => GGML_TYPE.q4_K);
  const plan = (settings: { keepsTransposes: boolean; activationBytes?: number }) =>
    planMemory({
      source,
      shape: SEVEN_BILLION,
      libraries,
      lora: LORA,
      precision: "bf16",
      threads: 1,
      maxTokensPerBatch: 2048,
      maxTokens: 1024,
      forGpu: true,
      ...settings,
    });

  it("trains on 2 × 1024 tokens within 9 GB, what a GPU's driver takes included", () => {
    const planned = plan({ keepsTransposes: false });
    expect(planned.recomputes).toBe(true);
    expect(planned.process).toBeGreaterThan(0.5 * GIB);
    expect(planned.total).toBeLessThan(9e9);
    // Half a byte a weight and the scales, and the head turned around beside.
    expect(planned.base / GIB).toBeGreaterThan(3.7);
    expect(planned.base / GIB).toBeLessThan(4.3);
  });

  it("fits a 12 GB card alone, and a 24 GB card beside the engine that serves the same model", () => {
    const { total } = plan({ keepsTransposes: false });
    // Weights, 32 conversations of 2,048 tokens in F16 keys and values, and what its driver takes.
    const cache = 2 * 2 * 32 * 8 * 128 * 32 * 2048;
    const serving = 4.2 * GIB + cache + GIB;
    expect(total).toBeLessThan(11.5e9);
    expect(total + serving).toBeLessThan(23.5e9);
  });

  it("takes two bytes a weight more where transposes are kept", () => {
    const extra = plan({ keepsTransposes: true }).base - plan({ keepsTransposes: false }).base;
    expect(extra / (2 * 32 * 218_103_808)).toBeCloseTo(1, 2);
  });

  it("takes an input of every block and one block's values where blocks are computed twice", () => {
    const kept = plan({ keepsTransposes: false, activationBytes: 1e12 });
    const twice = plan({ keepsTransposes: false, activationBytes: 0 });
    expect(kept.recomputes).toBe(false);
    expect(twice.activations).toBeLessThan(kept.activations / 8);
    expect(twice.activations).toBeGreaterThan(4 * 4096 * 2048 * 32);
  });
});
