/**
 * One context with its sequences and the completions that run on them, all under the same adapter (or none).
 * A step is one llama_decode and the sampling after it. KV cells never leave a lane, so none is ever read under
 * another adapter than the one that it was computed with. Which completion gets a place when is the loop's business.
 */
import { DecodeBatch } from "../native/decode-batch.ts";
import type { Llama } from "../native/llama.ts";
import { countMicroBatches, type Demand, planBatch, type Share } from "./batch-plan.ts";
import type { LlamaContext } from "./context.ts";
import { type CachedSequence, commonPrefix, placePrompt } from "./sequence-cache.ts";
import type { Stream } from "./stream.ts";

/** A shorter system prompt is cheaper to compute again than to copy. */
const MIN_SHARED_TOKENS = 32;

class Sequence implements CachedSequence {
  readonly id: number;
  /** What the KV cells hold. */
  tokens: number[] = [];
  /** Tokens to compute next. */
  pending: number[] = [];
  stream: Stream | undefined;
  /** Waits until the spare sequence holds its system prompt. */
  awaitsSpare = false;
  lastUse = 0;

  constructor(id: number) {
    this.id = id;
  }

  get busy(): boolean {
    return this.stream !== undefined;
  }
}

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

/** See the file's head. `step` must not be called again before it returned. */
export class Lane implements AsyncDisposable {
  readonly #llama: Llama;
  readonly #context: LlamaContext;
  readonly #batch: DecodeBatch;
  readonly #sequences: readonly Sequence[];
  /** Holds the system prompt that conversations get copied; the last id, so that those of streams stay dense. */
  readonly #spare: Sequence;
  #uses = 0;
  #stats = { decodes: 0, tokens: 0, microBatches: 0, sequences: 0, reusedTokens: 0 };

  /** @param context with one sequence more than there are streams, the spare one */
  constructor(llama: Llama, context: LlamaContext) {
    this.#llama = llama;
    this.#context = context;
    this.#batch = new DecodeBatch(context.shape.batchTokens);
    const streams = context.shape.sequences - 1;
    this.#sequences = Array.from({ length: streams }, (_, id) => new Sequence(id));
    this.#spare = new Sequence(streams);
  }

  get streams(): number {
    return this.#sequences.length;
  }

  get busy(): number {
    return this.#sequences.filter((sequence) => sequence.busy).length;
  }

  get stats(): LaneStats {
    return this.#stats;
  }

