/**
 * Decides which sequences' tokens go into the next llama_decode. Pure: it knows counts, not tokens.
 */

/** A sequence that waits for computation. */
export type Demand = {
  readonly sequence: number;
  /** Tokens not computed yet, at least 1; exactly 1 while decoding. */
  readonly tokens: number;
  /** Whether it generates already; otherwise it still computes its prompt. */
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

/** What a plan depends on besides the demands. */
export type PlanShape = {
  /** The context's n_batch; at least the number of sequences. */
  readonly capacity: number;
  /** One pool of cells for all sequences: llama.cpp then never splits a batch of up to n_ubatch tokens. */
  readonly pooled: boolean;
  /** Batches of prompts computed since those who generate last got a token. */
  readonly promptBatches: number;
};

/** So many batches of prompts at most keep those who generate waiting. */
const MAX_PROMPT_BATCHES = 8;

/**
 * The next batch. With a pool of cells everything mixes. With cells of its own for each sequence llama.cpp computes
 * prompts and single tokens in separate micro-batches anyway (llama-batch.cpp, split_equal), so they come as separate
 * batches: each is one micro-batch, and tokens reach their readers without waiting for a prompt in the same batch.
 * @returns shares in ascending sequence id; empty when there is no demand
 */
export function planBatch(demands: readonly Demand[], shape: PlanShape): readonly Share[] {
  const generating = demands.filter((demand) => demand.decoding);
  const prompts = demands
    .filter((demand) => !demand.decoding)
    .toSorted((a, b) => a.order - b.order);
  if (shape.pooled) return mix(generating, prompts, shape.capacity);
  if (prompts.length === 0) return generate(generating, prompts);
  // A full house at once is read before it generates, a latecomer in turns with those who do.
  const inARow = Math.min(MAX_PROMPT_BATCHES, prompts.length);
  if (generating.length === 0 || shape.promptBatches < inARow) {
    return readPrompts(prompts, shape.capacity);
  }
  return generate(generating, prompts);
}

/** A token for every sequence that generates, then prompts in their order until the batch is full. */
function mix(
  generating: readonly Demand[],
  prompts: readonly Demand[],
  capacity: number,
): readonly Share[] {
  const shares: Share[] = [];
  let room = capacity;
  for (const { sequence, tokens } of [...generating, ...prompts]) {
    const taken = Math.min(tokens, room);
    if (taken === 0) break;
    room -= taken;
    shares.push({ sequence, tokens: taken, complete: taken === tokens });
  }
  return inOrder(shares);
}

/**
 * A token for every sequence that generates. Prompts between two of them add a token too: without it the ids would
 * not rise by one there, and the batch would fall into two micro-batches.
 */
function generate(generating: readonly Demand[], prompts: readonly Demand[]): readonly Share[] {
  const ids = new Set(generating.map((demand) => demand.sequence));
  const reading = new Map(prompts.map((demand) => [demand.sequence, demand]));
  const bridges: Demand[] = [];
  for (const id of ids) {
    const gap: Demand[] = [];
    for (let next = id + 1; !ids.has(next); next += 1) {
      const prompt = reading.get(next);
      // No way across: whatever lies in the gap would be a micro-batch of its own.
      if (prompt === undefined) {
        gap.length = 0;
        break;
      }
      gap.push(prompt);
    }
    bridges.push(...gap);
  }
  return inOrder(
    [...generating, ...bridges].map(({ sequence, tokens }) => ({
      sequence,
      tokens: 1,
      complete: tokens === 1,
    })),
  );
}

/** The oldest prompt's next piece, and neighbours by id that can go as far in the same micro-batch. */
function readPrompts(prompts: readonly Demand[], capacity: number): readonly Share[] {
  const [oldest] = prompts;
  if (oldest === undefined) return [];
  const tokens = evenPiece(oldest.tokens, capacity);
  const byId = new Map(prompts.map((demand) => [demand.sequence, demand]));
  const shares: Share[] = [];
  const join = (demand: Demand | undefined): boolean => {
    if (demand === undefined || demand.tokens < tokens) return false;
    if ((shares.length + 1) * tokens > capacity) return false;
    shares.push({ sequence: demand.sequence, tokens, complete: demand.tokens === tokens });
    return true;
  };
  join(oldest);
  for (let id = oldest.sequence + 1; join(byId.get(id)); ) id += 1;
  for (let id = oldest.sequence - 1; join(byId.get(id)); ) id -= 1;
  return inOrder(shares);
}

/** Pieces of equal size: a few tokens left over would cost as much time as many, since all weights are read for them. */
function evenPiece(tokens: number, capacity: number): number {
  return Math.ceil(tokens / Math.ceil(tokens / capacity));
}

function inOrder(shares: readonly Share[]): readonly Share[] {
  return shares.toSorted((a, b) => a.sequence - b.sequence);
}

/**
 * How many micro-batches llama.cpp makes of these shares. With cells of its own for each sequence: rounds of equally
 * many tokens from sequences whose ids rise by one (split_equal with `sequential`); with a pool, plain pieces
 * (split_simple). A figure that does not depend on the machine.
 * @param shares in the batch's order
 * @param microBatchTokens the context's n_ubatch
 */
export function countMicroBatches(
  shares: readonly Share[],
  microBatchTokens: number,
  pooled: boolean,
): number {
  if (pooled) {
    const tokens = shares.reduce((sum, share) => sum + share.tokens, 0);
    return Math.ceil(tokens / microBatchTokens);
  }
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
