/**
 * Who may generate next: a bounded queue that is fair between guilds and between people, and lets work that nobody
 * watches go after what somebody waits for. It knows nothing of what the turns are used for.
 */
import type { Clock } from "../base/clock.ts";
import { type Owner, TurnOrder, TurnTally } from "./turn-order.ts";

/** `background`: nobody watches, such as judging or drawing candidates at night. */
export type Priority = "interactive" | "background";

/** A slot that is held until disposed. */
export type Turn = Disposable;

/** Where a request stands: `position` requests go first, for about `waitMs`. */
export type Place = { readonly position: number; readonly waitMs: number };

/** What is asked for: all of a request's turns at once. */
export type Claim = {
  /** By which `find` knows the request. */
  readonly id: string;
  readonly owner: Owner;
  readonly priority: Priority;
  readonly count: number;
  /** Told whenever it changes, of the request's first turn. */
  readonly onPlace?: (place: Place) => void;
};

/** Places for each of a request's choices, or a refusal with when to come back. */
export type Admission =
  | { readonly type: "admitted"; readonly turns: readonly Promise<Turn>[] }
  | { readonly type: "full"; readonly waiting: number; readonly retryAfterMs: number };

type Waiter = {
  readonly id: string;
  readonly owner: Owner;
  readonly priority: Priority;
  readonly onPlace: (place: Place) => void;
  readonly start: (turn: Turn) => void;
  place: Place;
};

/** How much the latest turn counts in the mean length of turns. */
const MEAN_WEIGHT = 0.2;
const RETRY_LEAST_MS = 1_000;
const RETRY_MOST_MS = 60_000;
/** Shares of the places to wait in that one guild, one person, and all background work may take. */
const GUILD_SHARE = 1 / 2;
const PERSON_SHARE = 1 / 4;
const BACKGROUND_SHARE = 1 / 2;
/** So many slots stay free of background work: whoever comes need not wait for it to end. */
const KEPT_SHARE = 1 / 4;
/** After so many interactive turns in a row one of background work goes, lest it never ends. */
const BACKGROUND_EVERY = 16;
const UNKNOWN_PLACE: Place = { position: -1, waitMs: 0 };

