/**
 * What a lane's KV cells hold: which conversation goes on where, where those go that give way, and how a system
 * prompt comes to all that share it. Cells change here, but for what a decode adds; nothing is decoded here.
 */
import type { LlamaContext } from "../context.ts";
import type { Shelf } from "./conversation-store.ts";
import { type Returning, reservedCells, Sequence } from "./sequence.ts";
import { commonPrefix, placePrompt, seatBeside } from "./sequence-cache.ts";
import type { Stream } from "./stream.ts";

/** A shorter system prompt is cheaper to compute again than to copy. */
const MIN_SHARED_TOKENS = 32;
/** Fewer tokens are cheaper to compute again than to write to disk, or to read back. */
const MIN_PARKED_TOKENS = 64;

type Found = NonNullable<ReturnType<Shelf["find"]>>;

/** Whether a parked conversation holds clearly more of a prompt than is at hand, tokens. */
function isWorthReading(found: Found | undefined, atHand: number): found is Found {
  return found !== undefined && found.kept >= atHand + MIN_PARKED_TOKENS;
}

/** The sequences of one context. Between two steps they are ahead of the cells; `prepare` brings these in line. */
export class LaneCells {
  readonly sequences: readonly Sequence[];
  /** Holds the system prompt that conversations get copied; the last id, so that those of streams stay dense. */
  readonly spare: Sequence;
  readonly #context: LlamaContext;
  readonly #shelf: Shelf | undefined;
  #uses = 0;
  #reusedTokens = 0;

  /**
   * @param context with one sequence more than there are streams, the spare one
   * @param shelf where conversations go that give way to others; without one they are forgotten
   */
  constructor(context: LlamaContext, shelf: Shelf | undefined) {
    this.#context = context;
    this.#shelf = shelf;
    const streams = context.shape.sequences - 1;
    this.sequences = Array.from({ length: streams }, (_, id) => new Sequence(id));
    this.spare = new Sequence(streams);
  }

  /** Prompt tokens that were not computed, since cells held them. */
  get reusedTokens(): number {
    return this.#reusedTokens;
  }

  /** KV cells, and how many of them hold something; in a pool, what several share may count for each. */
  get figures(): { readonly total: number; readonly used: number } {
    const total = this.#context.shape.cells;
    const all = [...this.sequences, this.spare];
    const used = all.reduce((sum, { tokens }) => sum + tokens.length, 0);
    return { total, used: Math.min(total, used) };
  }

  at(id: number): Sequence {
    const sequence = this.sequences[id] ?? this.spare;
    if (sequence.id !== id) throw new RangeError(`no sequence ${id}`);
    return sequence;
  }

