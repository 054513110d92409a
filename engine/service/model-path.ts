/**
 * Where the model that MODEL names lies: the one that ships with the project, a file, or a download.
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

const NANO = fileURLToPath(new URL("../../deploy/models/nano/nano.gguf", import.meta.url));

/**
 * Resolves MODEL.
 * @param model `nano`, a path, or `hf:<user>/<repo>[:<quantisation>]`
 * @param fetchModel asked only for `hf:`; the file goes to `<dataDir>/models`
 * @throws CodedError `model_missing`
 */
export async function locateModel(
  model: string,
  dataDir: string,
  fetchModel: FetchModel,
): Promise<ModelLocation> {
  if (model.startsWith("hf:")) {
    const path = await fetchModel(model, join(dataDir, "models"));
    return { id: stem(path), path };
  }
  const path = model === "nano" ? NANO : resolve(model);
  if (!isFile(path)) {
    throw new CodedError(
      `MODEL: no model file at ${path}. Give the path of a GGUF file, "nano" for the one that ships with the project, or hf:<user>/<repo>:<quantisation> to download one.`,
      { code: "model_missing" },
    );
  }
  return { id: model === "nano" ? "nano" : stem(path), path };
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
