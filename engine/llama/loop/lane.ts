/**
 * One context with its sequences and the completions that run on them, all under the same adapter (or none).
 * A step is one llama_decode and the sampling after it. KV cells never leave a lane but for its own shelf of the
 * store, so none is ever read under another adapter than the one that it was computed with. Which completion gets a
 * place when is the loop's business.
 */
import { DecodeBatch } from "../../native/decode-batch.ts";
import type { Llama } from "../../native/llama.ts";
import type { LlamaContext } from "../context.ts";
import { countMicroBatches, type Demand, planBatch, type Share } from "./batch-plan.ts";
import type { Shelf } from "./conversation-store.ts";
import { LaneCells } from "./lane-cells.ts";
import type { LaneStats } from "./lane-stats.ts";
import type { Sequence } from "./sequence.ts";
import type { Stream } from "./stream.ts";

/** See the file's head. `step` must not be called again before it returned. */
export class Lane implements AsyncDisposable {
  readonly #llama: Llama;
  readonly #context: LlamaContext;
  readonly #cells: LaneCells;
  readonly #batch: DecodeBatch;
  #promptBatches = 0;
  #stats = { decodes: 0, tokens: 0, microBatches: 0, sequences: 0 };

  /**
   * @param context with one sequence more than there are streams, the spare one
   * @param shelf where conversations go that give way to others; without one they are forgotten
   */
  constructor(llama: Llama, context: LlamaContext, shelf?: Shelf) {
    this.#llama = llama;
    this.#context = context;
    this.#cells = new LaneCells(context, shelf);
    this.#batch = new DecodeBatch(context.shape.batchTokens);
  }

  get streams(): number {
    return this.#cells.sequences.length;
  }

  get busy(): number {
    return this.#cells.sequences.filter((sequence) => sequence.busy).length;
  }

  get stats(): LaneStats {
    return { ...this.#stats, reusedTokens: this.#cells.reusedTokens };
  }

  /** KV cells, and how many of them hold something; in a pool, what several share may count for each. */
  get cells(): { readonly total: number; readonly used: number } {
    return this.#cells.figures;
  }

  /** Gives a completion a sequence and starts it; false when all are busy, or the pool has no cells for it. */
  admit(stream: Stream): boolean {
    if (!this.#cells.place(stream)) return false;
    stream.start(this.#llama);
    return true;
  }

  /**
   * Ends completions that were aborted, brings the cells in line, then computes one batch.
   * @param aside whether other lanes compute meanwhile; until it settles no completion may be admitted
   */
  async step(aside: boolean): Promise<void> {
    this.#releaseAborted();
    await this.#cells.prepare();
    const demands = this.#demands();
    const shares = this.#plan(demands);
    if (shares.length === 0) {
      // Never to be seen; the loop would otherwise spin without ever yielding.
      if (this.busy > 0) throw new Error(`${this.busy} completions run, but none has a next token`);
      return;
    }
    const rows = this.#fill(shares);
    try {
      if (aside) await this.#context.decodeAside(this.#batch);
      else this.#context.decode(this.#batch);
    } catch (error) {
      this.#dropAfterFailure(shares, error);
      return;
    }
    this.#count(shares, demands);
    for (const { sequence, tokens } of shares) this.#cells.at(sequence).advance(tokens);
    this.#cells.serveSpare();
    for (const [sequence, row] of rows) this.#sample(sequence, row);
  }

  /** Ends every running completion with an error. */
  failAll(error: unknown): void {
    for (const sequence of this.#cells.sequences) {
      sequence.stream?.fail(error);
      sequence.release();
    }
  }

  /** Ends every running completion as aborted; only between two steps. */
  abortAll(): void {
    for (const sequence of this.#cells.sequences) {
      sequence.stream?.finish("aborted");
      sequence.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context[Symbol.asyncDispose]();
  }

  #plan(demands: readonly Demand[]): readonly Share[] {
    const { capacity } = this.#batch;
    const { pooled } = this.#context.shape;
    return planBatch(demands, { capacity, pooled, promptBatches: this.#promptBatches });
  }

  #demands(): readonly Demand[] {
    const demands = this.#cells.sequences
      .filter((sequence) => sequence.ready)
      .map((sequence) => ({
        sequence: sequence.id,
        tokens: sequence.pending.length,
        decoding: sequence.tokens.length >= sequence.prompt.length,
        order: sequence.lastUse,
      }));
    const spare = this.#cells.spare.pending.length;
    // Before all prompts: several of them wait for it.
    if (spare > 0) {
      demands.push({ sequence: this.#cells.spare.id, tokens: spare, decoding: false, order: 0 });
    }
    return demands;
  }

  /** Writes the batch; gives back the row to sample from for each sequence that completes its demand. */
  #fill(shares: readonly Share[]): ReadonlyMap<Sequence, number> {
    const rows = new Map<Sequence, number>();
    this.#batch.clear();
    for (const share of shares) {
      const sequence = this.#cells.at(share.sequence);
      const { pending, tokens, id } = sequence;
      const isSampled = share.complete && sequence.busy;
      for (let i = 0; i < share.tokens; i += 1) {
        const wantsLogits = isSampled && i === share.tokens - 1;
        const row = this.#batch.add(pending[i] ?? 0, tokens.length + i, id, wantsLogits);
        if (wantsLogits) rows.set(sequence, row);
      }
    }
    return rows;
  }

  #sample(sequence: Sequence, row: number): void {
    const { stream } = sequence;
    if (stream === undefined) return;
    if (stream.aborted) return;
    const next = stream.sample(this.#context, row);
    if (next === undefined) sequence.release();
    else sequence.pending.push(next);
  }

  #releaseAborted(): void {
    for (const sequence of this.#cells.sequences) {
      if (sequence.stream?.aborted !== true) continue;
      sequence.stream.finish("aborted");
      sequence.release();
    }
    this.#cells.dropUnawaited();
  }

  #dropAfterFailure(shares: readonly Share[], error: unknown): void {
    const failed = new Set(shares.map((share) => this.#cells.at(share.sequence)));
    if (failed.has(this.#cells.spare)) {
      for (const sequence of this.#cells.sequences) if (sequence.awaitsSpare) failed.add(sequence);
    }
    for (const sequence of failed) {
      sequence.stream?.fail(error);
      sequence.release();
      this.#cells.clear(sequence);
    }
  }

  #count(shares: readonly Share[], demands: readonly Demand[]): void {
    const { batchTokens, pooled } = this.#context.shape;
    const served = new Set(shares.map(({ sequence }) => sequence));
    const isGenerating = demands.some(({ sequence, decoding }) => decoding && served.has(sequence));
    this.#promptBatches = isGenerating ? 0 : this.#promptBatches + 1;
    this.#stats.decodes += 1;
    this.#stats.tokens += shares.reduce((sum, share) => sum + share.tokens, 0);
    this.#stats.microBatches += countMicroBatches(shares, batchTokens, pooled);
    this.#stats.sequences += shares.length;
  }
}