/** A fixed number of slots with a fair queue before them. */
export class FairQueue {
  readonly #slots: number;
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #waiting: Record<Priority, TurnOrder<Waiter>> = {
    interactive: new TurnOrder(),
    background: new TurnOrder(),
  };
  readonly #underWay = new TurnTally();
  readonly #running: Record<Priority, number> = { interactive: 0, background: 0 };
  readonly #runningIds = new Map<string, number>();
  #sinceBackground = 0;
  #meanTurnMs = RETRY_LEAST_MS;

  /**
   * @param options.slots turns at the same time
   * @param options.limit how many may wait; a named guild may take half of it, a named person a quarter
   */
  constructor(options: { readonly slots: number; readonly limit: number; readonly clock: Clock }) {
    this.#slots = options.slots;
    this.#limit = options.limit;
    this.#clock = options.clock;
  }

  /** Turns in use, and how many wait. */
  get counts(): { waiting: number; running: number; limit: number } {
    const waiting = this.#waiting.interactive.size + this.#waiting.background.size;
    return { waiting, running: this.#runningNow(), limit: this.#limit };
  }

  /** How long a request that came now would wait, roughly. */
  get waitMs(): number {
    return this.#waitMs(this.#waiting.interactive.size);
  }

  /** Asks for turns. Each promise resolves when its turn comes, and rejects with the signal's reason when that aborts first. */
  admit(claim: Claim, signal: AbortSignal): Admission {
    const { count } = claim;
    const full = this.fullness(claim);
    if (full !== undefined) return full;
    const turns = Array.from({ length: count }, (_, index) =>
      this.#enqueue(index === 0 ? claim : { ...claim, onPlace: () => {} }, signal),
    );
    this.#dispatch();
    return { type: "admitted", turns };
  }

  /** Why the turns would not be given out now; undefined where they would. It takes none. */
  fullness(claim: Claim): Extract<Admission, { type: "full" }> | undefined {
    const excess = Math.max(0, claim.count - Math.max(0, this.#slots - this.#runningNow()));
    const { waiting } = this.counts;
    const isFull = waiting + excess > this.#limit || this.#isOverShare(claim, excess);
    return isFull ? { type: "full", waiting, retryAfterMs: this.#retryAfterMs() } : undefined;
  }

  /** Where a request stands; undefined when it neither waits nor runs. */
  find(id: string): Place | "running" | undefined {
    if (this.#runningIds.has(id)) return "running";
    return this.#order().find((waiter) => waiter.id === id)?.place;
  }

  #runningNow(): number {
    return this.#running.interactive + this.#running.background;
  }

  #enqueue(claim: Claim, signal: AbortSignal): Promise<Turn> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const line = this.#waiting[claim.priority];
      const onAbort = () => {
        line.remove(waiter);
        reject(signal.reason);
        this.#dispatch();
      };
      const { id, owner, priority, onPlace = () => {} } = claim;
      const start = (turn: Turn) => {
        signal.removeEventListener("abort", onAbort);
        resolve(turn);
      };
      const waiter: Waiter = { id, owner, priority, onPlace, start, place: UNKNOWN_PLACE };
      signal.addEventListener("abort", onAbort, { once: true });
      line.add(waiter);
    });
  }

  #dispatch(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#sinceBackground = next.priority === "background" ? 0 : this.#sinceBackground + 1;
      next.start(this.#turn(next));
    }
    this.#order().forEach((waiter, position) => {
      const waitMs = this.#waitMs(position);
      const hasMoved = waiter.place.position !== position;
      waiter.place = { position, waitMs };
      if (hasMoved) waiter.onPlace(waiter.place);
    });
  }

  #next(): Waiter | undefined {
    if (this.#runningNow() >= this.#slots) return undefined;
    const { interactive, background } = this.#waiting;
    const isDue = this.#sinceBackground >= BACKGROUND_EVERY && background.size > 0;
    if (interactive.size > 0 && !(isDue && this.#hasRoomForBackground())) {
      return interactive.take(this.#underWay);
    }
    return this.#hasRoomForBackground() ? background.take(this.#underWay) : undefined;
  }

  #hasRoomForBackground(): boolean {
    const most = Math.max(1, this.#slots - Math.ceil(this.#slots * KEPT_SHARE));
    return this.#running.background < most;
  }

  #turn({ id, owner, priority }: Waiter): Turn {
    const startedMs = this.#clock.monotonicMs();
    let isHeld = true;
    const count = (change: 1 | -1) => {
      this.#running[priority] += change;
      this.#underWay.add(owner, change);
      const running = (this.#runningIds.get(id) ?? 0) + change;
      if (running > 0) this.#runningIds.set(id, running);
      else this.#runningIds.delete(id);
    };
    count(1);
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        const tookMs = this.#clock.monotonicMs() - startedMs;
        this.#meanTurnMs += MEAN_WEIGHT * (tookMs - this.#meanTurnMs);
        count(-1);
        this.#dispatch();
      },
    };
  }

  /** Everyone who waits, in the order in which they will go if no one else comes. */
  #order(): Waiter[] {
    const { interactive, background } = this.#waiting;
    return [...interactive.all(this.#underWay), ...background.all(this.#underWay)];
  }

  #isOverShare({ owner, priority }: Claim, excess: number): boolean {
    if (excess === 0) return false;
    const most = (share: number) => Math.ceil(this.#limit * share);
    if (
      priority === "background" &&
      this.#waiting.background.size + excess > most(BACKGROUND_SHARE)
    ) {
      return true;
    }
    const { guild, person } = owner;
    const waiting = (who: { guild: string; person?: string }) =>
      this.#waiting.interactive.waitingOf(who) + this.#waiting.background.waitingOf(who);
    if (guild !== "" && waiting({ guild }) + excess > most(GUILD_SHARE)) return true;
    return person !== "" && waiting({ guild, person }) + excess > most(PERSON_SHARE);
  }

  /** Slots become free one after the other, each after a turn's mean length. */
  #waitMs(position: number): number {
    const ahead = position + 1 - Math.max(0, this.#slots - this.#runningNow());
    return ahead <= 0 ? 0 : Math.ceil((this.#meanTurnMs * ahead) / this.#slots);
  }

  #retryAfterMs(): number {
    return Math.min(RETRY_MOST_MS, Math.max(RETRY_LEAST_MS, this.#waitMs(this.counts.waiting)));
  }
}
