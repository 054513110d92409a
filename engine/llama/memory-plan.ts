/**
 * How the memory of a card (or of the machine) is divided: weights, KV cells, adapters, scratch. Pure: it is told what
 * is there and what each part takes, and decides how many KV cells there are and who may use them.
 */
import type { CacheType } from "./context.ts";

/** `sequences`: each conversation has cells of its own. `pool`: all share them. `auto`: what fits decides. */
export type CacheSetting = "auto" | "sequences" | "pool";

/** What a lane's KV cache is to be. */
export type CacheLayout = {
  readonly pooled: boolean;
  /** Conversations at once. */
  readonly streams: number;
  /** KV cells of all of them and of the shared system prompt. */
  readonly cells: number;
};

/** What the plan depends on. Sizes in bytes. */
export type MemoryNeeds = {
  readonly streams: number;
  /** Context of one conversation, tokens. */
  readonly contextTokens: number;
  readonly cacheBytesPerToken: number;
  readonly weightsBytes: number;
  /** Buffers of one computation. */
  readonly scratchBytes: number;
  /** Free beside the weights, before any cache. */
  readonly availableBytes: number;
  /** Whether a GPU holds the cache. */
  readonly onGpu: boolean;
  readonly setting: CacheSetting;
  /** Most cells of a pool, where someone set them. */
  readonly cells?: number;
};

/** llama.cpp rounds a sequence's cells up to this. */
const CELL_STEP = 256;
/** The rest is for adapters and for everyone else on the machine. */
const CACHE_SHARE = 0.7;

/**
 * So many conversations at once with cells of their own, and at least this share of those asked for, are better on a
 * CPU than all of them in a pool. Measured with 58 M parameters and 32 people: where memory holds 8, 348 tokens a
 * second against the pool's 249, where it holds 16, 437 against 287; first token p95 7.1 against 9.3 s, 4.5 against
 * 5.2. Up to eight people a pool costs a tenth at most.
 */
const FEW_STREAMS = 8;
const FEW_SHARE = 1 / 4;

/**
 * Cells of their own for each conversation where memory holds them: on a CPU at 32 unrelated conversations that gave
 * twice a pool's tokens a second, as every token attends over all of a pool's cells (docs/experiments.md). Where it
 * does not, fewer conversations with cells of their own as long as that is better; else a pool, in which a completion
 * starts only when its cells are sure. Either way others wait instead of running out of memory.
 */
export function planCache(needs: MemoryNeeds): CacheLayout {
  const { streams, setting } = needs;
  const own = roundUp(needs.contextTokens);
  const fitting = cellsThatFit(needs);
  // One more than streams: the shared system prompt has cells of its own.
  const wanted = (streams + 1) * own;
  const fit = Math.max(1, Math.min(streams, Math.floor(fitting / own) - 1));
  const isEnough = fit === streams && wanted <= fitting;
  const isBetter = !needs.onGpu && fit >= FEW_STREAMS && fit >= FEW_SHARE * streams;
  if (setting === "sequences" || (setting === "auto" && (isEnough || isBetter))) {
    return { pooled: false, streams: fit, cells: (fit + 1) * own };
  }
  const most = Math.min(fitting, needs.cells ?? fitting);
  const cells = Math.min(wanted, Math.floor(most / CELL_STEP) * CELL_STEP);
  // A conversation of full length must fit, or it would wait for ever; whether it does, the allocation shows.
  return { pooled: true, streams, cells: Math.max(own, cells) };
}

/** The next smaller layout, for when the allocation failed all the same; undefined when there is none. */
export function shrinkCache(layout: CacheLayout, contextTokens: number): CacheLayout | undefined {
  const own = roundUp(contextTokens);
  if (layout.pooled) {
    const cells = Math.floor(layout.cells / 2 / CELL_STEP) * CELL_STEP;
    return cells < own ? undefined : { ...layout, cells };
  }
  if (layout.streams === 1) return undefined;
  const streams = Math.ceil(layout.streams / 2);
  return { ...layout, streams, cells: (streams + 1) * own };
}

/** The plan in sentences for people. */
export function describePlan(
  needs: MemoryNeeds,
  layout: CacheLayout,
  cacheType: CacheType,
): string {
  const own = roundUp(needs.contextTokens);
  const cache = needs.cacheBytesPerToken * layout.cells;
  const wanted = needs.cacheBytesPerToken * (needs.streams + 1) * own;
  const parts = [
    `weights ${mebibytes(needs.weightsBytes)}`,
    `KV ${mebibytes(cache)} (${cacheType})`,
    `scratch about ${mebibytes(needs.scratchBytes)}`,
  ];
  const room = `${parts.join(" + ")}; ${mebibytes(needs.availableBytes)} are free beside the weights, of which a second adapter in use takes its own KV.`;
  if (!layout.pooled) {
    const few = layout.streams < needs.streams ? ` (${needs.streams} do not fit)` : "";
    const wait = few === "" ? "" : " More of them wait for one to end.";
    return `${room} Each of ${layout.streams} conversations${few} has ${own} cells of its own, as a pool would be slower.${wait}`;
  }
  const why =
    needs.setting === "pool"
      ? "as KV_CELLS=pool asks"
      : `as cells of their own would take ${mebibytes(wanted)}`;
  return `${room} ${layout.streams} conversations share a pool of ${layout.cells} cells, ${why}; a request waits until the pool has room for it.`;
}

function cellsThatFit({ availableBytes, scratchBytes, cacheBytesPerToken }: MemoryNeeds): number {
  return Math.max(0, (availableBytes * CACHE_SHARE - scratchBytes) / cacheBytesPerToken);
}

function roundUp(tokens: number): number {
  return Math.ceil(tokens / CELL_STEP) * CELL_STEP;
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20).toLocaleString("en")} MiB`;
}
