import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "#engine/base/config.ts";
import { chooseMemory, type MemoryChoice } from "#trainer/nightly/memory-stage.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";

let folder = "";
let path = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "zephyr-memory-"));
  path = join(folder, "model.gguf");
  const shape = { nLayer: 4, nEmbd: 256, nHead: 4, nHeadKv: 2, headDim: 64, nFf: 512 };
  writeRandomModel(path, { libraries: cpuLibraries(), type: "q8_0", shape });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function choose(mebibytes?: number): MemoryChoice {
  const limit = mebibytes === undefined ? {} : { TRAIN_MEMORY_MIB: `${mebibytes}` };
  const at = {
    config: loadConfig({ THREADS: "1", ...limit }),
    libraries: cpuLibraries(),
    model: { path, id: "random", sha256: "" },
  };
  return chooseMemory(at, {
    lora: { rank: 8, alpha: 8, targets: ["q", "v"], seed: 1 },
    precision: "bf16",
    dpo: { maxTokens: 512, maxPromptTokens: 256, maxTokensPerBatch: 2048 },
  });
}

const mebibytesOf = (choice: MemoryChoice) => choice.plan.total / 2 ** 20;

test("with memory enough all values are kept, and the parts add up to the total", () => {
  const { fits, options, plan, message } = choose();
  expect([fits, options]).toEqual([true, {}]);
  const { base, adapters, optimizer, activations, logits, scratch, process, total } = plan;
  expect(base + adapters + optimizer + activations + logits + scratch + process).toBe(total);
  for (const part of [
    "base",
    "adapters",
    "optimiser",
    "activations",
    "logits",
    "scratch",
    "total",
  ]) {
    expect(message).toMatch(new RegExp(`${part} +\\d+ MiB`));
  }
});

test("with less the blocks are computed twice, then matrices turned around, then training is refused", () => {
  const ample = mebibytesOf(choose());
  // Far enough below each to leave room for this process to grow between two plans.
  const twice = choose(Math.floor(ample - 60));
  expect([twice.fits, twice.options]).toEqual([true, { activationBytes: 0 }]);
  expect(mebibytesOf(twice)).toBeLessThan(ample - 60);
  const refused = choose(50);
  expect(refused.fits).toBe(false);
  expect(refused.options).toEqual({ activationBytes: 0, keepsTransposes: false });
  expect(refused.message).toContain("does not fit");
  expect(refused.plan.base).toBeLessThan(twice.plan.base);
});
