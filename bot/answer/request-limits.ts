/**
 * How often a person may ask, and how many answers a server may have in the making, by Bottleneck.
 * It knows people and servers only as keys.
 */
import Bottleneck from "bottleneck";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import { reservoirOf, retryAfterSeconds } from "./person-rate.ts";
import type { SharedLimits } from "./shared-limits.ts";

/** The limits, from the settings. */
export type LimitSettings = {
  readonly personRequestsPerMinute: number;
  readonly guildConcurrentRequests: number;
};

/** Why a request was not taken. */
export type Refusal =
  | { readonly reason: "person_rate"; readonly retryAfterSeconds: number }
  | { readonly reason: "guild_queue_full" }
  | { readonly reason: "closing" };

/** The work's result, or why it was not begun. */
export type Admission<T> =
  | { readonly kind: "done"; readonly value: T }
  | ({ readonly kind: "refused" } & Refusal);

/** Questions that may wait for a place in one server. */
const GUILD_QUEUE_LIMIT = 32;
/** A limiter that nobody uses is let go after this time. */
const IDLE_MS = 30 * 60_000;

/**
 * Told how many wait in front (0: next), each time that changes, until the work begins; and about how long
 * that takes, as soon as anything took its time here.
 */
export type OnPosition = (position: number, waitMs?: number) => void;

/** The newest duration's share in the mean. */
const NEWEST_SHARE = 0.3;

/** A server's work: who waits, oldest first, and how many run. */
type GuildQueue = { readonly waiting: OnPosition[]; running: number };

/** All limits of one bot. */
export class RequestLimits {
  /** By the requests a minute that they allow. */
  readonly #people = new Map<number, Bottleneck.Group>();
  readonly #guilds: Bottleneck.Group;
  /** Lets one request at a time look at a person's reservoir and take from it. */
  readonly #counter = new Bottleneck({ maxConcurrent: 1 });
  readonly #queues = new Map<string, GuildQueue>();
  readonly #places: number;
  readonly #perMinute: number;
  readonly #clock: Clock;
  readonly #shared: Pick<SharedLimits, "take" | "disconnect"> | undefined;
  /** Of the work so far; undefined before the first. */
  #meanMs: number | undefined;
  #isClosing = false;

  /** @param shared counts people for all processes; while it cannot, this process counts its own */
  constructor(
    settings: LimitSettings,
    clock: Clock = systemClock,
    shared?: Pick<SharedLimits, "take" | "disconnect">,
  ) {
    this.#clock = clock;
    this.#shared = shared;
    this.#perMinute = settings.personRequestsPerMinute;
    this.#places = settings.guildConcurrentRequests;
    this.#guilds = new Bottleneck.Group({ maxConcurrent: this.#places, timeout: IDLE_MS });
  }

  /** Questions that wait for a place, in all servers. */
  get waiting(): number {
    return [...this.#queues.values()].reduce((sum, queue) => sum + queue.waiting.length, 0);
  }

  /** Does the work when its turn comes, and returns what it returned; or does not begin it. */
  async run<T>(
    who: {
      readonly person: string;
      readonly guild: string;
      /** Requests a minute for this person; undefined: the settings'. */
      readonly perMinute?: number | undefined;
    },
    work: () => Promise<T>,
    onPosition: OnPosition,
  ): Promise<Admission<T>> {
    if (this.#isClosing) return { kind: "refused", reason: "closing" };
    if ((this.#queues.get(who.guild)?.waiting.length ?? 0) >= GUILD_QUEUE_LIMIT) {
      return { kind: "refused", reason: "guild_queue_full" };
    }
    const perMinute = who.perMinute ?? this.#perMinute;
    if (!(await this.#counter.schedule(() => this.#takeFromPerson(who.person, perMinute)))) {
      const seconds = retryAfterSeconds(perMinute);
      return { kind: "refused", reason: "person_rate", retryAfterSeconds: seconds };
    }
    return this.#runInGuild(who.guild, work, onPosition);
  }

  /** Takes nothing new from now on; what waits is refused, what runs goes on. */
  close(): void {
    this.#isClosing = true;
  }

  /** Stops all timers. */
  async disconnect(): Promise<void> {
    const groups = [...this.#people.values(), this.#guilds];
    await Promise.all([this.#shared?.disconnect(), ...groups.map((group) => group.disconnect())]);
  }

  /** The job does nothing: a person's limiter only counts. */
  async #takeFromPerson(person: string, perMinute: number): Promise<boolean> {
    const shared = await this.#shared?.take(person, perMinute);
    if (shared !== undefined) return shared;
    const limiter = this.#peopleAt(perMinute).key(person);
    if ((await limiter.currentReservoir()) === 0) return false;
    await limiter.schedule(() => Promise.resolve());
    return true;
  }

  #peopleAt(perMinute: number): Bottleneck.Group {
    const present = this.#people.get(perMinute);
    if (present !== undefined) return present;
    const group = new Bottleneck.Group({ ...reservoirOf(perMinute), timeout: IDLE_MS });
    this.#people.set(perMinute, group);
    return group;
  }

  async #runInGuild<T>(
    guild: string,
    work: () => Promise<T>,
    onPosition: OnPosition,
  ): Promise<Admission<T>> {
    const queue = this.#queues.get(guild) ?? { waiting: [], running: 0 };
    this.#queues.set(guild, queue);
    queue.waiting.push(onPosition);
    this.#tellPosition(queue, queue.waiting.length - 1);
    return this.#guilds.key(guild).schedule(async (): Promise<Admission<T>> => {
      this.#begin(queue, onPosition);
      try {
        if (this.#isClosing) return { kind: "refused", reason: "closing" };
        return { kind: "done", value: await this.#timed(work) };
      } finally {
        queue.running -= 1;
        if (queue.running + queue.waiting.length === 0) this.#queues.delete(guild);
      }
    });
  }

  async #timed<T>(work: () => Promise<T>): Promise<T> {
    const startedMs = this.#clock.monotonicMs();
    const value = await work();
    const tookMs = this.#clock.monotonicMs() - startedMs;
    const before = this.#meanMs ?? tookMs;
    this.#meanMs = before + NEWEST_SHARE * (tookMs - before);
    return value;
  }

  #begin(queue: GuildQueue, onPosition: OnPosition): void {
    queue.running += 1;
    queue.waiting.splice(queue.waiting.indexOf(onPosition), 1);
    for (const index of queue.waiting.keys()) this.#tellPosition(queue, index);
  }

  /** Says nothing to those for whom there is a place already. */
  #tellPosition(queue: GuildQueue, index: number): void {
    const position = queue.running + index - this.#places;
    if (position < 0) return;
    const mean = this.#meanMs;
    queue.waiting[index]?.(
      position,
      mean === undefined ? undefined : (mean * (position + 1)) / this.#places,
    );
  }
}
