/** Discord's ids: time, worker and sequence in one 64-bit number. Knows nothing of what they name. */
import type { Clock } from "#engine/base/clock.ts";

/** First second of 2015: https://discord.com/developers/docs/reference#snowflakes */
const DISCORD_EPOCH_MS = 1_420_070_400_000n;
const SEQUENCE_BITS = 22n;
const PER_MILLISECOND = 1n << SEQUENCE_BITS;

/** Gives strictly growing ids, also when the clock stands still or is set back. */
export class Snowflakes {
  readonly #clock: Clock;
  #last: bigint;

  /** @param last the greatest id given out so far (0 for none), so that a restart repeats none */
  constructor(clock: Clock, last: bigint) {
    this.#clock = clock;
    this.#last = last;
  }

  next(): string {
    const now = snowflakeAt(this.#clock.nowMs());
    this.#last = now > this.#last ? now : this.#last + 1n;
    return String(this.#last);
  }
}

/** When an id was made, in milliseconds since the epoch. */
export function snowflakeTimeMs(id: string): number {
  return Number(BigInt(id) / PER_MILLISECOND + DISCORD_EPOCH_MS);
}

/** The least id of a millisecond. */
export function snowflakeAt(timeMs: number): bigint {
  const since = BigInt(Math.floor(timeMs)) - DISCORD_EPOCH_MS;
  return (since > 1n ? since : 1n) * PER_MILLISECOND;
}
