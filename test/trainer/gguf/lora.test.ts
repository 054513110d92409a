import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { GgufFile } from "#engine/native/gguf.ts";
import { type LoraSource, writeLoraGguf } from "#trainer/gguf/lora.ts";
import { cpuLibraries } from "../../model/libraries.ts";

const libraries = cpuLibraries();
const path = join(mkdtempSync(join(tmpdir(), "lora-")), "adapter.gguf");
const options = { libraries, alpha: 8, baseArchitecture: "llama" };

function source(parameters: Record<string, number[]>): LoraSource {
  return {
    parameters: () => Object.entries(parameters).map(([name, ne]) => ({ name, ne })),
    readParameter: (name) => {
      const count = (parameters[name] ?? []).reduce((product, n) => product * n, 1);
      return Float32Array.from({ length: count }, (_, i) => i / 7);
    },
  };
}

test("an adapter carries the keys and the orientation that llama-adapter.cpp checks", () => {
  const trainable = source({
    "blk.0.attn_q.weight.lora_a": [64, 4],
    "blk.0.attn_q.weight.lora_b": [4, 32],
  });
  writeLoraGguf(path, { ...options, trainable });
  using file = GgufFile.open(path, libraries);
  expect(file.string("general.type")).toBe("adapter");
  expect(file.string("adapter.type")).toBe("lora");
  expect(file.string("general.architecture")).toBe("llama");
  expect(file.number("adapter.lora.alpha")).toBe(8);
  const b = file.tensor("blk.0.attn_q.weight.lora_b");
  expect(b?.ne).toEqual([4, 32]);
  if (b !== undefined) {
    const values = new Float32Array(file.readTensor(b).buffer);
    expect(values).toEqual(trainable.readParameter("blk.0.attn_q.weight.lora_b"));
  }
});

test("a rank of one is written, its dimension dropped or not", () => {
  const trainable = source({
    "w.lora_a": [8],
    "w.lora_b": [1, 6],
    "x.lora_a": [8, 1],
    "x.lora_b": [1, 6],
  });
  writeLoraGguf(path, { ...options, trainable, type: "f16" });
  using file = GgufFile.open(path, libraries);
  expect(file.tensor("w.lora_b")?.ne).toEqual([1, 6]);
});

test("matrices without partner, of different rank, or of no LoRA are refused", () => {
  const write = (parameters: Record<string, number[]>) => () =>
    writeLoraGguf(path, { ...options, trainable: source(parameters) });
  expect(write({ "w.lora_a": [8, 2] })).toThrow(/partner/);
  expect(write({ "w.lora_a": [8, 2], "w.lora_b": [3, 6] })).toThrow(/disagree/);
  expect(write({ "output_norm.weight": [8] })).toThrow(/not a LoRA/);
  expect(write({})).toThrow(/no LoRA/);
});
