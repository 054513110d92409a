/**
 * Downloads `hf:` models by node-llama-cpp, which knows Hugging Face's layout, split files and resuming.
 * It knows nothing of what is done with the file.
 */
import { explainWriteError } from "../base/atomic-file.ts";
import { CodedError } from "../base/errors.ts";

/** How far a download is, in bytes. */
export type DownloadProgress = { readonly downloadedBytes: number; readonly totalBytes: number };

/**
 * Finds a model among those downloaded before, or downloads it.
 * @param uri `hf:<user>/<repo>[:<quantisation or file>]`
 * @param options.folder where models are kept
 * @param options.huggingFaceUrl another server with Hugging Face's interface, such as a mirror
 * @returns the path of the (first) file
 * @throws CodedError `model_missing` when it cannot be had, `disk_full`
 */
export async function downloadModel(
  uri: string,
  options: {
    readonly folder: string;
    readonly onProgress: (progress: DownloadProgress) => void;
    readonly signal?: AbortSignal;
    readonly huggingFaceUrl?: string;
  },
): Promise<string> {
  const { folder, onProgress, signal, huggingFaceUrl } = options;
  // Loaded on demand: most starts need no download, and the package is large.
  const { resolveModelFile } = await import("node-llama-cpp");
  try {
    return await resolveModelFile(uri, {
      directory: folder,
      cli: false,
      onProgress: ({ downloadedSize, totalSize }) =>
        onProgress({ downloadedBytes: downloadedSize, totalBytes: totalSize }),
      ...(signal === undefined ? {} : { signal }),
      ...(huggingFaceUrl === undefined ? {} : { endpoints: { huggingFace: huggingFaceUrl } }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    const explained = explainWriteError(error, folder);
    if (explained instanceof CodedError) throw explained;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CodedError(
      `MODEL: could not get ${uri}: ${reason}. Check the name and the network, or give the path of a GGUF file that is here.`,
      { code: "model_missing", cause: error },
    );
  }
}
