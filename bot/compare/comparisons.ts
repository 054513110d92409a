/**
 * The comparisons that are open: kept in Keyv, so that they outlive a restart, and closed when enough
 * have voted or their time is over. It knows of Discord only how to reveal one.
 */
import type { Keyv } from "keyv";
import { z } from "zod";
import type { Clock } from "#engine/base/clock.ts";
import type { Logger } from "#engine/base/log.ts";
import type { FeedbackEvent } from "#trainer/feedback/records.ts";
import { type Comparison, comparisonSchema, isDue, type Tally, tallyOf } from "./comparison.ts";

/** The list of the first process, or of the only one. */
const OPEN = "open";
/** A closed one is forgotten after this time; its votes stay in the log. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1_000;
const LOOK_INTERVAL_MS = 5_000;
const idsSchema = z.array(z.string());

type ComparisonParts = {
  readonly clock: Clock;
  /** Each process keeps a list of its own, or one would overwrite what another adds, and all would reveal. */
  readonly shard?: { readonly index: number };
  readonly eventsOf: (candidateId: string) => readonly FeedbackEvent[];
  /** Shows which was which. Never rejects. */
  readonly reveal: (comparison: Comparison, tally: Tally) => Promise<void>;
  readonly log: Logger;
};

/** All comparisons of one bot. */
export class Comparisons implements Disposable {
  readonly #store: Keyv;
  readonly #parts: ComparisonParts;
  readonly #timer: NodeJS.Timeout;
  /** The key of the list of those that are open here. */
  readonly #open: string;
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Keyv, parts: ComparisonParts) {
    this.#store = store;
    this.#parts = parts;
    this.#open = (parts.shard?.index ?? 0) === 0 ? OPEN : `${OPEN}:${parts.shard?.index}`;
    this.#timer = setInterval(() => {
      this.closeDue().catch((error: unknown) => parts.log.error({ err: error }, "closing failed"));
    }, LOOK_INTERVAL_MS).unref();
  }

  /** A comparison by its id. */
  async find(id: string): Promise<Comparison | undefined> {
    return comparisonSchema.safeParse(await this.#store.get(`one:${id}`)).data;
  }

  /** Opens it. */
  open(comparison: Comparison): Promise<void> {
    return this.#oneByOne(async () => {
      await this.#store.set(`one:${comparison.id}`, comparison);
      await this.#store.set(this.#open, [...(await this.#openIds()), comparison.id]);
    });
  }

  /** The votes that stand on it. */
  tally(comparison: Comparison): Tally {
    const events = comparison.sides.flatMap(({ candidateId }) => this.#parts.eventsOf(candidateId));
    return tallyOf(events, comparison);
  }

  /** Closes what is due, each once. @returns how many were closed */
  closeDue(): Promise<number> {
    return this.#oneByOne(async () => {
      let closed = 0;
      for (const id of await this.#openIds()) {
        const comparison = await this.find(id);
        if (comparison !== undefined) {
          const tally = this.tally(comparison);
          if (!isDue(comparison, tally, this.#parts.clock.nowMs())) continue;
          await this.#store.set(`one:${id}`, { ...comparison, isClosed: true }, KEPT_MS);
          await this.#parts.reveal(comparison, tally);
          closed += 1;
        }
        await this.#store.set(
          this.#open,
          (await this.#openIds()).filter((open) => open !== id),
        );
      }
      return closed;
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #openIds(): Promise<readonly string[]> {
    return idsSchema.safeParse(await this.#store.get(this.#open)).data ?? [];
  }

  #oneByOne<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
