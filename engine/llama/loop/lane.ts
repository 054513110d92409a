/**
 * One context with its sequences and the completions that run on them, all under the same adapter (or none).
 * A step is one llama_decode and the sampling after it. KV cells never leave a lane but for its own shelf of the
 * store, so none is ever read under another adapter than the one that it was computed with. Which completion gets a
 * place when is the loop's business.
 */
import { DecodeBatch } from "../../native/decode-batch.ts";
import type { Llama } from "../../native/llama.ts";
import type { LlamaContext } from "../context.ts";
import { type Demand, planRound, type Round, type Share } from "./batch-plan.ts";
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
  /** The last round, as long as the next one is the same: planning it anew costs as much as sampling a token. */
  #round: Round | undefined;
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
    let busy = 0;
    for (const sequence of this.#cells.sequences) if (sequence.busy) busy += 1;
    return busy;
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
    this.#round = undefined;
    stream.start(this.#llama);
    return true;
  }

  /**
   * Ends completions that were aborted, brings the cells in line, then computes one batch.
   * @param aside whether other lanes compute meanwhile; until it settles no completion may be admitted
   */
  async step(aside: boolean): Promise<void> {
    if (this.#round === undefined || this.#someAborted()) {
      this.#releaseAborted();
      await this.#cells.prepare();
      this.#round = this.#plan();
    }
    const round = this.#round;
    if (round.shares.length === 0) {
      this.#round = undefined;
      // Never to be seen; the loop would otherwise spin without ever yielding.
      if (this.busy > 0) throw new Error(`${this.busy} completions run, but none has a next token`);
      return;
    }
    if (!round.repeats) this.#round = undefined;
    const rows = this.#fill(round.shares);
    try {
      if (aside) await this.#context.decodeAside(this.#batch);
      else this.#context.decode(this.#batch);
    } catch (error) {
      this.#dropAfterFailure(round.shares, error);
      return;
    }
    this.#count(round);
    for (const { sequence, tokens } of round.shares) this.#cells.at(sequence).advance(tokens);
    if (!round.repeats) this.#cells.serveSpare();
    round.shares.forEach(({ sequence }, i) => {
      const row = rows[i];
      if (row !== undefined) this.#sample(this.#cells.at(sequence), row);
    });
  }

  /** Ends every running completion with an error. */
  failAll(error: unknown): void {
    for (const sequence of this.#cells.sequences) {
      sequence.stream?.fail(error);
      this.#release(sequence);
    }
  }

  /** Ends every running completion as aborted; only between two steps. */
  abortAll(): void {
    for (const sequence of this.#cells.sequences) {
      sequence.stream?.finish("aborted");
      this.#release(sequence);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context[Symbol.asyncDispose]();
  }

  #plan(): Round {
    const { batchTokens, pooled } = this.#context.shape;
    return planRound(this.#demands(), {
      ...{ capacity: this.#batch.capacity, pooled, promptBatches: this.#promptBatches },
      ...{ microBatchTokens: batchTokens, running: this.busy },
    });
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

  /** Writes the batch; gives back, share by share, the row to sample from where it completes a demand. */
  #fill(shares: readonly Share[]): readonly (number | undefined)[] {
    this.#batch.clear();
    return shares.map((share) => {
      const sequence = this.#cells.at(share.sequence);
      const { pending, tokens, id } = sequence;
      for (let i = 0; i < share.tokens; i += 1) {
        const wantsLogits = share.complete && sequence.busy && i === share.tokens - 1;
        this.#batch.add(pending[i] ?? 0, tokens.length + i, id, wantsLogits);
      }
      return share.complete && sequence.busy ? this.#batch.length - 1 : undefined;
    });
  }

  #sample(sequence: Sequence, row: number): void {
    const { stream } = sequence;
    if (stream === undefined) return;
    if (stream.aborted) return;
    const next = stream.sample(this.#context, row);
    if (next === undefined) this.#release(sequence);
    else sequence.pending.push(next);
  }

  #release(sequence: Sequence): void {
    sequence.release();
    this.#round = undefined;
  }

  #someAborted(): boolean {
    return this.#cells.sequences.some(({ stream }) => stream?.aborted === true);
  }

  #releaseAborted(): void {
    for (const sequence of this.#cells.sequences) {
      if (sequence.stream?.aborted !== true) continue;
      sequence.stream.finish("aborted");
      this.#release(sequence);
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
      this.#release(sequence);
      this.#cells.clear(sequence);
    }
  }

  #count({ shares, tokens, microBatches, generates }: Round): void {
    this.#promptBatches = generates ? 0 : this.#promptBatches + 1;
    this.#stats.decodes += 1;
    this.#stats.tokens += tokens;
    this.#stats.microBatches += microBatches;
    this.#stats.sequences += shares.length;
  }
}
