/** Opens lanes with the KV cache that the memory plan allows. It decides nothing about who uses them. */
import { isCoded } from "../../base/errors.ts";
import type { LlamaAdapterPointer } from "../../native/llama-struct.ts";
import { type CacheType, LlamaContext } from "../context.ts";
import {
  type CacheLayout,
  type CacheSetting,
  type MemoryNeeds,
  planCache,
  shrinkCache,
} from "../memory-plan.ts";
import type { Weights } from "../weights.ts";
import type { Shelf } from "./conversation-store.ts";
import { Lane } from "./lane.ts";

/** What a lane should be able to do. */
export type LaneShape = {
  readonly streams: number;
  /** Context of each conversation, tokens. */
  readonly contextTokens: number;
  /** Most tokens of one decode. */
  readonly batchTokens: number;
  readonly threads: number;
  readonly batchThreads: number;
  /** Lanes that may compute side by side: as many as there are cores for. */
  readonly lanesAtOnce: number;
  readonly cacheType: CacheType;
  readonly cacheSetting: CacheSetting;
  /** Most cells of a pool; what memory holds unless told otherwise. */
  readonly cells?: number;
  /** Counts so many bytes as free beside the weights; what the system says unless told otherwise. */
  readonly freeBytes?: number;
};

/** Whose lane it is. */
export type LaneOwner = {
  readonly adapter: LlamaAdapterPointer | null;
  readonly shelf: Shelf | undefined;
};

/** What the plan for a lane depends on, with the memory that is free now. */
export function laneNeeds(weights: Weights, shape: LaneShape): MemoryNeeds {
  return {
    streams: shape.streams,
    contextTokens: shape.contextTokens,
    cacheBytesPerToken: weights.cacheBytesPerToken(shape.cacheType),
    weightsBytes: weights.bytes,
    scratchBytes: weights.scratchBytes(batchTokensOf(shape, shape.streams), shape.streams + 1),
    availableBytes: shape.freeBytes ?? weights.availableBytes(),
    onGpu: weights.onGpu,
    setting: shape.cacheSetting,
    ...(shape.cells === undefined ? {} : { cells: shape.cells }),
  };
}

/**
 * Opens a lane; when memory is short, with a smaller cache than asked for.
 * @param makeRoom frees what it can; asked once, before anything is given up
 * @throws CodedError `out_of_memory` when not even one conversation fits
 */
export async function openLane(
  weights: Weights,
  owner: LaneOwner,
  shape: LaneShape,
  makeRoom: () => Promise<void>,
): Promise<Lane> {
  const plan = () => planCache(laneNeeds(weights, shape));
  let layout = plan();
  if (isShort(layout, shape)) {
    await makeRoom();
    layout = plan();
  }
  try {
    return await openWith(weights, owner, shape, layout);
  } catch (error) {
    if (!isCoded(error, "out_of_memory")) throw error;
    await makeRoom();
    return await openShrinking(weights, owner, shape, layout);
  }
}

/** The system counted on more memory than it gives: takes what can be had. */
async function openShrinking(
  weights: Weights,
  owner: LaneOwner,
  shape: LaneShape,
  layout: CacheLayout,
): Promise<Lane> {
  try {
    return await openWith(weights, owner, shape, layout);
  } catch (error) {
    const smaller = shrinkCache(layout, shape.contextTokens);
    if (!isCoded(error, "out_of_memory") || smaller === undefined) throw error;
    return await openShrinking(weights, owner, shape, smaller);
  }
}

function isShort(layout: CacheLayout, shape: LaneShape): boolean {
  if (layout.streams < shape.streams) return true;
  return layout.pooled && shape.cacheSetting !== "pool";
}

async function openWith(
  weights: Weights,
  { adapter, shelf }: LaneOwner,
  shape: LaneShape,
  layout: CacheLayout,
): Promise<Lane> {
  const context = await LlamaContext.open(weights.llama, weights.pointer, {
    cells: layout.cells,
    sequences: layout.streams + 1,
    pooled: layout.pooled,
    cacheType: shape.cacheType,
    batchTokens: batchTokensOf(shape, layout.streams),
    threads: shape.threads,
    batchThreads: shape.batchThreads,
    vocabularySize: weights.vocabulary.size,
  });
  try {
    if (adapter !== null) context.attach(adapter);
    return new Lane(weights.llama, context, shelf);
  } catch (error) {
    await context[Symbol.asyncDispose]();
    throw error;
  }
}

/** Every conversation must find room for its next token. */
function batchTokensOf({ batchTokens }: LaneShape, streams: number): number {
  return Math.max(batchTokens, streams + 1);
}
