/** Keeps a notice from being repeated in a channel: a full disk must not flood it. */
import type { Clock } from "#engine/base/clock.ts";

const INTERVAL_MS = 10 * 60_000;
const CHANNELS_KEPT = 1_000;

/** When each channel was last told. */
export class Notices {
  readonly #clock: Clock;
  readonly #toldAtMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the channel has not been told lately; it counts as told then. */
  mayTell(channelId: string): boolean {
    const now = this.#clock.monotonicMs();
    const last = this.#toldAtMs.get(channelId);
    if (last !== undefined && now - last < INTERVAL_MS) return false;
    if (this.#toldAtMs.size >= CHANNELS_KEPT) this.#toldAtMs.clear();
    this.#toldAtMs.set(channelId, now);
    return true;
  }
}
