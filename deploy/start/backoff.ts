/** How long to wait before a crashed process is started again. Pure; it knows no processes or timers. */

const FIRST_MS = 1_000;
const LONGEST_MS = 60_000;
/** A process that ran this long had recovered: the next crash counts as a first one. */
const STABLE_MS = 60_000;

/** Crashes in a row, each soon after its start. */
export type Crashes = { readonly inARow: number };

/** No crash yet. */
export const NO_CRASHES: Crashes = { inARow: 0 };

/** Counts one more crash, of a process that ran for `ranForMs`. */
export function countCrash(before: Crashes, ranForMs: number): Crashes {
  return { inARow: ranForMs >= STABLE_MS ? 1 : before.inARow + 1 };
}

/** Milliseconds to wait: doubled each time, from one second to at most one minute. */
export function restartDelayMs({ inARow }: Crashes): number {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, inARow - 1));
}
