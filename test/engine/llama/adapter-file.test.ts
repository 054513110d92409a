import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LoadedModel } from "#engine/llama/model.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { GgufWriter } from "#engine/native/gguf-writer.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import { writeRandomModel } from "../../model/random-model.ts";

const libraries = cpuLibraries();
const folder = mkdtempSync(join(tmpdir(), "adapter-file-"));
const good = join(folder, "good.gguf");
let model: LoadedModel;

beforeAll(async () => {
  const path = join(folder, "random.gguf");
  const { shape } = writeRandomModel(path, { libraries });
  writeRandomAdapter(good, { libraries, shape, seed: 1 });
  model = await LoadedModel.open(path, { libraries, gpuLayers: 0 });
});

afterAll(async () => {
  await model[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

type Factor = { name: string; ne: number[]; value?: number };
const PAIR: Factor[] = [
  { name: "blk.0.attn_q.weight.lora_a", ne: [64, 4] },
  { name: "blk.0.attn_q.weight.lora_b", ne: [4, 64] },
];

/** An adapter of one pair, with what the test makes wrong about it. */
function write(more: {
  metadata?: (writer: GgufWriter) => void;
  factors?: readonly Factor[];
}): string {
  const path = join(folder, "tried.gguf");
  using writer = new GgufWriter(libraries);
  writer
    .set("general.architecture", "str", "llama")
    .set("general.type", "str", "adapter")
    .set("adapter.type", "str", "lora")
    .set("adapter.lora.alpha", "f32", 8);
  more.metadata?.(writer);
  for (const { name, ne, value = 0.1 } of more.factors ?? PAIR) {
    const count = ne.reduce((product, size) => product * size, 1);
    const data = () => new Uint8Array(new Float32Array(count).fill(value).buffer);
    writer.addTensor({ name, ne, type: GGML_TYPE.f32, data });
  }
  writer.write(path);
  return path;
}

describe("an adapter", () => {
  test("that fits is loaded and freed", async () => {
    for (const path of [good, write({})]) {
      await model.freeAdapter(await model.loadAdapter(path));
    }
  });

  test.each<[string, () => string]>([
    ["a missing file", () => join(folder, "none.gguf")],
    ["no GGUF", () => import.meta.filename],
    ["a file cut short", () => cutShort()],
    ["a base model", () => join(folder, "random.gguf")],
    [
      "an alpha of the wrong type",
      () => write({ metadata: (writer) => writer.set("adapter.lora.alpha", "u32", 8) }),
    ],
    [
      "an infinite alpha",
      () =>
        write({
          metadata: (writer) => writer.set("adapter.lora.alpha", "f32", Number.POSITIVE_INFINITY),
        }),
    ],
    ["half a pair", () => write({ factors: PAIR.slice(0, 1) })],
    ["no tensors", () => write({ factors: [] })],
    [
      "a tensor that is no factor",
      () => write({ factors: [{ name: "output.weight", ne: [4, 4] }] }),
    ],
    ["NaN weights", () => write({ factors: PAIR.map((f) => ({ ...f, value: Number.NaN })) })],
  ])("that is %s is refused as corrupt", async (_, path) => {
    await expect(model.loadAdapter(path())).rejects.toMatchObject({ code: "adapter_corrupt" });
  });

  test.each<[string, () => string]>([
    [
      "for another architecture",
      () => write({ metadata: (writer) => writer.set("general.architecture", "str", "gpt2") }),
    ],
    [
      "for a weight that the model lacks",
      () => write({ factors: PAIR.map((f) => ({ ...f, name: f.name.replace("blk.0", "blk.9") })) }),
    ],
    [
      "of another width",
      () =>
        write({ factors: [{ name: "blk.0.attn_q.weight.lora_a", ne: [32, 4] }, ...PAIR.slice(1)] }),
    ],
    [
      "of disagreeing ranks",
      () =>
        write({ factors: [{ name: "blk.0.attn_q.weight.lora_a", ne: [64, 2] }, ...PAIR.slice(1)] }),
    ],
  ])("%s is refused as incompatible", async (_, path) => {
    await expect(model.loadAdapter(path())).rejects.toMatchObject({
      code: "adapter_incompatible",
    });
  });
});

function cutShort(): string {
  const path = join(folder, "cut.gguf");
  writeFileSync(path, readFileSync(good).subarray(0, -500));
  return path;
}
