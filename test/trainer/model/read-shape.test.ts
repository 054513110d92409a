import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { GgufWriter, type TensorToWrite } from "#engine/native/gguf-writer.ts";
import { readLlamaShape } from "#trainer/model/read-shape.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";

type Change = {
  readonly set?: (writer: GgufWriter) => unknown;
  readonly tensors?: (tensors: readonly TensorToWrite[]) => readonly TensorToWrite[];
};

let folder = "";
let modelPath = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "zephyr-shape-"));
  modelPath = join(folder, "model.gguf");
  writeRandomModel(modelPath, { libraries: cpuLibraries(), shape: { nLayer: 1 } });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Reads the shape of the model with a change made to its file. */
function readChanged({ set, tensors = (all) => all }: Change) {
  const libraries = cpuLibraries();
  const path = join(folder, "changed.gguf");
  using source = GgufFile.open(modelPath, libraries);
  using writer = new GgufWriter(libraries).copyMetadata(source);
  set?.(writer);
  const all = source.tensors.map((each) => ({ ...each, data: () => source.readTensor(each) }));
  for (const tensor of tensors(all)) writer.addTensor(tensor);
  writer.write(path);
  using changed = GgufFile.open(path, libraries);
  return readLlamaShape(changed);
}

const floats = (count: number) => () => new Uint8Array(4 * count);

describe("a llama-architecture file's sizes", () => {
  it("come from its metadata and its embedding", () => {
    expect(readChanged({})).toEqual({
      nLayer: 1,
      nEmbd: 64,
      nHead: 4,
      nHeadKv: 2,
      headDim: 16,
      nFf: 96,
      nVocab: expect.any(Number),
      ropeTheta: 10_000,
      rmsEps: expect.closeTo(1e-5, 9),
      tied: false,
      contextTokens: 256,
    });
  });

  it("take llama.cpp's defaults where keys are absent", () => {
    const shape = readChanged({
      set: (writer) =>
        writer
          .removeKey("llama.attention.key_length")
          .removeKey("llama.attention.value_length")
          .removeKey("llama.rope.dimension_count")
          .removeKey("llama.rope.freq_base"),
    });
    expect(shape).toMatchObject({ headDim: 16, ropeTheta: 10_000 });
  });

  it("are tied where there is no output matrix", () => {
    const tensors = (all: readonly TensorToWrite[]) =>
      all.filter(({ name }) => name !== "output.weight");
    expect(readChanged({ tensors }).tied).toBe(true);
  });
});

describe("what the trainer cannot compute is refused, naming what was expected and what was found", () => {
  it.each<[string, Change, RegExp]>([
    ["experts", { set: (w) => w.set("llama.expert_count", "u32", 8) }, /a dense model.*8 experts/],
    [
      "scaled rope",
      { set: (w) => w.set("llama.rope.scaling.type", "str", "yarn") },
      /scaling none.*yarn/,
    ],
    [
      "linearly scaled rope",
      { set: (w) => w.set("llama.rope.scale_linear", "f32", 2) },
      /scaling none.*linear scale of 2/,
    ],
    [
      "a rope over part of a head",
      { set: (w) => w.set("llama.rope.dimension_count", "u32", 8) },
      /equal to the head size 16.*found 8/,
    ],
    ["uneven heads", { set: (w) => w.set("llama.attention.head_count_kv", "u32", 3) }, /4 and 3/],
    [
      "an odd head size",
      { set: (w) => w.set("llama.attention.key_length", "u32", 15) },
      /even head size.*15/,
    ],
    ["no blocks", { set: (w) => w.set("llama.block_count", "u32", 0) }, /sizes above 0/],
    ["a missing key", { set: (w) => w.removeKey("llama.embedding_length") }, /embedding_length/],
    [
      "a missing tensor",
      { tensors: (all) => all.filter(({ name }) => name !== "blk.0.ffn_up.weight") },
      /a tensor blk\.0\.ffn_up\.weight.*none/,
    ],
    [
      "a tensor of another shape",
      {
        tensors: (all) =>
          all.map((each) =>
            each.name === "output_norm.weight" ? { ...each, ne: [32], data: floats(32) } : each,
          ),
      },
      /output_norm\.weight of \[64\].*\[32\]/,
    ],
    [
      "a tensor of an unknown type",
      {
        tensors: (all) =>
          all.map((each) =>
            each.name === "output_norm.weight" ? { ...each, type: GGML_TYPE.i32 } : each,
          ),
      },
      /output_norm\.weight in one of f32.*type 26/,
    ],
    [
      "biases and other strangers",
      {
        tensors: (all) => [
          ...all,
          { name: "blk.0.attn_q.bias", type: GGML_TYPE.f32, ne: [64], data: floats(64) },
        ],
      },
      /no further tensors.*attn_q\.bias/,
    ],
  ])("%s", (_, change, message) => {
    expect(() => readChanged(change)).toThrow(
      expect.objectContaining({ code: "model_invalid", message: expect.stringMatching(message) }),
    );
  });
});
