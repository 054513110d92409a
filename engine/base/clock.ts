/** Time as a parameter: production code takes a `Clock`, tests pass one that they move by hand. */

/** Wall-clock and monotonic time, in milliseconds. */
export type Clock = {
  /** Milliseconds since the epoch; may jump when the system's clock is set. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number;
};

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
