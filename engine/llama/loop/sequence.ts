/** One sequence of a context: what its KV cells hold, what it computes next, and for whom. It touches no native memory. */
import type { ParkedConversation } from "./conversation-store.ts";
import type { CachedSequence } from "./sequence-cache.ts";
import type { Stream } from "./stream.ts";

/** Between two steps it is ahead of the cells: `leaving` and `stale` say what the lane has yet to do to them. */
export class Sequence implements CachedSequence {
  readonly id: number;
  /** What the KV cells hold, once they are brought in line. */
  tokens: number[] = [];
  /** Tokens to compute next. */
  pending: number[] = [];
  stream: Stream | undefined;
  /** What the cells still hold of a conversation that gives way, to be parked before they are used again. */
  leaving: readonly number[] | undefined;
  /** The cells hold more than `tokens` says. */
  stale = false;
  /** Whose conversation it is to be given, cells and all, before that one goes on with another. */
  successorOf: Sequence | undefined;
  /** The system prompt that is to be copied here from where it was computed already. */
  wanted: Int32Array | undefined;
  /** Waits until the spare sequence holds its system prompt. */
  awaitsSpare = false;
  /** Waits until its conversation is read back. */
  returning: Returning | undefined;
  lastUse = 0;

  constructor(id: number) {
    this.id = id;
  }

  get busy(): boolean {
    return this.stream !== undefined;
  }

  /** The cells hold what `tokens` says, and nothing is to be done to them. */
  get settled(): boolean {
    return !this.stale && this.leaving === undefined && this.successorOf === undefined;
  }

  /** Whether it can compute now. */
  get ready(): boolean {
    return this.pending.length > 0 && !this.awaitsSpare && this.returning === undefined;
  }

  get prompt(): Int32Array {
    return this.stream?.request.prompt ?? new Int32Array();
  }

  /** Begins a completion with the first `kept` tokens of what is held. */
  begin(stream: Stream, kept: number, lastUse: number): void {
    this.stream = stream;
    this.lastUse = lastUse;
    this.keep(kept);
  }

  /** Takes over an idle sequence's conversation, which then may begin another. */
  succeed(other: Sequence): void {
    this.successorOf = other;
    this.tokens = [...other.tokens];
    this.stale = false;
    this.lastUse = other.lastUse;
  }

  /** Goes on with the first `kept` tokens; the cells beyond are to be freed. */
  keep(kept: number): void {
    if (this.tokens.length > kept) this.stale = true;
    this.tokens.length = kept;
    this.pending = [...this.prompt.subarray(kept)];
  }

  /** The cells stay: the conversation may go on. */
  release(): void {
    this.stream = undefined;
    this.pending = [];
    this.wanted = undefined;
    this.awaitsSpare = false;
    this.returning = undefined;
  }

  /** Moves tokens from what is to compute to what is held. */
  advance(count: number): void {
    for (const token of this.pending.splice(0, count)) this.tokens.push(token);
  }

  /** Cells that it may come to need, or holds while nobody uses it. */
  get reservedCells(): number {
    if (this.stream === undefined) return this.tokens.length + this.pending.length;
    const { prompt, maxTokens } = this.stream.request;
    return prompt.length + maxTokens;
  }
}

/** A conversation on its way back from disk. */
export type Returning = {
  readonly conversation: ParkedConversation;
  /** How many of the prompt's tokens it holds. */
  readonly kept: number;
  /** Settles, never rejects, once `state` is there or is known not to come. */
  readonly arrival: Promise<void>;
  state: Uint8Array | "pending" | "lost";
};

/** Cells that these may come to need, or hold. */
export function reservedCells(sequences: readonly Sequence[]): number {
  return sequences.reduce((sum, sequence) => sum + sequence.reservedCells, 0);
}
