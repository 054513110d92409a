/**
 * Keeps requests from a server that does not answer: after several failures in a row none goes out for a
 * while, then one, and all again once that one succeeds. It knows no HTTP.
 */
import type { Clock } from "../../base/clock.ts";

const FAILURES_TO_OPEN = 5;
const OPEN_MS = 10_000;

/** Whether requests may go out. */
export type CircuitState = "closed" | "open" | "half-open";

/** A circuit breaker. */
export class Circuit {
  readonly #clock: Clock;
  #failures = 0;
  #openedMs: number | undefined;
  #isProbing = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get state(): CircuitState {
    if (this.#openedMs === undefined) return "closed";
    return this.#waitMs > 0 ? "open" : "half-open";
  }

  /**
   * Asks to send a request.
   * @returns undefined when it may go out; otherwise after how many ms to come back
   */
  refusal(): number | undefined {
    if (this.#openedMs === undefined) return undefined;
    if (this.#waitMs > 0) return this.#waitMs;
    if (this.#isProbing) return OPEN_MS;
    this.#isProbing = true;
    return undefined;
  }

  /** The server answered. */
  succeed(): void {
    this.#failures = 0;
    this.#openedMs = undefined;
    this.#isProbing = false;
  }

  /** The server did not answer, or not as it should. */
  fail(): void {
    this.#failures += 1;
    this.#isProbing = false;
    if (this.#failures >= FAILURES_TO_OPEN) this.#openedMs = this.#clock.monotonicMs();
  }

  /** The request was given up by its caller: nothing is known of the server. */
  forget(): void {
    this.#isProbing = false;
  }

  get #waitMs(): number {
    const since = this.#clock.monotonicMs() - (this.#openedMs ?? 0);
    return Math.max(0, OPEN_MS - since);
  }
}
