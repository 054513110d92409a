/** A GGUF adapter as the folder that PEFT loads: adapter_model.safetensors and adapter_config.json. */
import { join } from "node:path";
import { makeFolder, writeFileAtomic } from "#engine/base/atomic-file.ts";
import { CodedError } from "#engine/base/errors.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { openLora } from "../gguf/read-lora.ts";
import { readLlamaShape } from "../model/read-shape.ts";
import { formatPeftConfig } from "./config.ts";
import { deinterleaveRows, llamaModules, type Module } from "./modules.ts";
import { writeSafetensors } from "./safetensors.ts";

/** The names of PEFT's files in an adapter's folder. */
export const PEFT_FILES = {
  weights: "adapter_model.safetensors",
  config: "adapter_config.json",
} as const;

/** What to export. */
export type PeftExport = {
  readonly libraries: NativeLibraries;
  readonly adapterPath: string;
  /** The GGUF that the adapter was trained on. */
  readonly basePath: string;
  /** Made where it is not there. */
  readonly folder: string;
  /** `base_model_name_or_path`: the Hugging Face id of the same model, for those who load by the adapter alone. */
  readonly baseModel: string | null;
};

/**
 * Writes the folder. The scale α / rank stays as the GGUF has it; a rank-stabilised adapter's α √rank comes out
 * as a plain adapter of the same strength.
 * @returns how many modules have an adapter, and their rank
 * @throws CodedError `adapter_corrupt`, `adapter_incompatible`, `model_invalid`, `model_missing`, `disk_full`
 */
export function exportPeft(options: PeftExport): { modules: number; rank: number } {
  const { libraries, adapterPath, basePath, folder, baseModel } = options;
  using base = GgufFile.open(basePath, libraries);
  const all = llamaModules(readLlamaShape(base));
  using lora = openLora(adapterPath, libraries);
  const byTensor = new Map(all.map((module) => [module.tensor, module]));
  const found = [...lora.pairs].map(([tensor, pair]) => {
    const module = byTensor.get(tensor);
    if (module === undefined) throw incompatible(adapterPath, `the model has no layer ${tensor}`);
    if (pair.inputs !== module.inputs || pair.outputs !== module.outputs) {
      throw incompatible(adapterPath, `${tensor} has other sizes than the model's`);
    }
    return { module, pair };
  });
  const ranks = new Set(found.map(({ pair }) => pair.rank));
  const [rank] = ranks;
  if (rank === undefined || ranks.size > 1) {
    throw incompatible(adapterPath, `its ranks are ${[...ranks].join(", ")}, one is expected`);
  }
  makeFolder(folder);
  const tensors = found.flatMap(({ module, pair }) => {
    const name = `base_model.model.model.${module.module}`;
    return [
      { name: `${name}.lora_A.weight`, shape: [rank, module.inputs], values: pair.readA },
      {
        name: `${name}.lora_B.weight`,
        shape: [module.outputs, rank],
        values: () => toHuggingFace(pair.readB(), module),
      },
    ];
  });
  writeSafetensors(join(folder, PEFT_FILES.weights), tensors, { format: "pt" });
  const targetModules = targetsOf(
    found.map(({ module }) => module),
    all,
  );
  const config = formatPeftConfig({ rank, alpha: lora.alpha, targetModules, baseModel });
  writeFileAtomic(join(folder, PEFT_FILES.config), config);
  return { modules: found.length, rank };
}

function toHuggingFace(b: Float32Array, { interleavedHeads, outputs }: Module): Float32Array {
  return interleavedHeads === undefined ? b : deinterleaveRows(b, interleavedHeads, outputs);
}

/** Short names where each is adapted in every layer, else every module by its place. */
function targetsOf(found: readonly Module[], all: readonly Module[]): string[] {
  const projections = new Set(found.map(({ projection }) => projection));
  const expected = all.filter(({ projection }) => projections.has(projection));
  if (expected.length === found.length) return [...projections];
  return found.map(({ module }) => module);
}

function incompatible(path: string, why: string): CodedError {
  return new CodedError(
    `${path} does not fit its base model: ${why}. Name the model that it was trained on (MODEL).`,
    { code: "adapter_incompatible" },
  );
}
