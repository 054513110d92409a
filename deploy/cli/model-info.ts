/** `zephyr model info`: what MODEL names, read from the file's own metadata. It loads no weights. */
import { statSync } from "node:fs";
import type { Config } from "#engine/base/config.ts";
import { CodedError } from "#engine/base/errors.ts";
import { hashFile } from "#engine/base/file-hash.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { checkModelFile } from "#engine/llama/model-file.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { locateModel } from "#engine/service/model-path.ts";
import type { CommandResult } from "./adapters.ts";

const MEBIBYTE = 1 << 20;

/**
 * Describes the model.
 * @throws CodedError `model_missing`, `model_invalid`, `library_missing`
 */
export async function modelInfo(config: Config): Promise<CommandResult> {
  const { id, path } = await locateModel(config.MODEL, config.DATA_DIR, refuseDownload);
  const build = await chooseBuild(config.GPU);
  const libraries = loadLibraries(build.folder);
  using file = GgufFile.open(path, libraries);
  checkModelFile(file);
  const architecture = file.string("general.architecture");
  const sizes = file.tensors.map(({ ne }) => ne.reduce((product, count) => product * count, 1));
  const result = {
    id,
    path,
    sha256: await hashFile(path),
    bytes: statSync(path).size,
    architecture,
    name: file.value("general.name") ?? null,
    parameters: sizes.reduce((sum, size) => sum + size, 0),
    layers: file.number(`${architecture}.block_count`),
    width: file.number(`${architecture}.embedding_length`),
    trainedContextTokens: file.number(`${architecture}.context_length`),
    hasChatTemplate: file.value("tokenizer.chat_template") !== undefined,
    device: build.reason,
  };
  return { result, text: forPeople(result) };
}

function forPeople(info: {
  readonly id: string;
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly architecture: string;
  readonly parameters: number;
  readonly layers: number;
  readonly width: number;
  readonly trainedContextTokens: number;
  readonly device: string;
}): string {
  return [
    `Model       ${info.id}: ${info.architecture}, ${formatCount(info.parameters)} parameters, ${info.layers} layers of ${info.width}`,
    `Context     ${info.trainedContextTokens} tokens`,
    `File        ${info.path} (${(info.bytes / MEBIBYTE).toFixed(1)} MiB)`,
    `sha256      ${info.sha256}`,
    `Device      ${info.device}`,
  ].join("\n");
}

function formatCount(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(2)} G` : `${(count / 1e6).toFixed(2)} M`;
}

function refuseDownload(uri: string): Promise<string> {
  return Promise.reject(
    new CodedError(
      `MODEL: ${uri} is downloaded by "npm start" when it first serves it. For its metadata, set MODEL to the downloaded file.`,
      { code: "model_missing" },
    ),
  );
}
