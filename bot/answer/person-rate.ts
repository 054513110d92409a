/** How a person's questions in a minute are given out: so many at once, then one by one. */

/** How often Bottleneck looks whether a reservoir is due for more. */
const HEARTBEAT_MS = 250;
const MINUTE_MS = 60_000;

/** A limiter's options for so many requests a minute. */
export function reservoirOf(perMinute: number) {
  const intervalMs = Math.max(HEARTBEAT_MS, MINUTE_MS / perMinute);
  return {
    reservoir: perMinute,
    reservoirIncreaseAmount: Math.max(1, Math.round((perMinute * intervalMs) / MINUTE_MS)),
    reservoirIncreaseInterval: intervalMs,
    reservoirIncreaseMaximum: perMinute,
  };
}

/** Seconds after which there is room again. */
export function retryAfterSeconds(perMinute: number): number {
  return Math.ceil(MINUTE_MS / perMinute / 1_000);
}
