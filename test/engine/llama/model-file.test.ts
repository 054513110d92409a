import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LoadedModel } from "#engine/llama/model.ts";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { GgufWriter } from "#engine/native/gguf-writer.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";

const libraries = cpuLibraries();
const folder = mkdtempSync(join(tmpdir(), "model-file-"));
const good = join(folder, "good.gguf");
const spoilt = join(folder, "spoilt.gguf");
let tokens: string[];

beforeAll(() => {
  writeRandomModel(good, { libraries });
  using file = GgufFile.open(good, libraries);
  const list = file.value("tokenizer.ggml.tokens");
  tokens = Array.isArray(list) ? list.map(String) : [];
});

afterAll(() => rmSync(folder, { recursive: true }));

/** The good model with other metadata. */
function spoil(change: (writer: GgufWriter) => void): string {
  using from = GgufFile.open(good, libraries);
  using writer = new GgufWriter(libraries);
  writer.copyMetadata(from);
  for (const tensor of from.tensors) {
    writer.addTensor({ ...tensor, data: () => from.readTensor(tensor) });
  }
  change(writer);
  writer.write(spoilt);
  return spoilt;
}

describe("a model file", () => {
  test("rewritten unchanged is loaded", async () => {
    await using model = await LoadedModel.open(
      spoil(() => undefined),
      { libraries, gpuLayers: 0 },
    );
    expect(model.weights.parameters).toBeGreaterThan(100_000);
  });

  test.each<[string, (writer: GgufWriter) => void]>([
    ["of another architecture", (writer) => writer.set("general.architecture", "str", "gpt2")],
    ["that is an adapter", (writer) => writer.set("general.type", "str", "adapter")],
    ["of 513 layers", (writer) => writer.set("llama.block_count", "u32", 513)],
    ["of no heads", (writer) => writer.set("llama.attention.head_count", "u32", 0)],
    ["of uneven heads", (writer) => writer.set("llama.attention.head_count_kv", "u32", 3)],
    [
      "with experts used but none there",
      (writer) => writer.set("llama.expert_used_count", "u32", 2),
    ],
    ["with an unknown rope scaling", (writer) => writer.set("llama.rope.scaling.type", "str", "?")],
    [
      "with a chat template of another family",
      (writer) => writer.set("tokenizer.chat_template", "str", "<|im_start|>{{ content }}"),
    ],
  ])("%s is refused before it can end the process", async (_, change) => {
    const opening = LoadedModel.open(spoil(change), { libraries, gpuLayers: 0 });
    await expect(opening).rejects.toMatchObject({ code: "model_invalid" });
  });

  test.each<[string, (writer: GgufWriter) => void]>([
    [
      "two tokens of one text",
      (writer) =>
        writer.setTexts("tokenizer.ggml.tokens", [...tokens.slice(0, -1), tokens[5] ?? ""]),
    ],
    [
      "a byte without a token",
      (writer) =>
        writer.setTexts(
          "tokenizer.ggml.tokens",
          tokens.map((text) => (text === "<0xE2>" ? "other" : text)),
        ),
    ],
    [
      "fewer scores than tokens",
      (writer) => writer.setNumbers("tokenizer.ggml.scores", new Float32Array(5)),
    ],
    [
      "an EOS that is no token",
      (writer) => writer.set("tokenizer.ggml.eos_token_id", "u32", tokens.length),
    ],
    ["no tokens", (writer) => writer.removeKey("tokenizer.ggml.tokens")],
  ])("with %s is refused by whoever opens its vocabulary", (_, change) => {
    expect(() => Vocabulary.open(spoil(change), libraries)).toThrow(
      expect.objectContaining({ code: "model_invalid" }),
    );
  });
});
