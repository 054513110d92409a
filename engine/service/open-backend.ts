/** Opens what computes the tokens, as the settings say: a model in this process, or another server's. */
import { join } from "node:path";
import type { Backend } from "../backends/backend.ts";
import { type LocalBackend, openLocalBackend } from "../backends/local.ts";
import { openRemoteBackend } from "../backends/remote/remote.ts";
import { systemClock } from "../base/clock.ts";
import type { Config } from "../base/config.ts";
import { returnFreedBlocks } from "../native/allocator.ts";
import { imagesRefusal } from "./image-check.ts";
import type { ModelLocation } from "./model-path.ts";

/** The backend, once more by its own type where it is local. */
type OpenBackend = { readonly backend: Backend; readonly local: LocalBackend | undefined };

/**
 * Opens the backend.
 * @param locate finds, or fetches, the model that MODEL names
 * @throws CodedError `model_missing`, `model_invalid`, `library_missing`, `backend_unreachable` …
 */
export async function openBackend(
  config: Config,
  locate: (model: string) => Promise<ModelLocation>,
): Promise<OpenBackend> {
  if (config.BACKEND_URL !== undefined) {
    const backend = await openRemoteBackend({
      url: config.BACKEND_URL,
      kind: config.BACKEND_KIND,
      model: config.BACKEND_MODEL,
      apiKey: config.BACKEND_API_KEY,
      baseSha256: config.BACKEND_BASE_HASH,
      contextTokens: config.CONTEXT_TOKENS,
      streams: config.STREAMS,
      images: config.BACKEND_IMAGES,
      imagesRefusal: imagesRefusal(config),
      clock: systemClock,
    });
    return { backend, local: undefined };
  }
  const model = await locate(config.MODEL);
  // Adapters come and go for weeks, each with a context of its own.
  returnFreedBlocks();
  const local = await openLocalBackend({
    modelPath: model.path,
    modelId: model.id,
    gpu: config.GPU,
    gpuLayers: config.GPU_LAYERS,
    contextTokens: config.CONTEXT_TOKENS,
    streams: config.STREAMS,
    cacheType: config.KV_TYPE,
    cacheSetting: config.KV_CELLS,
    parking: {
      folder: join(config.DATA_DIR, "cache", "kv"),
      limitBytes: config.KV_DISK_MB * 2 ** 20,
    },
    ...(config.THREADS === undefined ? {} : { threads: config.THREADS }),
  });
  return { backend: local, local };
}
