/**
 * The order of the gateway's events, whatever order they are handled in: Discord numbers them within a
 * session (https://discord.com/developers/docs/events/gateway#sequence-numbers). Pure but for its memory.
 */

/** When something was done: the same for each delivery of one event, later for later events. */
export type Stamp = {
  /** Of the event: an event delivered twice has it twice. */
  readonly id: string;
  readonly atMs: number;
};

/** Numbers whose time is remembered, for late and repeated events. */
const KEPT_NUMBERS = 20_000;

/** The order of one shard's events. Bounded. */
export class GatewayOrder {
  #session = "";
  #newest = 0;
  #newestAtMs = 0;
  /** Times by number, oldest first. */
  #seen = new Map<number, number>();

  /** A new session begins to count at 1. */
  begin(session: string): void {
    this.#session = session;
    this.#newest = 0;
    this.#seen = new Map();
  }

  /**
   * The stamp of the event with this number. A gap reserves a millisecond for each number that is
   * missing, so that an event that comes late still has its place.
   */
  stamp(sequence: number, nowMs: number): Stamp {
    return { id: `${this.#session}.${sequence}`, atMs: this.#place(sequence, nowMs) };
  }

  /** The time of something read now: after all that was told, and before whatever is told from now on. */
  readingAtMs(nowMs: number): number {
    return Math.max(this.#newestAtMs, nowMs - 1);
  }

  #place(sequence: number, nowMs: number): number {
    const known = this.#seen.get(sequence);
    if (known !== undefined) return known;
    if (sequence < this.#newest) return this.#placeLate(sequence);
    const gap = this.#newest === 0 ? 1 : sequence - this.#newest;
    this.#newestAtMs = Math.max(nowMs, this.#newestAtMs + gap);
    this.#newest = sequence;
    this.#seen.set(sequence, this.#newestAtMs);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > KEPT_NUMBERS && oldest !== undefined) this.#seen.delete(oldest);
    return this.#newestAtMs;
  }

  /** Before the next number that was seen: the gap in front of that one was reserved. */
  #placeLate(sequence: number): number {
    for (let next = sequence + 1; next < this.#newest; next++) {
      const atMs = this.#seen.get(next);
      if (atMs !== undefined) return atMs - (next - sequence);
    }
    return this.#newestAtMs - (this.#newest - sequence);
  }
}
