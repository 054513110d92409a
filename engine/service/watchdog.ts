/**
 * Notices when the model has stopped computing: streams are busy, and no batch has been finished for too
 * long. A process whose native code hangs cannot be helped from within; its supervisor starts a new one.
 */
import type { Backend } from "../backends/backend.ts";
import type { Clock } from "../base/clock.ts";

/** A large model on a slow machine may take a minute for one batch of a long prompt. */
const PATIENCE_MS = 180_000;
const LOOK_EVERY_MS = 10_000;

/** Looks at one backend's progress. */
export class Watchdog {
  readonly #backend: Pick<Backend, "stats">;
  readonly #clock: Clock;
  #decodes = -1;
  #progressMs: number;

  constructor(backend: Pick<Backend, "stats">, clock: Clock) {
    this.#backend = backend;
    this.#clock = clock;
    this.#progressMs = clock.monotonicMs();
  }

  /** For how long nothing was computed although something should be, ms, once that is too long. */
  look(): number | undefined {
    const { decodes, busyStreams } = this.#backend.stats();
    const nowMs = this.#clock.monotonicMs();
    if (busyStreams === 0 || decodes !== this.#decodes) {
      this.#decodes = decodes;
      this.#progressMs = nowMs;
      return undefined;
    }
    const stillMs = nowMs - this.#progressMs;
    return stillMs >= PATIENCE_MS ? stillMs : undefined;
  }
}

/**
 * Looks regularly until disposed.
 * @param onHung told once, with how long nothing was computed, ms
 */
export function watch(watchdog: Watchdog, onHung: (stillMs: number) => void): Disposable {
  const timer = setInterval(() => {
    const stillMs = watchdog.look();
    if (stillMs === undefined) return;
    clearInterval(timer);
    onHung(stillMs);
  }, LOOK_EVERY_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
