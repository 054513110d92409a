/**
 * What `zephyr doctor` says of the guard: which checks run, and whether the guard's file is there and whole.
 * It asks no guard anything.
 */
import { statSync } from "node:fs";
import type { Config } from "#engine/base/config.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { checkModelFile, GUARD_ARCHITECTURES } from "#engine/llama/model-file.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { checkShippedGuard, formatOfGuard, isShippedGuard } from "#engine/service/guard-file.ts";
import { locateModel, type ModelLocation } from "#engine/service/model-path.ts";
import { lookAtRemoteGuard } from "./server-checks.ts";

const MEBIBYTE = 1 << 20;

/** The guard's file, where the settings name one and it is on this machine already. @throws CodedError `model_missing` */
export async function guardFile(config: Config): Promise<ModelLocation | undefined> {
  const { GUARD_MODEL: name, GUARD_URL: url, DATA_DIR } = config;
  if (name === "off" || name === "judge" || url !== undefined) return undefined;
  const found = await locateModel(name, DATA_DIR, () => Promise.resolve(""), "GUARD_MODEL");
  return found.path === "" ? undefined : found;
}

/** In a sentence. @throws CodedError `model_missing`, `model_invalid` where the guard could not run */
export async function lookAtGuard(config: Config): Promise<string> {
  const { GUARD_MODEL: name, GUARD_URL: url } = config;
  if (name === "off") return "none: the lexical layer checks alone; GUARD_MODEL names one";
  if (url !== undefined) return lookAtRemoteGuard(name, url);
  if (name === "judge") return "the chat model itself, on its bare weights";
  const found = await guardFile(config);
  if (found === undefined) return `${name}, fetched when the engine starts`;
  if (isShippedGuard(config)) checkShippedGuard(found.path);
  const build = await chooseBuild(config.GPU);
  using file = GgufFile.open(found.path, loadLibraries(build.folder));
  checkModelFile(file, GUARD_ARCHITECTURES);
  const size = `${(statSync(found.path).size / MEBIBYTE).toFixed(0)} MiB`;
  return `${found.id} at ${found.path} (${size}), asked as ${formatOfGuard(config).name}`;
}
