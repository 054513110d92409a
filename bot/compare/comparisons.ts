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

/** A closed one is forgotten after this time; its votes stay in the log. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1_000;
const LOOK_INTERVAL_MS = 5_000;
const idsSchema = z.array(z.string());

type ComparisonParts = {
  readonly clock: Clock;
  readonly eventsOf: (candidateId: string) => readonly FeedbackEvent[];
  /** Shows which was which. Never rejects. */
  readonly reveal: (comparison: Comparison, tally: Tally) => Promise<void>;
  readonly log: Logger;
};

/**
 * The comparisons of the servers that a process has. Each server has a list of its own, which whoever has the
 * server takes up: so none is left behind when the servers are parted anew.
 */
export class Comparisons implements Disposable {
  readonly #store: Keyv;
  readonly #parts: ComparisonParts;
  readonly #timer: NodeJS.Timeout;
  /** Lists that are to be taken up. */
  readonly #toAdopt = new Set<string>();
  /** Those that are open here, with the list that each is on. */
  readonly #open = new Map<string, string>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Keyv, parts: ComparisonParts) {
    this.#store = store;
    this.#parts = parts;
    this.#timer = setInterval(() => {
      this.closeDue().catch((error: unknown) => parts.log.error({ err: error }, "closing failed"));
    }, LOOK_INTERVAL_MS).unref();
  }

  /** A comparison by its id. */
  async find(id: string): Promise<Comparison | undefined> {
    return comparisonSchema.safeParse(await this.#store.get(`one:${id}`)).data;
  }

  /** This process has a server from now on; null stands for direct messages. */
  adopt(guildId: string | null): void {
    this.#toAdopt.add(listOf(guildId));
  }

  /** Takes up the list of one process, from before each server had its own. */
  adoptProcess(index: number): void {
    this.#toAdopt.add(index === 0 ? "open" : `open:${index}`);
  }

  /** Opens it. */
  open(comparison: Comparison): Promise<void> {
    return this.#oneByOne(async () => {
      const { id } = comparison;
      const list = listOf(comparison.guildId ?? null);
      await this.#store.set(`one:${id}`, comparison);
      await this.#store.set(list, [...(await this.#listed(list)), id]);
      this.#open.set(id, list);
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
      await this.#takeUp();
      let closed = 0;
      for (const [id, list] of [...this.#open]) {
        const comparison = await this.find(id);
        if (comparison !== undefined && !comparison.isClosed) {
          const tally = this.tally(comparison);
          if (!isDue(comparison, tally, this.#parts.clock.nowMs())) continue;
          await this.#store.set(`one:${id}`, { ...comparison, isClosed: true }, KEPT_MS);
          await this.#parts.reveal(comparison, tally);
          closed += 1;
        }
        await this.#strike(list, id);
      }
      return closed;
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** A list that could not be read stays to be taken up. */
  async #takeUp(): Promise<void> {
    for (const list of [...this.#toAdopt]) {
      for (const id of await this.#listed(list)) this.#open.set(id, list);
      this.#toAdopt.delete(list);
    }
  }

  async #strike(list: string, id: string): Promise<void> {
    const left = (await this.#listed(list)).filter((open) => open !== id);
    if (left.length > 0) await this.#store.set(list, left);
    else await this.#store.delete(list);
    this.#open.delete(id);
  }

  async #listed(list: string): Promise<readonly string[]> {
    return idsSchema.safeParse(await this.#store.get(list)).data ?? [];
  }

  #oneByOne<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function listOf(guildId: string | null): string {
  return `open:server:${guildId ?? "direct"}`;
}
