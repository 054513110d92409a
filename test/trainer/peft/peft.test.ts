import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { isCoded } from "#engine/base/errors.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { writeLoraGguf } from "#trainer/gguf/lora.ts";
import { openLora } from "#trainer/gguf/read-lora.ts";
import { exportPeft } from "#trainer/peft/export.ts";
import { importPeft } from "#trainer/peft/import.ts";
import { interleaveRows } from "#trainer/peft/modules.ts";
import {
  type SafeTensorToWrite,
  SafetensorsFile,
  writeSafetensors,
} from "#trainer/peft/safetensors.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import { writeRandomModel } from "../../model/random-model.ts";

const libraries = cpuLibraries();
const folder = mkdtempSync(join(tmpdir(), "peft-"));
const basePath = join(folder, "base.gguf");
const { shape } = writeRandomModel(basePath, { libraries });
const adapterPath = join(folder, "adapter.gguf");
writeRandomAdapter(adapterPath, { libraries, shape, seed: 3 });
const exported = join(folder, "exported");

beforeAll(() => {
  exportPeft({ libraries, adapterPath, basePath, folder: exported, baseModel: "some/model" });
});

/** A copy of the exported folder, its config or weights changed. */
function changed(
  config: object,
  tensors?: (all: SafeTensorToWrite[]) => SafeTensorToWrite[],
): string {
  const copy = mkdtempSync(join(folder, "changed-"));
  cpSync(exported, copy, { recursive: true });
  const path = join(copy, "adapter_config.json");
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...config }));
  if (tensors === undefined) return copy;
  const weights = join(copy, "adapter_model.safetensors");
  using file = SafetensorsFile.open(weights);
  const all = file.tensors.map((tensor) => {
    const values = file.readFloats(tensor);
    return { name: tensor.name, shape: tensor.shape, values: () => values };
  });
  writeSafetensors(weights, tensors(all), {});
  return copy;
}

const imported = (from: string, to = join(folder, "imported.gguf")) =>
  importPeft({ libraries, folder: from, basePath, adapterPath: to });

describe("export", () => {
  test("names tensors as PEFT does, with PEFT's shapes and a config that says how to apply them", () => {
    using file = SafetensorsFile.open(join(exported, "adapter_model.safetensors"));
    expect(file.tensors).toHaveLength(8);
    expect(file.tensors[0]).toMatchObject({
      name: "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
      shape: [4, 64],
    });
    expect(file.tensors[1]).toMatchObject({
      name: "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight",
      shape: [64, 4],
    });
    expect(JSON.parse(readFileSync(join(exported, "adapter_config.json"), "utf8"))).toMatchObject({
      peft_type: "LORA",
      task_type: "CAUSAL_LM",
      r: 4,
      lora_alpha: 8,
      target_modules: ["q_proj", "o_proj"],
      base_model_name_or_path: "some/model",
      use_rslora: false,
    });
  });

  test("q's B stands in Hugging Face's row order, o's as it was", () => {
    using file = SafetensorsFile.open(join(exported, "adapter_model.safetensors"));
    using lora = openLora(adapterPath, libraries);
    const named = (name: string) => {
      const tensor = file.tensors.find((one) => one.name.endsWith(name));
      return tensor && file.readFloats(tensor);
    };
    const q = lora.pairs.get("blk.1.attn_q.weight")?.readB();
    const hf = named("layers.1.self_attn.q_proj.lora_B.weight") ?? new Float32Array();
    expect(hf).not.toEqual(q);
    expect(interleaveRows(hf, shape.nHead, 64)).toEqual(q);
    const o = lora.pairs.get("blk.1.attn_output.weight")?.readB();
    expect(named("layers.1.self_attn.o_proj.lora_B.weight")).toEqual(o);
  });

  test("an adapter on one layer of two names its modules by their place", () => {
    const path = join(folder, "one-layer.gguf");
    const parameters = [
      { name: "blk.1.attn_v.weight.lora_a", ne: [64, 2] },
      { name: "blk.1.attn_v.weight.lora_b", ne: [2, 32] },
    ];
    const readParameter = (name: string) => new Float32Array(name.endsWith("a") ? 128 : 64).fill(1);
    writeLoraGguf(path, {
      libraries,
      trainable: { parameters: () => parameters, readParameter },
      alpha: 2,
      baseArchitecture: "llama",
    });
    const to = join(folder, "one-layer");
    const outcome = exportPeft({
      libraries,
      adapterPath: path,
      basePath,
      folder: to,
      baseModel: null,
    });
    expect(outcome).toEqual({ modules: 1, rank: 2 });
    const { target_modules } = JSON.parse(readFileSync(join(to, "adapter_config.json"), "utf8"));
    expect(target_modules).toEqual(["layers.1.self_attn.v_proj"]);
  });

  test("an adapter of another model is refused", () => {
    const other = join(folder, "other.gguf");
    writeRandomModel(other, { libraries, shape: { nEmbd: 32, headDim: 8 } });
    const options = { libraries, adapterPath, basePath: other, folder: exported, baseModel: null };
    expect(() => exportPeft(options)).toThrow(/other sizes/);
  });
});

