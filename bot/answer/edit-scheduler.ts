/**
 * When a channel's messages are sent and edited: one at a time, about one a second, the newest state
 * only, final states first. It knows nothing of what is sent; Discord publishes no figure for edits
 * (reference: one scheduler per channel that obeys the headers).
 */
import { type Clock, systemClock } from "#engine/base/clock.ts";

/** Something with a state to show. */
export type EditSource = {
  /**
   * Sends the newest state, in one request. Never rejects.
   * @returns whether there is still something to send
   */
  sendNext(): Promise<"more" | "nothing">;
};

/** Time between two requests to one channel, in milliseconds. */
const INTERVAL_MS = 1_000;
/** The clock and pace of a scheduler; about one request a second when left out. */
type SchedulerOptions = { readonly clock?: Clock; readonly intervalMs?: number };

/** The scheduler of one channel. A source waits at most once, however often it asks. */
export class EditScheduler {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #final = new Set<EditSource>();
  readonly #progress = new Set<EditSource>();
  #nextAtMs = 0;
  #isRunning = false;

  constructor(options: SchedulerOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#intervalMs = options.intervalMs ?? INTERVAL_MS;
  }

  /** Whether nothing waits or is being sent. */
  get isIdle(): boolean {
    return !this.#isRunning;
  }

  /** Asks for a turn. A final state goes before all that are in the making. */
  request(source: EditSource, urgency: "progress" | "final"): void {
    if (urgency === "final") {
      this.#progress.delete(source);
      this.#final.add(source);
    } else if (!this.#final.has(source)) {
      this.#progress.add(source);
    }
    if (!this.#isRunning) void this.#run();
  }

  /** Sends nothing for so long, because Discord said so. */
  holdForMs(durationMs: number): void {
    this.#nextAtMs = Math.max(this.#nextAtMs, this.#clock.monotonicMs() + durationMs);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#final.size + this.#progress.size > 0) {
      await this.#waitForTurn();
      await this.#sendOne();
    }
    this.#isRunning = false;
  }

  /** A loop, since the turn may be put off while waiting for it. */
  async #waitForTurn(): Promise<void> {
    for (;;) {
      const waitMs = this.#nextAtMs - this.#clock.monotonicMs();
      if (waitMs <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, Math.ceil(waitMs)));
    }
  }

  async #sendOne(): Promise<void> {
    const queue = this.#final.size > 0 ? this.#final : this.#progress;
    const [source] = queue;
    if (source === undefined) return;
    queue.delete(source);
    const startedMs = this.#clock.monotonicMs();
    const outcome = await source.sendNext();
    const now = this.#clock.monotonicMs();
    // A pause also after a request that itself took longer (Discord made it wait).
    this.#nextAtMs = Math.max(
      this.#nextAtMs,
      startedMs + this.#intervalMs,
      now + this.#intervalMs / 4,
    );
    if (outcome === "more") queue.add(source);
  }
}

/** Channels whose schedulers are kept; beyond it idle ones are let go. */
const KEPT_CHANNELS = 1_000;

/** The schedulers of all channels, made as they are needed. */
export class EditSchedulers {
  readonly #byChannel = new Map<string, EditScheduler>();
  readonly #options: SchedulerOptions;

  constructor(options: SchedulerOptions = {}) {
    this.#options = options;
  }

  /** The one scheduler of a channel or thread. */
  of(channelId: string): EditScheduler {
    const present = this.#byChannel.get(channelId);
    if (present !== undefined) return present;
    if (this.#byChannel.size >= KEPT_CHANNELS) this.#dropIdle();
    const scheduler = new EditScheduler(this.#options);
    this.#byChannel.set(channelId, scheduler);
    return scheduler;
  }

  /** Discord limited a channel, or everything when `channelId` is undefined. */
  holdForMs(channelId: string | undefined, durationMs: number): void {
    for (const [id, scheduler] of this.#byChannel) {
      if (channelId === undefined || channelId === id) scheduler.holdForMs(durationMs);
    }
  }

  #dropIdle(): void {
    for (const [id, scheduler] of this.#byChannel) {
      if (scheduler.isIdle) this.#byChannel.delete(id);
    }
  }
}
