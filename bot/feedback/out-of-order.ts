/**
 * What the gateway told before its time, by message: reactions on answers that are not recorded yet, and
 * clearings that may yet be followed by reactions from before them. Bounded; it knows nothing of the log.
 */
import type { FeedbackEvent } from "#trainer/feedback/records.ts";
import type { Stamp } from "./gateway-order.ts";

/** One reaction made or taken back by one person. */
export type Reaction = {
  readonly messageId: string;
  readonly personId: string;
  /** Its name, as Discord gives it. */
  readonly emoji: string | null;
  readonly action: FeedbackEvent["action"];
  readonly stamp: Stamp;
};

/** All reactions of a message were removed, or all of one value. */
export type Clearing = { readonly stamp: Stamp; readonly value: 1 | -1 | undefined };

const KEPT_REACTIONS = 10_000;
const KEPT_CLEARINGS = 10_000;

/** Reactions and clearings that wait, the oldest message's let go when there are too many. */
export class OutOfOrder {
  readonly #reactions = new ListsByMessage<Reaction>(KEPT_REACTIONS);
  readonly #clearings = new ListsByMessage<Clearing>(KEPT_CLEARINGS);

  /** Keeps a reaction until its message is known to show an answer. */
  keep(reaction: Reaction): void {
    this.#reactions.add(reaction.messageId, reaction);
  }

  /** The reactions that waited for this message; they wait no longer. */
  take(messageId: string): readonly Reaction[] {
    return this.#reactions.take(messageId);
  }

  /** Remembers that a message's reactions were cleared. */
  clear(messageId: string, clearing: Clearing): void {
    const known = this.#clearings.of(messageId);
    if (known.some(({ stamp }) => stamp.id === clearing.stamp.id)) return;
    this.#clearings.add(messageId, clearing);
  }

  /** The clearings that took away what was made at this time. */
  clearingsAfter(messageId: string, value: 1 | -1, atMs: number): readonly Clearing[] {
    return this.#clearings.of(messageId).filter((clearing) => clears(clearing, { value, atMs }));
  }
}

/** Whether a clearing took this reaction away. */
export function clears(
  clearing: Clearing,
  made: { readonly value: number; readonly atMs: number },
): boolean {
  const isMeant = clearing.value === undefined || clearing.value === made.value;
  return isMeant && made.atMs < clearing.stamp.atMs;
}

class ListsByMessage<T> {
  readonly #limit: number;
  readonly #lists = new Map<string, readonly T[]>();
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  of(messageId: string): readonly T[] {
    return this.#lists.get(messageId) ?? [];
  }

  add(messageId: string, one: T): void {
    this.#lists.set(messageId, [...this.of(messageId), one]);
    this.#count += 1;
    const [oldest] = this.#lists.keys();
    if (this.#count > this.#limit && oldest !== undefined) this.take(oldest);
  }

  take(messageId: string): readonly T[] {
    const taken = this.of(messageId);
    this.#lists.delete(messageId);
    this.#count -= taken.length;
    return taken;
  }
}
