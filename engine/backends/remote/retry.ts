/**
 * Tries again what failed for a moment: exponential backoff with full jitter
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), bounded.
 * It does not know what it tries.
 */

/** How to wait; tests pass their own. */
export type Pause = {
  /** Rejects with the signal's reason when that aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** [0, 1) */
  readonly random: () => number;
};

/** A failure that may pass; with how long the other side asks to be left alone. */
export class Transient extends Error {
  /** What to tell when it does not pass. */
  readonly outcome: Error;
  readonly retryAfterMs: number | undefined;

  constructor(
    outcome: Error,
    options: ErrorOptions & { readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(outcome.message, options);
    this.name = "Transient";
    this.outcome = outcome;
    this.retryAfterMs = options.retryAfterMs;
  }
}

const ATTEMPTS = 3;
const FIRST_MS = 250;
const MOST_MS = 4_000;

/**
 * Runs `attempt` up to three times, as long as it throws `Transient`.
 * @throws what the last attempt threw; of a `Transient` its outcome
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  { pause, signal }: { readonly pause: Pause; readonly signal: AbortSignal },
): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Transient)) throw error;
      const waitMs = backoffMs(tried, pause.random());
      const askedMs = error.retryAfterMs ?? 0;
      // Who asks for a longer rest than we would ever take is to be believed, not waited for.
      if (tried >= ATTEMPTS || askedMs > MOST_MS) throw error.outcome;
      await pause.sleep(Math.max(askedMs, waitMs), signal);
    }
  }
}

/**
 * The wait after an attempt, ms.
 * @param tried attempts so far, from 1
 * @param share [0, 1) of the longest wait
 */
export function backoffMs(tried: number, share: number): number {
  return Math.round(share * Math.min(MOST_MS, FIRST_MS * 2 ** (tried - 1)));
}
