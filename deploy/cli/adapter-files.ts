/**
 * `zephyr adapters export|import|merge`: adapters as other programs keep them. None of these makes an adapter
 * serve.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  assertGatePassed,
  IMPORTED_REPORT,
  openRegistry,
  type VerifiedAdapter,
} from "#engine/adapters/registry.ts";
import type { Config } from "#engine/base/config.ts";
import { CodedError } from "#engine/base/errors.ts";
import { hashFile } from "#engine/base/file-hash.ts";
import { downloadModel } from "#engine/llama/download.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { loadLibraries, type NativeLibraries } from "#engine/native/library.ts";
import { locateModel } from "#engine/service/model-path.ts";
import { loadPrompt } from "#prompts/load.ts";
import { WEIGHT_TYPES } from "#trainer/gguf/encode.ts";
import { type MergeType, mergeLora } from "#trainer/gguf/merge.ts";
import { exportPeft } from "#trainer/peft/export.ts";
import { importPeft } from "#trainer/peft/import.ts";
import type { CommandResult } from "./adapters.ts";

type Base = {
  readonly path: string;
  readonly sha256: string;
  readonly libraries: NativeLibraries;
};

/** The model that MODEL names, with what reads it. */
async function openBase(config: Config): Promise<Base> {
  const signal = new AbortController().signal;
  const { path } = await locateModel(config.MODEL, config.DATA_DIR, (uri, folder) =>
    downloadModel(uri, { folder, signal, onProgress: () => {} }),
  );
  const build = await chooseBuild(config.GPU);
  return { path, sha256: await hashFile(path), libraries: loadLibraries(build.folder) };
}

function adapterOn(config: Config, name: string, base: Base): Promise<VerifiedAdapter> {
  return openRegistry(config.DATA_DIR).verify(name, base.sha256);
}

/** `adapters export <name> <folder>`: as PEFT loads it. */
export async function exportAdapter(
  config: Config,
  name: string,
  { out, baseModel }: { readonly out: string; readonly baseModel?: string },
): Promise<CommandResult> {
  const base = await openBase(config);
  const { path } = await adapterOn(config, name, base);
  const folder = resolve(out);
  const { modules, rank } = exportPeft({
    libraries: base.libraries,
    adapterPath: path,
    basePath: base.path,
    folder,
    baseModel: baseModel ?? null,
  });
  return {
    result: { name, folder, modules, rank },
    text: `${name} (rank ${rank}, ${modules} modules) is in ${folder}. Load it with PEFT on the Hugging Face weights of the same model:\n  PeftModel.from_pretrained(model, ${JSON.stringify(folder)})`,
  };
}

/** `adapters import <folder> --name <name>`: from PEFT into the registry, not judged and so not serving. */
export async function importAdapter(
  config: Config,
  from: string,
  name: string,
): Promise<CommandResult> {
  const base = await openBase(config);
  const staging = mkdtempSync(join(tmpdir(), "zephyr-import-"));
  try {
    const adapterPath = join(staging, "adapter.gguf");
    const imported = importPeft({
      libraries: base.libraries,
      folder: resolve(from),
      basePath: base.path,
      adapterPath,
    });
    await openRegistry(config.DATA_DIR).publish({
      name,
      adapterPath,
      manifest: {
        baseSha256: base.sha256,
        parent: null,
        data: { pairs: 0, manifestSha256: NO_DATA, fromMs: 0, toMs: 0 },
        hyperparameters: { lora: { rank: imported.rank, alpha: imported.alpha } },
        systemPromptSha256: loadPrompt("system/default").sha256,
        gate: { passed: false, report: IMPORTED_REPORT },
      },
    });
    return {
      result: { name, ...imported },
      text: `${name} (rank ${imported.rank}, ${imported.modules} modules) is in the registry. The gate has not judged it, so it does not serve; npx zephyr adapters judge ${name} lets the gate decide.`,
    };
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** An imported adapter names no data set of ours. */
const NO_DATA = "0".repeat(64);

/** `adapters merge <name> <file>`: base and adapter as one model. */
export async function mergeAdapter(
  config: Config,
  name: string,
  options: { readonly out: string; readonly type: string; readonly ungated?: boolean },
): Promise<CommandResult> {
  const type = mergeType(options.type);
  const base = await openBase(config);
  const { path, manifest } = await adapterOn(config, name, base);
  if (options.ungated !== true) assertGatePassed(manifest);
  const outPath = resolve(options.out);
  if (outPath === resolve(base.path)) {
    throw new CodedError(`${outPath} is the base model itself. Name another file.`, {
      code: "config_invalid",
    });
  }
  const merged = mergeLora({
    libraries: base.libraries,
    basePath: base.path,
    adapterPath: path,
    outPath,
    type,
    threads: config.THREADS ?? availableParallelism(),
  });
  const share = (100 * merged.roundingShare).toFixed(1);
  const warning =
    merged.roundingShare > 0.5
      ? " Much of the adapter drowns in that: choose a finer --type, or serve the adapter beside its base."
      : "";
  return {
    result: { name, file: outPath, type, ...merged },
    text: `${name} and its base are one model in ${outPath} (${(merged.bytes / 2 ** 20).toFixed(1)} MiB, ${type}). Rounding is ${share}% of the adapter's change.${warning}`,
  };
}

function mergeType(given: string): MergeType {
  const types: readonly MergeType[] = ["keep", ...WEIGHT_TYPES];
  const found = types.find((type) => type.toLowerCase() === given.toLowerCase());
  if (found !== undefined) return found;
  throw new CodedError(`--type is one of ${types.join(", ")}; got ${JSON.stringify(given)}.`, {
    code: "config_invalid",
  });
}