  /** Gives a completion a sequence and starts it; false when all are busy. */
  admit(stream: Stream): boolean {
    const { prompt, sharedTokens } = stream.request;
    const placement = placePrompt(prompt, sharedTokens, this.#sequences);
    const sequence = placement === undefined ? undefined : this.#sequences[placement.id];
    if (placement === undefined || sequence === undefined) return false;
    this.#uses += 1;
    sequence.lastUse = this.#uses;
    sequence.stream = stream;
    this.#keep(sequence, placement.kept);
    if (placement.kept < sharedTokens && sharedTokens >= MIN_SHARED_TOKENS) {
      this.#shareSystemPrompt(sequence, prompt.slice(0, sharedTokens));
    }
    stream.start(this.#llama);
    return true;
  }

  /** Ends completions that were aborted, then computes one batch. */
  async step(): Promise<void> {
    this.#releaseAborted();
    const shares = planBatch(this.#demands(), this.#batch.capacity);
    if (shares.length === 0) {
      // Never to be seen; the loop would otherwise spin without ever yielding.
      if (this.busy > 0) throw new Error(`${this.busy} completions run, but none has a next token`);
      return;
    }
    const rows = this.#fill(shares);
    try {
      await this.#context.decode(this.#batch);
    } catch (error) {
      this.#dropAfterFailure(shares, error);
      return;
    }
    this.#count(shares);
    for (const { sequence, tokens } of shares) this.#advance(this.#at(sequence), tokens);
    this.#serveSpare();
    for (const [id, row] of rows) this.#sample(this.#at(id), row);
  }

  /** Ends every running completion with an error. */
  failAll(error: unknown): void {
    for (const sequence of this.#sequences) {
      sequence.stream?.fail(error);
      this.#release(sequence);
    }
  }

  /** Ends every running completion as aborted; only between two steps. */
  abortAll(): void {
    for (const sequence of this.#sequences) {
      sequence.stream?.finish("aborted");
      this.#release(sequence);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context[Symbol.asyncDispose]();
  }

  #at(id: number): Sequence {
    const sequence = this.#sequences[id] ?? this.#spare;
    if (sequence.id !== id) throw new RangeError(`no sequence ${id}`);
    return sequence;
  }

  #keep(sequence: Sequence, kept: number): void {
    const prompt = sequence.stream?.request.prompt ?? new Int32Array();
    this.#context.truncate(sequence.id, kept);
    sequence.tokens.length = kept;
    sequence.pending = [...prompt.subarray(kept)];
    this.#stats.reusedTokens += kept;
  }

  /** Copies the system prompt if the spare sequence has it, waits for it if it is being computed there. */
  #shareSystemPrompt(sequence: Sequence, system: Int32Array): void {
    const spare = this.#spare;
    const held = [...spare.tokens, ...spare.pending];
    const matches = held.length === system.length && commonPrefix(held, system) === system.length;
    // The spare is at work for another system prompt: computing this one alone is quicker than waiting.
    if (!matches && spare.pending.length > 0) return;
    if (!matches) {
      const kept = commonPrefix(spare.tokens, system);
      this.#context.truncate(spare.id, kept);
      spare.tokens.length = kept;
      spare.pending = [...system.subarray(kept)];
    }
    if (spare.pending.length === 0) this.#copySpare(sequence);
    else sequence.awaitsSpare = true;
  }

  #copySpare(sequence: Sequence): void {
    const prompt = sequence.stream?.request.prompt ?? new Int32Array();
    this.#context.copySequence(this.#spare.id, sequence.id);
    this.#stats.reusedTokens += this.#spare.tokens.length - sequence.tokens.length;
    sequence.tokens = [...this.#spare.tokens];
    sequence.pending = [...prompt.subarray(sequence.tokens.length)];
  }

  #serveSpare(): void {
    if (this.#spare.pending.length > 0) return;
    for (const sequence of this.#sequences) {
      if (!sequence.awaitsSpare) continue;
      sequence.awaitsSpare = false;
      this.#copySpare(sequence);
    }
  }

  #demands(): readonly Demand[] {
    const demands: Demand[] = [];
    for (const sequence of this.#sequences) {
      if (sequence.pending.length === 0 || sequence.awaitsSpare) continue;
      const prompt = sequence.stream?.request.prompt.length ?? 0;
      demands.push({
        sequence: sequence.id,
        tokens: sequence.pending.length,
        decoding: sequence.tokens.length >= prompt,
        order: sequence.lastUse,
      });
    }
    const spare = this.#spare.pending.length;
    // Before all prompts: several of them wait for it.
    if (spare > 0) {
      demands.push({ sequence: this.#spare.id, tokens: spare, decoding: false, order: 0 });
    }
    return demands;
  }

  /** Writes the batch; gives back the row to sample from for each sequence that completes its demand. */
  #fill(shares: readonly Share[]): ReadonlyMap<number, number> {
    const rows = new Map<number, number>();
    this.#batch.clear();
    for (const share of shares) {
      const sequence = this.#at(share.sequence);
      const start = sequence.tokens.length;
      const sampled = share.complete && sequence.busy;
      sequence.pending.slice(0, share.tokens).forEach((token, offset) => {
        const wantsLogits = sampled && offset === share.tokens - 1;
        const row = this.#batch.add(token, start + offset, sequence.id, wantsLogits);
        if (wantsLogits) rows.set(sequence.id, row);
      });
    }
    return rows;
  }

  #advance(sequence: Sequence, count: number): void {
    for (const token of sequence.pending.splice(0, count)) sequence.tokens.push(token);
  }

  #sample(sequence: Sequence, row: number): void {
    const { stream } = sequence;
    if (stream === undefined) return;
    if (stream.aborted) return;
    const next = stream.sample(this.#context, row);
    if (next === undefined) this.#release(sequence);
    else sequence.pending.push(next);
  }

  #releaseAborted(): void {
    for (const sequence of this.#sequences) {
      if (sequence.stream?.aborted !== true) continue;
      sequence.stream.finish("aborted");
      this.#release(sequence);
    }
    const awaited = this.#sequences.some((sequence) => sequence.awaitsSpare);
    if (!awaited) this.#spare.pending = [];
  }

  /** The cells stay: the conversation may go on. */
  #release(sequence: Sequence): void {
    sequence.stream = undefined;
    sequence.pending = [];
    sequence.awaitsSpare = false;
  }

  #dropAfterFailure(shares: readonly Share[], error: unknown): void {
    const failed = new Set(shares.map((share) => this.#at(share.sequence)));
    if (failed.has(this.#spare)) {
      for (const sequence of this.#sequences) if (sequence.awaitsSpare) failed.add(sequence);
    }
    for (const sequence of failed) {
      sequence.stream?.fail(error);
      this.#release(sequence);
      this.#context.truncate(sequence.id, 0);
      sequence.tokens = [];
    }
  }

  #count(shares: readonly Share[]): void {
    const { batchTokens } = this.#context.shape;
    this.#stats.decodes += 1;
    this.#stats.tokens += shares.reduce((sum, share) => sum + share.tokens, 0);
    this.#stats.microBatches += countMicroBatches(shares, batchTokens);
    this.#stats.sequences += shares.length;
  }
}
