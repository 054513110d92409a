/**
 * Where the model that MODEL or GUARD_MODEL names lies: one that ships with the project, a file, or a download.
 * It reads nothing of the file.
 */
import { statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CodedError } from "../base/errors.ts";

/** A model's file and the short name that it is served under. */
export type ModelLocation = { readonly id: string; readonly path: string };

/** Fetches a remote model into `folder` and gives its path. */
export type FetchModel = (uri: string, folder: string) => Promise<string>;

const MODELS = fileURLToPath(new URL("../../deploy/models", import.meta.url));
/** What `nano` is in each setting: the chat model, and the guard made of it. */
const SHIPPED = { MODEL: "nano", GUARD_MODEL: "nano-guard" } as const;

/** The settings that name a model. */
export type ModelSetting = keyof typeof SHIPPED;

/**
 * Resolves MODEL.
 * @param model `nano`, a path, or `hf:<user>/<repo>[:<quantisation>]`
 * @param fetchModel asked only for `hf:`; the file goes to `<dataDir>/models`
 * @param setting which setting names it
 * @throws CodedError `model_missing`
 */
export async function locateModel(
  model: string,
  dataDir: string,
  fetchModel: FetchModel,
  setting: ModelSetting = "MODEL",
): Promise<ModelLocation> {
  if (model.startsWith("hf:")) {
    const path = await fetchModel(model, join(dataDir, "models"));
    return { id: stem(path), path };
  }
  const shipped = model === "nano" ? SHIPPED[setting] : undefined;
  const path = shipped === undefined ? resolve(model) : join(MODELS, shipped, `${shipped}.gguf`);
  if (!isFile(path)) {
    throw new CodedError(
      `${setting}: no model file at ${path}. Give the path of a GGUF file, "nano" for the one that ships with the project, or hf:<user>/<repo>:<quantisation> to download one.`,
      { code: "model_missing" },
    );
  }
  return { id: shipped ?? stem(path), path };
}

/** The file's name without its ending; a colon would read as an adapter's in a request. */
function stem(path: string): string {
  return basename(path)
    .replace(/\.gguf$/i, "")
    .replaceAll(":", "-");
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
