import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bindGgml, GGML_TYPE } from "#engine/native/ggml.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { GgufWriter } from "#engine/native/gguf-writer.ts";
import { encodeTensor } from "#trainer/gguf/encode.ts";
import { writeModelGguf } from "#trainer/gguf/model-file.ts";
import { setTokenizer } from "#trainer/gguf/tokenizer-metadata.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { smallVocabulary, writeRandomModel } from "../../model/random-model.ts";

const libraries = cpuLibraries();
const ggml = bindGgml(libraries);
const folder = mkdtempSync(join(tmpdir(), "model-file-"));
const source = join(folder, "source.gguf");
const target = join(folder, "target.gguf");
writeRandomModel(source, { libraries });

test("written in the likeness of a file, untouched tensors and metadata are its own", () => {
  const name = "blk.0.attn_q.weight";
  const values = () => new Float32Array(64 * 64).fill(0.25);
  const tensors = [{ name, ne: [64, 64], values }];
  writeModelGguf(target, { libraries, from: source, tensors, type: "q8_0" });
  using before = GgufFile.open(source, libraries);
  using after = GgufFile.open(target, libraries);
  expect(after.tensor(name)?.type).toBe(GGML_TYPE.q8_0);
  expect(after.string("tokenizer.chat_template")).toBe(before.string("tokenizer.chat_template"));
  expect(after.value("tokenizer.ggml.tokens")).toEqual(before.value("tokenizer.ggml.tokens"));
  expect(after.tensors.length).toBe(before.tensors.length);
  for (const tensor of before.tensors) {
    const twin = after.tensor(tensor.name);
    if (tensor.name === name || twin === undefined) continue;
    expect(after.readTensor(twin)).toEqual(before.readTensor(tensor));
  }
});

test("vectors stay f32, and rows that no block divides become f16", () => {
  const tensors = [
    { name: "blk.0.attn_norm.weight", ne: [64], values: () => new Float32Array(64).fill(1) },
    { name: "blk.0.ffn_up.weight", ne: [24, 2], values: () => new Float32Array(48).fill(1) },
  ];
  writeModelGguf(target, { libraries, from: source, tensors, type: "q8_0" });
  using file = GgufFile.open(target, libraries);
  expect(file.tensor("blk.0.attn_norm.weight")?.type).toBe(GGML_TYPE.f32);
  expect(file.tensor("blk.0.ffn_up.weight")?.type).toBe(GGML_TYPE.f16);
});

test("q8_0 by hand: the largest of a block of 32 is 127 steps, a half rounds away to 64", () => {
  const values = Float32Array.from({ length: 32 }, (_, i) => (i === 0 ? 12.7 : 6.4));
  const bytes = encodeTensor(ggml, "q8_0", values, [32, 1]);
  expect(bytes.length).toBe(34);
  expect(Int8Array.from(bytes.subarray(2))).toEqual(
    Int8Array.from({ length: 32 }, (_, i) => (i === 0 ? 127 : 64)),
  );
});

test("bf16 by hand: 1 is 0x3f80, −2.5 is 0xc020", () => {
  const bytes = encodeTensor(ggml, "bf16", Float32Array.of(1, -2.5), [2, 1]);
  expect(new Uint16Array(bytes.buffer)).toEqual(Uint16Array.of(0x3f80, 0xc020));
});

test("weights that are no numbers, or not as many as the shape says, are refused", () => {
  expect(() => encodeTensor(ggml, "f32", Float32Array.of(1, Number.NaN), [2])).toThrow(/NaN/);
  expect(() => encodeTensor(ggml, "f32", Float32Array.of(1), [2])).toThrow(/needs 2 values/);
  expect(() => encodeTensor(ggml, "q8_0", new Float32Array(33), [33])).toThrow(/blocks/);
});

test("a vocabulary that libllama would abort on or misread is refused", () => {
  const table = smallVocabulary();
  const write = (changes: Partial<typeof table>) => () => {
    using writer = new GgufWriter(libraries);
    setTokenizer(writer, { ...table, ...changes }, "");
  };
  const twice = table.tokens.map((token, id) => (id === 300 ? "a" : token));
  expect(write({ tokens: twice })).toThrow(/only once/);
  expect(write({ tokens: table.tokens.with(10, "x10") })).toThrow(/<0x07> is missing/);
  expect(write({ scores: new Float32Array(3) })).toThrow(/as many scores/);
  expect(write({ eos: table.tokens.length })).toThrow(/no token/);
  expect(write({})).not.toThrow();
});
