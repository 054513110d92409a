/**
 * `zephyr model get`: downloads Zephyr-7B in the quantisation that suits this machine's memory, or any GGUF
 * by its `hf:` address, with progress, resuming and a check of its hash.
 */
import { totalmem } from "node:os";
import { join } from "node:path";
import type { Config } from "#engine/base/config.ts";
import { CodedError } from "#engine/base/errors.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { downloadFile } from "#engine/llama/model-download.ts";
import { freeGpuBytes } from "#engine/native/device-memory.ts";
import { loadLibraries } from "#engine/native/library.ts";
import type { CommandResult } from "./adapters.ts";
import {
  bestFit,
  neededBytes,
  ZEPHYR_FILES,
  ZEPHYR_REPO,
  type ZephyrFile,
} from "./zephyr-files.ts";

/** What to get, and how. */
export type GetOptions = {
  /** `zephyr`, or `hf:<user>/<repo>/<file>`. */
  readonly model: string;
  /** Of Zephyr; chosen by memory where it is left out. */
  readonly quantisation?: string | undefined;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  readonly signal: AbortSignal;
};

type Wanted = { readonly repo: string; readonly file: string; readonly why: string };
/** Memory to put a model into, and what it is of. */
type Memory = { readonly bytes: number; readonly what: string };

const GIBIBYTE = 1 << 30;

/**
 * Downloads the model into the data folder.
 * @throws CodedError `config_invalid` for a name that is none, `out_of_memory` where nothing fits, and what
 *   the download throws
 */
export async function getModel(config: Config, options: GetOptions): Promise<CommandResult> {
  const wanted = await choose(config, options);
  const path = join(config.DATA_DIR, "models", wanted.file);
  const { repo, file, why } = wanted;
  const { onProgress, signal } = options;
  const endpoint = config.HF_ENDPOINT;
  const got = await downloadFile({ repo, file, endpoint, path, onProgress, signal });
  const lines = [
    `${file} of ${repo}: ${why}`,
    `${(got.bytes / GIBIBYTE).toFixed(2)} GiB at ${got.path}`,
    got.isChecked
      ? `sha256 ${got.sha256}, as announced`
      : `sha256 ${got.sha256}; the server announced none to check it against`,
    `Serve it by MODEL=${got.path}`,
  ];
  return { result: { ...got, repo, file, why }, text: lines.join("\n") };
}

async function choose(config: Config, { model, quantisation }: GetOptions): Promise<Wanted> {
  const address = /^hf:([\w.-]+\/[\w.-]+)\/([\w.-]+\.gguf)$/i.exec(model);
  if (address !== null) {
    const [, repo = "", file = ""] = address;
    return { repo, file, why: "as asked for" };
  }
  if (model !== "zephyr") {
    throw new CodedError(
      `There is no model ${JSON.stringify(model)}. Expected zephyr, or hf:<user>/<repo>/<file>.gguf.`,
      { code: "config_invalid" },
    );
  }
  if (quantisation !== undefined) return named(quantisation);
  return chooseByMemory(await memoryAtHand(config), config.CONTEXT_TOKENS);
}

function named(quantisation: string): Wanted {
  const wanted = ZEPHYR_FILES.find(
    (file) => file.quantisation.toLowerCase() === quantisation.toLowerCase(),
  );
  if (wanted !== undefined) return toWanted(wanted, "as asked for");
  const names = ZEPHYR_FILES.map((file) => file.quantisation).join(", ");
  throw new CodedError(`Zephyr has no quantisation ${quantisation}. There are: ${names}.`, {
    code: "config_invalid",
  });
}

function chooseByMemory({ bytes, what }: Memory, contextTokens: number): Wanted {
  const fit = bestFit(bytes, contextTokens);
  const there = `${(bytes / GIBIBYTE).toFixed(1)} GiB of ${what}`;
  if (fit !== undefined) return toWanted(fit, `${fit.quality}; the best that fits ${there}`);
  const [smallest] = ZEPHYR_FILES.toReversed();
  const least = smallest === undefined ? 0 : neededBytes(smallest, contextTokens);
  throw new CodedError(
    `Zephyr-7B needs at least ${(least / GIBIBYTE).toFixed(1)} GiB, and there are ${there}. Lower CONTEXT_TOKENS, use another machine by BACKEND_URL, or name a quantisation by --quantisation to get it all the same.`,
    { code: "out_of_memory" },
  );
}

function toWanted({ file }: ZephyrFile, why: string): Wanted {
  return { repo: ZEPHYR_REPO, file, why };
}

/** The graphics card's memory where it will compute, else the machine's. */
async function memoryAtHand(config: Config): Promise<Memory> {
  const build = await chooseBuild(config.GPU);
  if (build.kind !== "cpu") {
    const bytes = freeGpuBytes(loadLibraries(build.folder));
    if (bytes > 0) return { bytes, what: `memory of the graphics card (${build.kind})` };
  }
  // What others use now may be free later, and weights are mapped: half of it counts.
  return { bytes: (totalmem() + process.availableMemory()) / 2, what: "memory" };
}
