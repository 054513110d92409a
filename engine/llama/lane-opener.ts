/** Opens lanes with as many streams as memory holds. It decides nothing about who uses them. */
import { isCoded } from "../base/errors.ts";
import type { LlamaAdapterPointer } from "../native/llama-struct.ts";
import { LlamaContext } from "./context.ts";
import { Lane } from "./lane.ts";
import type { LoadedModel } from "./model.ts";

/** What a lane should be able to do. */
export type LaneShape = {
  readonly streams: number;
  /** Context of each conversation, tokens. */
  readonly contextTokens: number;
  /** Most tokens of one decode. */
  readonly batchTokens: number;
  readonly threads: number;
  readonly batchThreads: number;
  /** Whether the build computes on a GPU. */
  readonly gpu: boolean;
};

/** The rest is for compute buffers and everyone else on the machine. */
const CACHE_SHARE = 0.7;

/**
 * How many streams' KV caches fit in the memory at hand, at least 1 and at most `wanted`.
 * @param availableBytes memory that the process may still take
 * @param streamBytes memory of one conversation's cache
 */
export function streamsThatFit(
  wanted: number,
  availableBytes: number,
  streamBytes: number,
): number {
  // One more cache than streams: the shared system prompt has one of its own.
  const fit = Math.floor((availableBytes * CACHE_SHARE) / streamBytes) - 1;
  return Math.max(1, Math.min(wanted, fit));
}

/**
 * Opens a lane; when memory is short, with half the streams, and half again.
 * @param makeRoom frees what it can; asked once, before streams are given up
 * @throws CodedError `out_of_memory` when not even one stream fits
 */
export async function openLane(
  model: LoadedModel,
  adapter: LlamaAdapterPointer | null,
  shape: LaneShape,
  makeRoom: () => Promise<void>,
): Promise<Lane> {
  let streams = shape.streams;
  if (!shape.gpu) {
    const streamBytes = model.cacheBytesPerToken * shape.contextTokens;
    const fits = () => streamsThatFit(shape.streams, process.availableMemory(), streamBytes);
    if (fits() < streams) await makeRoom();
    streams = fits();
  }
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await openWith(model, adapter, { ...shape, streams });
    } catch (error) {
      if (!isCoded(error, "out_of_memory") || streams === 1) throw error;
      if (attempt === 0) await makeRoom();
      else streams = Math.ceil(streams / 2);
    }
  }
}

async function openWith(
  model: LoadedModel,
  adapter: LlamaAdapterPointer | null,
  shape: LaneShape,
): Promise<Lane> {
  const context = await LlamaContext.open(model.llama, model.pointer, {
    sequenceTokens: shape.contextTokens,
    sequences: shape.streams + 1,
    batchTokens: Math.max(shape.batchTokens, shape.streams + 1),
    threads: shape.threads,
    batchThreads: shape.batchThreads,
    asynchronous: shape.gpu,
    vocabularySize: model.vocabulary.size,
  });
  try {
    if (adapter !== null) context.attach(adapter);
    return new Lane(model.llama, context);
  } catch (error) {
    await context[Symbol.asyncDispose]();
    throw error;
  }
}
