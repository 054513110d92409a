import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { cpuLibraries } from "./libraries.ts";
import { writeRandomModel } from "./random-model.ts";

const libraries = cpuLibraries();
const folder = mkdtempSync(join(tmpdir(), "random-model-"));

test("the same seed gives the same bytes, another seed others", () => {
  const hashes = [7, 7, 8].map(
    (seed, i) => writeRandomModel(join(folder, `${i}.gguf`), { libraries, seed }).sha256,
  );
  expect(hashes[0]).toBe(hashes[1]);
  expect(hashes[2]).not.toBe(hashes[0]);
});

test.each(["f32", "f16", "bf16", "q8_0", "q4_0"] as const)(
  "matrices are %s, vectors f32",
  (type) => {
    const path = join(folder, `${type}.gguf`);
    writeRandomModel(path, { libraries, type });
    using file = GgufFile.open(path, libraries);
    expect(file.tensor("blk.1.ffn_down.weight")).toMatchObject({
      type: GGML_TYPE[type],
      ne: [96, 64],
    });
    expect(file.tensor("output_norm.weight")).toMatchObject({ type: GGML_TYPE.f32, ne: [64] });
  },
);

test("k-quants take rows of 256", () => {
  const path = join(folder, "k.gguf");
  const shape = { nEmbd: 256, nFf: 256, headDim: 64 };
  writeRandomModel(path, { libraries, type: "q4_K", shape });
  using file = GgufFile.open(path, libraries);
  expect(file.tensor("blk.0.attn_q.weight")?.type).toBe(GGML_TYPE.q4_K);
});

test("a tied model has no head of its own", () => {
  const path = join(folder, "tied.gguf");
  expect(writeRandomModel(path, { libraries, tied: true }).shape.tied).toBe(true);
  using file = GgufFile.open(path, libraries);
  expect(file.tensor("output.weight")).toBeUndefined();
});