describe("import", () => {
  test("brings an exported adapter back bit for bit", () => {
    const path = join(folder, "back.gguf");
    expect(imported(exported, path)).toMatchObject({ modules: 4, rank: 4, alpha: 8 });
    using before = openLora(adapterPath, libraries);
    using after = openLora(path, libraries);
    expect(after.alpha).toBe(before.alpha);
    expect([...after.pairs.keys()].sort()).toEqual([...before.pairs.keys()].sort());
    for (const [name, pair] of before.pairs) {
      expect(after.pairs.get(name)?.readA()).toEqual(pair.readA());
      expect(after.pairs.get(name)?.readB()).toEqual(pair.readB());
    }
  });

  test("a rank-stabilised adapter's α 8 at rank 4 becomes α 16, which llama.cpp divides by 4", () => {
    expect(imported(changed({ use_rslora: true })).alpha).toBe(16);
  });

  test("a module of another rank keeps the scale that PEFT gives it", () => {
    const random = SeededRandom.from(4);
    const draw = (count: number) => Float32Array.from({ length: count }, () => random.gaussian());
    const narrow = (all: SafeTensorToWrite[]) =>
      all.map((tensor) => {
        if (!tensor.name.includes("layers.0.self_attn.o_proj")) return tensor;
        const shapeOf = tensor.name.includes("lora_A") ? [1, 64] : [64, 1];
        const values = draw(64);
        return { ...tensor, shape: shapeOf, values: () => values };
      });
    const from = changed(
      { use_rslora: true, rank_pattern: { "layers.0.self_attn.o_proj": 1 } },
      narrow,
    );
    const path = join(folder, "narrow.gguf");
    const { alpha } = imported(from, path);
    using lora = openLora(path, libraries);
    using file = SafetensorsFile.open(join(from, "adapter_model.safetensors"));
    const tensor = file.tensors.find(({ name }) =>
      name.endsWith("layers.0.self_attn.o_proj.lora_B.weight"),
    );
    const b = tensor === undefined ? [] : [...file.readFloats(tensor)];
    const pair = lora.pairs.get("blk.0.attn_output.weight");
    // PEFT: 8 / √1 · B; llama.cpp: 16 / 1 · B'
    expect((alpha / 1) * (pair?.readB()[5] ?? 0)).toBeCloseTo(8 * (b[5] ?? 0), 5);
  });
});

describe("what llama.cpp could not serve, or the model does not have, is refused", () => {
  test.each<[object, RegExp]>([
    [{ use_dora: true }, /DoRA rescales whole rows/],
    [{ peft_type: "IA3" }, /peft_type LORA/],
    [{ bias: "all" }, /no biases/],
    [{ lora_alpha: 0 }, /lora_alpha above 0/],
    [{ r: 1e9 }, /r:/],
    [{ alpha_pattern: { q_proj: 3 } }, /alpha_pattern/],
    [{ modules_to_save: ["lm_head"] }, /modules_to_save/],
    [{ fan_in_fan_out: true }, /fan_in_fan_out/],
  ])("%j is refused: llama.cpp could not serve it as it is meant", (config, message) => {
    expect(() => imported(changed(config))).toThrow(message);
  });

  test.each<[string, (all: SafeTensorToWrite[]) => SafeTensorToWrite[], RegExp]>([
    [
      "a missing matrix",
      (all) => all.slice(1),
      /one matrix of layers\.0\.self_attn\.q_proj is missing/,
    ],
    ["a layer that is not there", (all) => rename(all, "layers.0", "layers.7"), /no layer for/],
    [
      "a magnitude vector of DoRA",
      (all) => rename(all, "lora_A.weight", "lora_magnitude_vector"),
      /no layer for/,
    ],
    ["an embedding's matrices", (all) => rename(all, "lora_A", "lora_embedding_A"), /no layer for/],
    [
      "other sizes",
      (all) => all.map((one, i) => (i > 0 ? one : { ...one, shape: [8, 32] })),
      /64×64 in the model/,
    ],
    [
      "a vector",
      (all) => all.map((one, i) => (i > 0 ? one : { ...one, shape: [256] })),
      /64×64 in the model/,
    ],
    [
      "the same matrix twice",
      (all) => [...all, ...rename(all.slice(0, 1), "base_model.model.", "")],
      /two lora_A/,
    ],
  ])("%s is refused", (_, change, message) => {
    try {
      imported(changed({}, change));
      expect.unreachable();
    } catch (error) {
      expect(isCoded(error, "adapter_incompatible")).toBe(true);
      expect(String(error)).toMatch(message);
    }
  });

  test("a folder without PEFT's files, or with something else in them, is refused", () => {
    expect(() => imported(folder)).toThrow(/There is no file .*adapter_config\.json/);
    const broken = changed({});
    writeFileSync(join(broken, "adapter_config.json"), "{");
    expect(() => imported(broken)).toThrow(/save_pretrained/);
  });
});

function rename(all: SafeTensorToWrite[], from: string, to: string): SafeTensorToWrite[] {
  return all.map((one) => ({ ...one, name: one.name.replace(from, to) }));
}