  /** Gives a completion a sequence; false when all are busy, or the pool has no cells for it. */
  place(stream: Stream): boolean {
    const { prompt, sharedTokens } = stream.request;
    const settled = this.sequences.filter(({ successorOf }) => successorOf === undefined);
    const placement = placePrompt(prompt, sharedTokens, settled);
    const given = placement === undefined ? undefined : this.sequences[placement.id];
    if (placement === undefined || given === undefined) return false;
    if (!this.#makeRoom(given, stream)) return false;
    this.#uses += 1;
    const parked = this.#shelf?.find(prompt);
    // While cells wait to be copied nothing can come back from disk.
    const stays = placement.continues || isWorthReading(parked, sharedTokens);
    const sequence = stays ? given : this.#seat(given);
    // A conversation that goes on, or is answered anew, keeps most of what it holds.
    if (sequence === given && placement.kept < given.tokens.length / 2) this.#evict(given);
    const kept = Math.min(commonPrefix(prompt, sequence.tokens), prompt.length - 1);
    sequence.begin(stream, kept, this.#uses);
    this.#reusedTokens += kept;
    if (kept < sharedTokens && sharedTokens >= MIN_SHARED_TOKENS) {
      sequence.wanted = prompt.slice(0, sharedTokens);
    }
    if (isWorthReading(parked, Math.max(kept, sharedTokens))) this.#callBack(sequence, parked);
    return true;
  }

  /** Parks what leaves, moves, puts back what has returned, frees what is stale, copies system prompts. In this order. */
  async prepare(): Promise<void> {
    for (const sequence of this.sequences) {
      if (sequence.leaving !== undefined) this.#park(sequence, sequence.leaving);
    }
    this.#move();
    if (!this.#hasWork()) await this.#nextArrival();
    for (const sequence of this.sequences) {
      if (sequence.returning !== undefined) this.#putBack(sequence, sequence.returning);
    }
    for (const sequence of [...this.sequences, this.spare]) {
      if (sequence.stale) this.#context.truncate(sequence.id, sequence.tokens.length);
      sequence.stale = false;
    }
    for (const sequence of this.sequences) {
      if (sequence.returning === undefined && sequence.wanted !== undefined) {
        this.#shareSystemPrompt(sequence, sequence.wanted);
        sequence.wanted = undefined;
      }
    }
  }

  /** Hands on the system prompt of the spare sequence, once it is computed. */
  serveSpare(): void {
    if (this.spare.pending.length > 0) return;
    for (const sequence of this.sequences) {
      if (!sequence.awaitsSpare) continue;
      sequence.awaitsSpare = false;
      this.#copy(this.spare, sequence, this.spare.tokens.length);
    }
  }

  /** Computes no system prompt on that nobody waits for any more. */
  dropUnawaited(): void {
    if (!this.#isSpareAwaited()) this.spare.pending = [];
  }

  /** Empties a sequence: after a decode that failed, what its cells hold is not known. */
  clear(sequence: Sequence): void {
    this.#context.truncate(sequence.id, 0);
    sequence.tokens = [];
  }

  /** Puts a new conversation next to those at work; what an idle sequence there holds moves to the given one. */
  #seat(given: Sequence): Sequence {
    // In a pool ids may have gaps.
    if (this.#context.shape.pooled) return given;
    if (this.sequences.some((one) => one.returning || one.successorOf === given)) return given;
    const seat = this.at(seatBeside(given.id, this.sequences));
    if (seat === given || !seat.settled) return given;
    if (seat.tokens.length === 0) return seat;
    this.#evict(given);
    given.succeed(seat);
    return seat;
  }

  /** In a pool: lets idle conversations go, oldest first, until the completion surely finds its cells. */
  #makeRoom(place: Sequence, { request }: Stream): boolean {
    const { pooled, cells } = this.#context.shape;
    if (!pooled) return true;
    const needed = request.prompt.length + request.maxTokens;
    const others = [...this.sequences, this.spare].filter((sequence) => sequence !== place);
    const isInUse = (sequence: Sequence) =>
      sequence.busy || (sequence === this.spare && this.#isSpareAwaited());
    if (reservedCells(others.filter(isInUse)) + needed > cells) return false;
    const idle = others.filter((sequence) => !isInUse(sequence));
    for (const oldest of idle.toSorted((a, b) => a.lastUse - b.lastUse)) {
      if (reservedCells(others) + needed <= cells) break;
      if (oldest !== this.spare) this.#evict(oldest);
      oldest.keep(0);
    }
    return true;
  }

  #isSpareAwaited(): boolean {
    return this.sequences.some(({ awaitsSpare, wanted }) => awaitsSpare || wanted !== undefined);
  }

  /** What the cells still hold is parked before they are used again. */
  #evict(sequence: Sequence): void {
    if (this.#shelf === undefined || sequence.tokens.length < MIN_PARKED_TOKENS) return;
    sequence.leaving ??= [...sequence.tokens];
  }

  #callBack(sequence: Sequence, { conversation, kept }: Found): void {
    const shelf = this.#shelf;
    if (shelf === undefined) return;
    const arrival = shelf.take(conversation).then((state) => {
      returning.state = state ?? "lost";
    });
    const returning: Returning = { conversation, kept, arrival, state: "pending" };
    sequence.returning = returning;
  }

  #move(): void {
    for (const sequence of this.sequences) {
      const { successorOf } = sequence;
      if (successorOf !== undefined) this.#context.copySequence(successorOf.id, sequence.id);
      sequence.successorOf = undefined;
    }
  }

  #park(sequence: Sequence, tokens: readonly number[]): void {
    sequence.leaving = undefined;
    const state = this.#context.saveSequence(sequence.id);
    if (state !== undefined) this.#shelf?.park(tokens, state);
  }

  #hasWork(): boolean {
    const all = [...this.sequences, this.spare];
    return all.some((sequence) => sequence.ready);
  }

  /** Nothing else to do than to wait for the disk. */
  async #nextArrival(): Promise<void> {
    const arrivals = this.sequences.flatMap(({ returning }) => returning?.arrival ?? []);
    if (arrivals.length > 0) await Promise.race(arrivals);
  }

  #putBack(sequence: Sequence, returning: Returning): void {
    const { state, conversation, kept } = returning;
    if (state === "pending") return;
    sequence.returning = undefined;
    // Lost: what is at hand already serves, and the system prompt is copied as for any other.
    if (state === "lost" || kept <= sequence.tokens.length) return;
    this.#reusedTokens -= sequence.tokens.length;
    const isBack = this.#context.restoreSequence(sequence.id, state);
    sequence.tokens = isBack ? [...conversation.tokens] : [];
    sequence.keep(isBack ? kept : 0);
    this.#reusedTokens += sequence.tokens.length;
    if (isBack) sequence.wanted = undefined;
  }

  /** Copies the system prompt from where it is, waits for the spare sequence where it is being computed. */
  #shareSystemPrompt(sequence: Sequence, system: Int32Array): void {
    const spare = this.spare;
    const held = [...spare.tokens, ...spare.pending];
    const matches = held.length === system.length && commonPrefix(held, system) === system.length;
    if (matches && spare.pending.length === 0) {
      this.#copy(spare, sequence, system.length);
      return;
    }
    const donor = this.sequences.find(
      (other) => other !== sequence && commonPrefix(other.tokens, system) === system.length,
    );
    if (donor !== undefined) {
      this.#copy(donor, sequence, system.length);
      return;
    }
    // The spare is at work for another system prompt: computing this one alone is quicker than waiting.
    if (!matches && spare.pending.length > 0) return;
    if (!matches) {
      const kept = commonPrefix(spare.tokens, system);
      this.#context.truncate(spare.id, kept);
      spare.keep(kept);
      spare.lastUse = this.#uses;
      spare.pending = [...system.subarray(kept)];
    }
    sequence.awaitsSpare = true;
  }

  #copy(source: Sequence, target: Sequence, length: number): void {
    this.#context.copySequence(source.id, target.id);
    if (source.tokens.length > length) this.#context.truncate(target.id, length);
    this.#reusedTokens += length - target.tokens.length;
    target.tokens = source.tokens.slice(0, length);
    target.pending = [...target.prompt.subarray(length)];
  }
}
