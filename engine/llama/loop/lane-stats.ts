/** Figures of what lanes compute that do not depend on the machine. */

/** What a lane computed since it was opened. */
export type LaneStats = {
  readonly decodes: number;
  readonly tokens: number;
  readonly microBatches: number;
  /** Sum over decodes of the sequences that each computed. */
  readonly sequences: number;
  /** Prompt tokens that were in the KV cache already. */
  readonly reusedTokens: number;
};

/** Before anything was computed. */
export const NO_STATS: LaneStats = {
  decodes: 0,
  tokens: 0,
  microBatches: 0,
  sequences: 0,
  reusedTokens: 0,
};

/** What two lanes computed together. */
export function addStats(a: LaneStats, b: LaneStats): LaneStats {
  return {
    decodes: a.decodes + b.decodes,
    tokens: a.tokens + b.tokens,
    microBatches: a.microBatches + b.microBatches,
    sequences: a.sequences + b.sequences,
    reusedTokens: a.reusedTokens + b.reusedTokens,
  };
}
