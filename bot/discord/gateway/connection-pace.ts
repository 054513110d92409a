/**
 * Pauses between attempts to connect to the gateway: none at first, then twice as long each time, until
 * a session stands. discord.js by itself tries again at once, for ever. Knows nothing of sockets.
 */
import type { Logger } from "#engine/base/log.ts";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** Paces one client's connections. */
export class ConnectionPace {
  readonly #log: Logger;
  readonly #random: () => number;
  #attempts = 0;
  /** The first connection is one, too. */
  #isDue = true;
  #isStopped = false;

  /** @param random 0 to 1, so that many bots don't come back at once */
  constructor(log: Logger, random: () => number = Math.random) {
    this.#log = log;
    this.#random = random;
  }

  /** Milliseconds to pause before the next attempt, which counts. */
  nextPauseMs(): number {
    this.#attempts += 1;
    // The first connection, and the first one after a loss, go at once.
    if (this.#attempts <= 2) return 0;
    const fullMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#attempts - 3));
    return Math.round(fullMs * (0.5 + this.#random() / 2));
  }

  /** The connection is gone: what comes next is an attempt. */
  lost(): void {
    this.#isDue = true;
  }

  /** A session stands. */
  succeeded(): void {
    this.#attempts = 1;
  }

  /**
   * Waits before an attempt to connect; while a connection stands, does nothing. Once the pace is
   * stopped, it waits for ever: nobody wants the connection any more.
   */
  async beforeAttempt(): Promise<void> {
    if (!this.#isDue) return;
    this.#isDue = false;
    const pauseMs = this.nextPauseMs();
    if (pauseMs > 0) {
      this.#log.warn({ attempt: this.#attempts, pauseMs }, "waiting before connecting again");
      await new Promise((resolve) => setTimeout(resolve, pauseMs).unref());
    }
    if (this.#isStopped) await new Promise(() => undefined);
  }

  /** No more attempts. */
  stop(): void {
    this.#isStopped = true;
  }
}
