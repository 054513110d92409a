/** A PEFT adapter's folder as the GGUF that llama.cpp serves. */
import { join } from "node:path";
import { CodedError } from "#engine/base/errors.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { type LoraSource, writeLoraGguf } from "../gguf/lora.ts";
import { readLlamaShape } from "../model/read-shape.ts";
import { type PeftConfig, readPeftConfig } from "./config.ts";
import { PEFT_FILES } from "./export.ts";
import { interleaveRows, llamaModules, type Module } from "./modules.ts";
import { type SafeTensor, SafetensorsFile } from "./safetensors.ts";

/** What to import. */
export type PeftImport = {
  readonly libraries: NativeLibraries;
  /** What PEFT's `save_pretrained` wrote. */
  readonly folder: string;
  /** The GGUF of the model that the adapter was trained on. */
  readonly basePath: string;
  /** Where the adapter's GGUF goes. */
  readonly adapterPath: string;
};

/** What an imported adapter is. */
export type ImportedAdapter = {
  readonly modules: number;
  readonly rank: number;
  /** As the GGUF says it, so that α / rank is the scale whatever PEFT's scaling was. */
  readonly alpha: number;
  readonly sha256: string;
  readonly bytes: number;
};

type Pair = { readonly module: Module; readonly a: SafeTensor; readonly b: SafeTensor };

/**
 * Checks the folder against the model and writes the GGUF.
 * @throws CodedError `adapter_corrupt` when the files are broken, `adapter_incompatible` when they are for another
 *   model or of a kind that llama.cpp cannot serve; `model_invalid`, `model_missing`, `disk_full`
 */
export function importPeft(options: PeftImport): ImportedAdapter {
  const { libraries, folder, basePath, adapterPath } = options;
  const config = readPeftConfig(join(folder, PEFT_FILES.config));
  using base = GgufFile.open(basePath, libraries);
  const modules = llamaModules(readLlamaShape(base));
  using file = SafetensorsFile.open(join(folder, PEFT_FILES.weights));
  const pairs = pairUp(file, modules);
  for (const pair of pairs) checkSizes(file.path, pair);
  const alpha = scaleOf(config, config.rank) * config.rank;
  const written = writeLoraGguf(adapterPath, {
    libraries,
    trainable: sourceOf(file, pairs, config, alpha),
    alpha,
    baseArchitecture: base.string("general.architecture"),
  });
  return { modules: pairs.length, rank: config.rank, alpha, ...written };
}

/** What PEFT multiplies B A x by. */
function scaleOf({ alpha, isRankStabilised }: PeftConfig, rank: number): number {
  return alpha / (isRankStabilised ? Math.sqrt(rank) : rank);
}

/** PEFT drops the adapter's name (`default`) when it saves; other writers keep it. */
const KEY =
  /^(?:base_model\.model\.)?model\.(layers\.\d+\.\w+\.\w+)\.lora_([AB])(?:\.default)?\.weight$/;

function pairUp(file: SafetensorsFile, modules: readonly Module[]): readonly Pair[] {
  const byName = new Map(modules.map((module) => [module.module, module]));
  const found = new Map<string, { a?: SafeTensor; b?: SafeTensor }>();
  for (const tensor of file.tensors) {
    const [, name = "", side] = KEY.exec(tensor.name) ?? [];
    if (!byName.has(name)) {
      throw incompatible(file.path, `the model has no layer for ${tensor.name.slice(0, 120)}`);
    }
    const pair = found.get(name) ?? {};
    const key = side === "A" ? "a" : "b";
    if (pair[key] !== undefined) throw incompatible(file.path, `${name} has two lora_${side}`);
    found.set(name, { ...pair, [key]: tensor });
  }
  return [...found].flatMap(([name, { a, b }]) => {
    const module = byName.get(name);
    if (module !== undefined && a !== undefined && b !== undefined) return [{ module, a, b }];
    throw incompatible(file.path, `one matrix of ${name} is missing`);
  });
}

function checkSizes(path: string, { module, a, b }: Pair): void {
  const [rank = 0, inputs] = a.shape;
  const [outputs, bRank] = b.shape;
  const areMatrices = a.shape.length === 2 && b.shape.length === 2;
  const fit = inputs === module.inputs && outputs === module.outputs && rank === bRank && rank > 0;
  if (areMatrices && fit) return;
  throw incompatible(
    path,
    `${module.module} is ${module.outputs}×${module.inputs} in the model, its matrices are [${b.shape.join("×")}] and [${a.shape.join("×")}]`,
  );
}

/** B carries what llama.cpp's α / rank does not say of a module whose rank differs from the config's. */
function sourceOf(
  file: SafetensorsFile,
  pairs: readonly Pair[],
  config: PeftConfig,
  alpha: number,
): LoraSource {
  const readers = new Map<string, { ne: readonly number[]; read: () => Float32Array }>();
  for (const { module, a, b } of pairs) {
    const rank = a.shape[0] ?? 1;
    const factor = scaleOf(config, rank) / (alpha / rank);
    readers.set(`${module.tensor}.lora_a`, {
      ne: [module.inputs, rank],
      read: () => file.readFloats(a),
    });
    readers.set(`${module.tensor}.lora_b`, {
      ne: [rank, module.outputs],
      read: () => toGguf(file.readFloats(b), module).map((value) => value * factor),
    });
  }
  return {
    parameters: () => [...readers].map(([name, { ne }]) => ({ name, ne })),
    readParameter: (name) => {
      const found = readers.get(name);
      if (found === undefined) throw new RangeError(`there is no ${name}`);
      return found.read();
    },
  };
}

function toGguf(b: Float32Array, { interleavedHeads, outputs }: Module): Float32Array {
  return interleavedHeads === undefined ? b : interleaveRows(b, interleavedHeads, outputs);
}

function incompatible(path: string, why: string): CodedError {
  return new CodedError(
    `${path} does not fit this model: ${why}. Name the model that it was trained on (MODEL).`,
    { code: "adapter_incompatible" },
  );
}
