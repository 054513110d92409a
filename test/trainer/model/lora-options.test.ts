import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SeededRandom } from "#trainer/data/random.ts";
import { writeLoraGguf } from "#trainer/gguf/lora.ts";
import { fileAlpha, loraScale } from "#trainer/model/lora-scale.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { LoraOptions } from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { libllamaLogps } from "./libllama-logps.ts";
import { greatestDifference, perturbAdapter, randomSequences } from "./sequences.ts";

const libraries = cpuLibraries();
const folder = mkdtempSync(join(tmpdir(), "lora-options-"));
const ggufPath = join(folder, "model.gguf");
writeRandomModel(ggufPath, { libraries });
const LORA: LoraOptions = { rank: 4, alpha: 8, targets: ["q", "down"], seed: 3 };

function open(lora: LoraOptions) {
  const options = { precision: "f32", threads: 1, maxTokensPerBatch: 256, libraries } as const;
  return openTrainable({ ...options, ggufPath, lora });
}

test("α 8 at rank 4 scales by 2, rank-stabilised by 4, written as α 16", () => {
  expect(loraScale(LORA)).toBe(2);
  expect(fileAlpha(LORA)).toBe(8);
  expect(loraScale({ ...LORA, scaling: "rslora" })).toBe(4);
  expect(fileAlpha({ ...LORA, scaling: "rslora" })).toBe(16);
});

test("a rank-stabilised adapter, as its file says it, gives libllama the trainer's log-probabilities", async () => {
  const lora: LoraOptions = { ...LORA, scaling: "rslora" };
  using model = open(lora);
  perturbAdapter(model, SeededRandom.from(5));
  const adapterPath = join(folder, "rs.gguf");
  writeLoraGguf(adapterPath, {
    libraries,
    trainable: model,
    alpha: fileAlpha(lora),
    baseArchitecture: "llama",
  });
  const batch = randomSequences([20], model.shape.nVocab, SeededRandom.from(8));
  const served = libllamaLogps(batch, { libraries, modelPath: ggufPath, adapterPath });
  expect(greatestDifference(await model.logps(batch), served)).toBeLessThan(1e-4);
  const bare = libllamaLogps(batch, { libraries, modelPath: ggufPath });
  expect(greatestDifference(await model.logps(batch), bare)).toBeGreaterThan(0.1);
});

test("adapters sit on the chosen layers only", () => {
  using model = open({ ...LORA, layers: [1] });
  expect(model.parameters().map(({ name }) => name)).toEqual([
    "blk.1.attn_q.weight.lora_a",
    "blk.1.attn_q.weight.lora_b",
    "blk.1.ffn_down.weight.lora_a",
    "blk.1.ffn_down.weight.lora_b",
  ]);
});

test.each([[[2]], [[-1]], [[0.5]], [[]]])("layers %j of a model of two are refused", (layers) => {
  expect(() => open({ ...LORA, layers })).toThrow(/layers from 0 to 1/);
});
