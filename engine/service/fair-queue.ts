/**
 * Who may generate next: a bounded queue that takes guilds in turn, and in each guild its people in turn,
 * so that no one's flood delays the others. It knows nothing of what the turns are used for.
 */
import type { Clock } from "../base/clock.ts";

/** Whose request it is; empty strings stand for callers that name no one. */
export type Owner = { readonly guild: string; readonly person: string };

/** A slot that is held until disposed. */
export type Turn = Disposable;

/** Places for each of a request's choices, or a refusal with when to come back. */
export type Admission =
  | { readonly type: "admitted"; readonly turns: readonly Promise<Turn>[] }
  | { readonly type: "full"; readonly waiting: number; readonly retryAfterMs: number };

type Waiter = {
  readonly owner: Owner;
  readonly onPosition: (position: number) => void;
  readonly start: (turn: Turn) => void;
  position: number;
};
type People = Map<string, Waiter[]>;

/** How much the latest turn counts in the mean length of turns. */
const MEAN_WEIGHT = 0.2;
const RETRY_LEAST_MS = 1_000;
const RETRY_MOST_MS = 60_000;

/** A fixed number of slots with a fair queue before them. */
export class FairQueue {
  readonly #slots: number;
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #guilds = new Map<string, People>();
  #waiting = 0;
  #running = 0;
  #meanTurnMs = RETRY_LEAST_MS;

  /**
   * @param options.slots turns at the same time
   * @param options.limit how many may wait; one named guild may take half of it
   */
  constructor(options: { readonly slots: number; readonly limit: number; readonly clock: Clock }) {
    this.#slots = options.slots;
    this.#limit = options.limit;
    this.#clock = options.clock;
  }

  /** Turns in use, and how many wait. */
  get counts(): { waiting: number; running: number; limit: number } {
    return { waiting: this.#waiting, running: this.#running, limit: this.#limit };
  }

  /**
   * Asks for `count` turns at once. Each promise resolves when its turn comes, and rejects with the
   * signal's reason when that aborts first.
   * @param onPosition told how many turns come before the request's first, whenever that changes
   */
  admit(
    owner: Owner,
    count: number,
    signal: AbortSignal,
    onPosition: (position: number) => void = () => {},
  ): Admission {
    const excess = Math.max(0, count - Math.max(0, this.#slots - this.#running));
    if (this.#waiting + excess > this.#limit || this.#isOverShare(owner.guild, excess)) {
      return { type: "full", waiting: this.#waiting, retryAfterMs: this.#retryAfterMs() };
    }
    const turns = Array.from({ length: count }, (_, index) =>
      this.#enqueue(owner, signal, index === 0 ? onPosition : () => {}),
    );
    this.#dispatch();
    return { type: "admitted", turns };
  }

  #enqueue(
    owner: Owner,
    signal: AbortSignal,
    onPosition: (position: number) => void,
  ): Promise<Turn> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        this.#remove(waiter);
        reject(signal.reason);
        this.#dispatch();
      };
      const waiter: Waiter = {
        owner,
        onPosition,
        position: -1,
        start: (turn) => {
          signal.removeEventListener("abort", onAbort);
          resolve(turn);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#add(waiter);
    });
  }

  #dispatch(): void {
    while (this.#running < this.#slots) {
      const next = this.#order()[0];
      if (next === undefined) break;
      this.#remove(next);
      this.#rotate(next.owner);
      this.#running += 1;
      next.start(this.#turn());
    }
    this.#order().forEach((waiter, position) => {
      if (waiter.position === position) return;
      waiter.position = position;
      waiter.onPosition(position);
    });
  }

  #turn(): Turn {
    const startedMs = this.#clock.monotonicMs();
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        const tookMs = this.#clock.monotonicMs() - startedMs;
        this.#meanTurnMs += MEAN_WEIGHT * (tookMs - this.#meanTurnMs);
        this.#running -= 1;
        this.#dispatch();
      },
    };
  }

  /** Everyone who waits, in the order in which they will go if no one else comes. */
  #order(): Waiter[] {
    return interleave([...this.#guilds.values()].map((people) => interleave([...people.values()])));
  }

  #add(waiter: Waiter): void {
    const { guild, person } = waiter.owner;
    const people = this.#guilds.get(guild) ?? new Map<string, Waiter[]>();
    this.#guilds.set(guild, people);
    people.set(person, [...(people.get(person) ?? []), waiter]);
    this.#waiting += 1;
  }

  #remove(waiter: Waiter): void {
    const { guild, person } = waiter.owner;
    const people = this.#guilds.get(guild);
    const line = people?.get(person);
    if (people === undefined || line === undefined || !line.includes(waiter)) return;
    this.#waiting -= 1;
    const rest = line.filter((other) => other !== waiter);
    if (rest.length > 0) people.set(person, rest);
    else people.delete(person);
    if (people.size === 0) this.#guilds.delete(guild);
  }

  /** Sends the owner to the end of both rounds. */
  #rotate({ guild, person }: Owner): void {
    const people = this.#guilds.get(guild);
    if (people === undefined) return;
    this.#guilds.delete(guild);
    this.#guilds.set(guild, people);
    const line = people.get(person);
    if (line === undefined) return;
    people.delete(person);
    people.set(person, line);
  }

  #isOverShare(guild: string, excess: number): boolean {
    if (guild === "" || excess === 0) return false;
    const lines = [...(this.#guilds.get(guild)?.values() ?? [])];
    const waiting = lines.reduce((sum, line) => sum + line.length, 0);
    return waiting + excess > Math.ceil(this.#limit / 2);
  }

  #retryAfterMs(): number {
    const estimate = (this.#meanTurnMs * (this.#waiting + 1)) / this.#slots;
    return Math.min(RETRY_MOST_MS, Math.max(RETRY_LEAST_MS, estimate));
  }
}

/** The lists' items, one from each in turn. */
function interleave<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, round) => round).flatMap((round) =>
    lists.flatMap((list) => list.slice(round, round + 1)),
  );
}
