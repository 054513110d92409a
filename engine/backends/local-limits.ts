/** How much of the machine a local model gets: streams, tokens a decode, threads, room to park. */
import { availableParallelism } from "node:os";
import type { CacheType } from "../llama/context.ts";
import type { BuildChoice, GpuSetting } from "../llama/gpu-build.ts";
import { emptyFolder } from "../llama/loop/conversation-store.ts";
import type { LoopLimits } from "../llama/loop/loop-thread.ts";
import type { Parking } from "../llama/loop/loop-wire.ts";
import type { CacheSetting } from "../llama/memory-plan.ts";
import type { LoadedModel } from "../llama/model.ts";
import type { TurnMarkers } from "./prompt.ts";

/** What to serve and with how much. */
export type LocalBackendOptions = {
  readonly modelPath: string;
  readonly modelId: string;
  readonly gpu: GpuSetting;
  /** Layers on the GPU; ignored by the CPU build. */
  readonly gpuLayers: number;
  /** CPU threads; by default half of the logical processors, one at least. */
  readonly threads?: number;
  /** Context of each conversation, tokens; clamped to what the model was trained for. */
  readonly contextTokens: number;
  readonly streams: number;
  /** Completions that may wait for a stream before `queue_full`; 256 by default. */
  readonly waiting?: number;
  /** Most tokens of one decode: how long others may stall for a prompt. By default fitted to the model's size. */
  readonly batchTokens?: number;
  /** F16 unless told otherwise. */
  readonly cacheType?: CacheType;
  /** `auto` unless told otherwise. */
  readonly cacheSetting?: CacheSetting;
  /** Most cells of a pool; what memory holds unless told otherwise. */
  readonly cells?: number;
  /** Counts so many bytes as free beside the weights; what the system says unless told otherwise. */
  readonly freeBytes?: number;
  /** Where idle conversations' KV goes, and how many bytes of it; nowhere unless told. */
  readonly parking?: Parking;
  /** A guard model's own markers around the one turn that it is asked; other models get Zephyr's template. */
  readonly turn?: TurnMarkers;
};

const DEFAULT_WAITING = 256;
const SMALL_MODEL_PARAMETERS = 1e9;
/**
 * Measured with 58 M parameters on one CPU thread and eight people: batches of 128 give as many tokens a second as
 * 512, but halve the time to first token; at 32, 192 gave 4% less. A large model computes only ten to a hundred prompt
 * tokens a second.
 */
const BATCH_TOKENS = { gpu: 512, smallModelOnCpu: 128, largeModelOnCpu: 64 } as const;

/** Fits what was asked for to the model and the build. */
export function toLimits(
  model: LoadedModel,
  build: BuildChoice,
  options: LocalBackendOptions,
): LoopLimits {
  const gpu = build.kind !== "cpu";
  const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / 2));
  const { trainedTokens, parameters } = model.weights;
  const shape = {
    streams: options.streams,
    contextTokens: Math.min(options.contextTokens, trainedTokens),
    batchTokens: options.batchTokens ?? defaultBatchTokens(gpu, parameters),
    threads,
    batchThreads: threads,
    // A card is one: two contexts at once would only share it.
    lanesAtOnce: gpu ? 1 : Math.max(1, Math.floor(availableParallelism() / threads)),
    cacheType: options.cacheType ?? "f16",
    cacheSetting: options.cacheSetting ?? "auto",
    ...(options.cells === undefined ? {} : { cells: options.cells }),
    ...(options.freeBytes === undefined ? {} : { freeBytes: options.freeBytes }),
  };
  return { shape, waiting: options.waiting ?? DEFAULT_WAITING };
}

function defaultBatchTokens(gpu: boolean, parameters: number): number {
  if (gpu) return BATCH_TOKENS.gpu;
  const small = parameters < SMALL_MODEL_PARAMETERS;
  return small ? BATCH_TOKENS.smallModelOnCpu : BATCH_TOKENS.largeModelOnCpu;
}

/** Whether there is a place to park, and that in a sentence: a full disk must not keep anyone from chatting. */
export function checkParking(parking: Parking | undefined): {
  readonly parking: Parking | undefined;
  readonly text: string;
} {
  if (parking === undefined || parking.limitBytes === 0) {
    return { parking: undefined, text: "Idle conversations are not kept on disk." };
  }
  try {
    emptyFolder(parking.folder);
    const most = `${Math.ceil(parking.limitBytes / 2 ** 20).toLocaleString("en")} MiB`;
    return {
      parking,
      text: `Idle conversations that give way go to disk, encrypted, up to ${most}.`,
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { parking: undefined, text: `Idle conversations are not kept on disk: ${why}` };
  }
}
