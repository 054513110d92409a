import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { WEIGHT_TYPES } from "#trainer/gguf/encode.ts";
import { writeLoraGguf } from "#trainer/gguf/lora.ts";
import { type MergeType, mergeLora } from "#trainer/gguf/merge.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { libllamaLogps } from "../model/libllama-logps.ts";
import { greatestDifference, randomSequences } from "../model/sequences.ts";

const libraries = cpuLibraries();
const folder = mkdtempSync(join(tmpdir(), "merge-"));
/** Rows of 256, so that K-quants fit. */
const wide = { nEmbd: 256, nFf: 256, headDim: 64, nLayer: 1 };
const basePath = join(folder, "base.gguf");
const { shape } = writeRandomModel(basePath, { libraries, shape: wide });
const adapterPath = join(folder, "adapter.gguf");
writeRandomAdapter(adapterPath, { libraries, shape, seed: 3 });
const batch = randomSequences([40, 23], shape.nVocab, SeededRandom.from(8));
const served = libllamaLogps(batch, { libraries, modelPath: basePath, adapterPath });
const bare = libllamaLogps(batch, { libraries, modelPath: basePath });

function merge(type: MergeType, from = basePath, adapter = adapterPath) {
  const outPath = join(folder, `${type}.gguf`);
  const options = { libraries, basePath: from, adapterPath: adapter, outPath, type, threads: 1 };
  return { outPath, ...mergeLora(options) };
}

describe("libllama's log-probabilities of a merged file are those of base and adapter", () => {
  test("in F32 to rounding", () => {
    const { outPath, merged, roundingShare } = merge("f32");
    expect(merged).toBe(2);
    expect(roundingShare).toBe(0);
    const logps = libllamaLogps(batch, { libraries, modelPath: outPath });
    expect(greatestDifference(logps, served)).toBeLessThan(1e-4);
    expect(greatestDifference(logps, bare)).toBeGreaterThan(0.5);
  });

  test.each([
    ["bf16", 0.2],
    ["f16", 0.02],
    ["q8_0", 0.3],
    ["q6_K", 0.8],
  ] as const)("in %s within %d", (type, tolerance) => {
    const { outPath, roundingShare } = merge(type);
    const logps = libllamaLogps(batch, { libraries, modelPath: outPath });
    expect(greatestDifference(logps, served)).toBeLessThan(tolerance);
    expect(roundingShare).toBeGreaterThan(0);
    expect(roundingShare).toBeLessThan(0.1);
  });
});

describe("types", () => {
  test.each(WEIGHT_TYPES)(
    "%s: matrices take it, vectors stay F32, the output is never coarse",
    (type) => {
      const { outPath } = merge(type);
      using file = GgufFile.open(outPath, libraries);
      expect(file.tensor("blk.0.attn_q.weight")?.type).toBe(GGML_TYPE[type]);
      expect(file.tensor("blk.0.ffn_up.weight")?.type).toBe(GGML_TYPE[type]);
      expect(file.tensor("blk.0.attn_norm.weight")?.type).toBe(GGML_TYPE.f32);
      const isFine = ["f32", "bf16", "f16", "q8_0"].includes(type);
      expect(file.tensor("output.weight")?.type).toBe(isFine ? GGML_TYPE[type] : GGML_TYPE.q6_K);
      const logps = libllamaLogps(batch, { libraries, modelPath: outPath });
      expect(logps.flatMap((list) => [...list]).every(Number.isFinite)).toBe(true);
    },
  );

  test("the coarser the type, the more of the adapter drowns, and the outcome says so", () => {
    const shares = (["q8_0", "q6_K", "q4_K", "q2_K"] as const).map(
      (type) => merge(type).roundingShare,
    );
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  });

  test("keep leaves every matrix's type, and all without an adapter byte for byte", () => {
    const quantised = join(folder, "quantised.gguf");
    writeRandomModel(quantised, { libraries, shape: wide, type: "q4_K" });
    const { outPath } = merge("keep", quantised);
    using before = GgufFile.open(quantised, libraries);
    using after = GgufFile.open(outPath, libraries);
    expect(after.tensors.map(({ type }) => type)).toEqual(before.tensors.map(({ type }) => type));
    const changed = before.tensors.filter((tensor, i) => {
      const twin = after.tensors[i];
      return twin && Buffer.compare(before.readTensor(tensor), after.readTensor(twin)) !== 0;
    });
    expect(changed.map(({ name }) => name)).toEqual([
      "blk.0.attn_q.weight",
      "blk.0.attn_output.weight",
    ]);
    expect(after.number("general.file_type")).toBe(before.number("general.file_type"));
    expect(after.string("tokenizer.chat_template")).toBe(before.string("tokenizer.chat_template"));
  });

  test("rows that no block of the type divides take q8_0, then f16", () => {
    const narrow = join(folder, "narrow.gguf");
    const small = { nEmbd: 64, nFf: 72, headDim: 16, nLayer: 1 };
    const { shape: narrowShape } = writeRandomModel(narrow, { libraries, shape: small });
    const adapter = join(folder, "narrow-adapter.gguf");
    writeRandomAdapter(adapter, { libraries, shape: narrowShape, seed: 1 });
    const { outPath } = merge("q4_K", narrow, adapter);
    using file = GgufFile.open(outPath, libraries);
    expect(file.tensor("blk.0.attn_q.weight")?.type).toBe(GGML_TYPE.q8_0);
    expect(file.tensor("blk.0.ffn_down.weight")?.type).toBe(GGML_TYPE.f16);
  });
});

describe("what does not fit is refused before anything is written", () => {
  test("an adapter of another model's sizes, or for another architecture", () => {
    const other = join(folder, "other.gguf");
    writeRandomModel(other, { libraries });
    expect(() => merge("f32", other)).toThrow(/in the model/);
    const foreign = join(folder, "foreign.gguf");
    writeRandomAdapter(foreign, { libraries, shape, seed: 1, baseArchitecture: "gemma" });
    expect(() => merge("f32", basePath, foreign)).toThrow(/it is for gemma, the model is llama/);
  });

  test("a layer that the model does not have, and a model in an adapter's place", () => {
    const deep = join(folder, "deep.gguf");
    const parameters = [
      { name: "blk.9.attn_q.weight.lora_a", ne: [256, 1] },
      { name: "blk.9.attn_q.weight.lora_b", ne: [1, 256] },
    ];
    const trainable = { parameters: () => parameters, readParameter: () => new Float32Array(256) };
    writeLoraGguf(deep, { libraries, trainable, alpha: 1, baseArchitecture: "llama" });
    expect(() => merge("f32", basePath, deep)).toThrow(/no layer blk\.9\.attn_q\.weight/);
    expect(() => merge("f32", basePath, basePath)).toThrow(/no LoRA adapter/);
  });
});
