/**
 * Decides which sequences' tokens go into the next llama_decode. Pure: it knows counts, not tokens.
 */

/** A sequence that waits for computation. */
export type Demand = {
  readonly sequence: number;
  /** Tokens not computed yet, at least 1; exactly 1 while decoding. */
  readonly tokens: number;
  /** Whether it generates already; such sequences never wait for prompts. */
  readonly decoding: boolean;
  /** Prompts are served in this order, lowest first. */
  readonly order: number;
};

/** A sequence's part of the batch: its next `tokens` tokens. */
export type Share = {
  readonly sequence: number;
  readonly tokens: number;
  /** Nothing of the demand is left after this share, so its last token's logits are wanted. */
  readonly complete: boolean;
};

/**
 * Fills a batch: a token for every sequence that generates, then prompts in their order until it is full, so
 * that a long prompt stalls nobody for longer than one batch.
 *
 * The shares come in ascending sequence id, prompts among the rest: with cells of its own for each sequence,
 * llama.cpp joins into one micro-batch only ids that rise by one (llama-batch.cpp, split_equal).
 * @param capacity the context's n_batch; at least the number of sequences
 */
export function planBatch(demands: readonly Demand[], capacity: number): readonly Share[] {
  const shares: Share[] = [];
  let room = capacity;
  const take = ({ sequence, tokens }: Demand): void => {
    const taken = Math.min(tokens, room);
    if (taken === 0) return;
    room -= taken;
    shares.push({ sequence, tokens: taken, complete: taken === tokens });
  };
  for (const demand of demands) if (demand.decoding) take(demand);
  const prompts = demands.filter((demand) => !demand.decoding);
  for (const demand of prompts.sort((a, b) => a.order - b.order)) take(demand);
  return shares.sort((a, b) => a.sequence - b.sequence);
}

/**
 * How many micro-batches llama.cpp makes of these shares when each sequence has its own cells: rounds of equally
 * many tokens from sequences whose ids rise by one (split_equal with `sequential`). A figure that does not
 * depend on the machine.
 * @param shares in the batch's order
 * @param microBatchTokens the context's n_ubatch
 */
export function countMicroBatches(shares: readonly Share[], microBatchTokens: number): number {
  let left = shares.map(({ sequence, tokens }) => ({ sequence, tokens }));
  let rounds = 0;
  while (left.length > 0) {
    const group = risingGroup(left, microBatchTokens);
    const shortest = Math.min(...group.map((share) => share.tokens));
    const fits = Math.max(1, Math.floor(microBatchTokens / group.length));
    const taken = Math.min(shortest, fits);
    for (const share of group) share.tokens -= taken;
    left = left.filter((share) => share.tokens > 0);
    rounds += 1;
  }
  return rounds;
}

type Remaining = { readonly sequence: number; tokens: number };

function risingGroup(left: readonly Remaining[], limit: number): readonly Remaining[] {
  const group: Remaining[] = [];
  for (const share of left) {
    const last = group.at(-1);
    if (last !== undefined && share.sequence !== last.sequence + 1) continue;
    group.push(share);
    if (group.length > limit) break;
  }
  return group;
}
