/**
 * Keeps systemd informed where it runs us as a service of Type=notify: that we are up, alive, stopping (sd_notify(3)).
 * Node has no datagram sockets of the unix kind, so systemd's own program carries the words; they come from another
 * process than the main one then, and the unit needs NotifyAccess=all. It knows nothing of what runs.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Carries assignments such as `READY=1`. */
export type SendStates = (states: readonly string[]) => Promise<void>;

/** What the manager asked of us, by our environment. */
export type ManagerWishes = {
  /** Silence after which it ends us; undefined where it does not watch. */
  readonly watchdogMs: number | undefined;
};

/** While something loads or downloads, so much more time is asked for, again and again. */
const START_EXTENSION_MS = 120_000;
const EXTEND_EVERY_MS = 30_000;
const SEND_TIMEOUT_MS = 10_000;

/**
 * @returns undefined where no service manager waits for word.
 * WATCHDOG_PID is not heeded: it names npm or a wrapper where one of these is what the unit starts.
 */
export function readWishes(
  environment: Readonly<Record<string, string | undefined>>,
): ManagerWishes | undefined {
  if (!environment["NOTIFY_SOCKET"]) return undefined;
  const watchdogMs = Number(environment["WATCHDOG_USEC"] ?? 0) / 1000;
  return { watchdogMs: watchdogMs > 0 ? watchdogMs : undefined };
}

/** By systemd's own program. @throws Error where there is none, or it could not be heard */
export const sendByProgram: SendStates = async (states) => {
  await promisify(execFile)("systemd-notify", states, { timeout: SEND_TIMEOUT_MS });
};

/** One run's word to the manager. Nothing that goes wrong with it keeps anybody from chatting. */
export class ManagerLink implements Disposable {
  readonly #wishes: ManagerWishes;
  readonly #send: SendStates;
  readonly #onProblem: (message: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #hasFailed = false;

  constructor(options: {
    readonly wishes: ManagerWishes;
    readonly send: SendStates;
    /** Told once. */
    readonly onProblem: (message: string) => void;
  }) {
    this.#wishes = options.wishes;
    this.#send = options.send;
    this.#onProblem = options.onProblem;
  }

  /** A model may be loaded or downloaded first: longer than any fixed time to start. */
  async starting(): Promise<void> {
    await this.#say(["STATUS=Starting", `EXTEND_TIMEOUT_USEC=${START_EXTENSION_MS * 1000}`]);
    this.#every(EXTEND_EVERY_MS, () =>
      this.#say([`EXTEND_TIMEOUT_USEC=${START_EXTENSION_MS * 1000}`]),
    );
  }

  /**
   * Everything is up; from now on we are alive as long as `isHealthy` says so.
   * @param isHealthy asked twice in the time that the manager would wait
   */
  async ready(status: string, isHealthy: () => Promise<boolean>): Promise<void> {
    this[Symbol.dispose]();
    await this.#say(["READY=1", `STATUS=${status}`]);
    const { watchdogMs } = this.#wishes;
    if (watchdogMs === undefined) return;
    this.#every(watchdogMs / 2, async () => {
      if (await isHealthy()) await this.#say(["WATCHDOG=1"]);
    });
  }

  async stopping(): Promise<void> {
    this[Symbol.dispose]();
    await this.#say(["STOPPING=1", "STATUS=Finishing what is being answered"]);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Never twice at once: a slow answer must not pile up questions. */
  #every(ms: number, work: () => Promise<void>): void {
    let isAtWork = false;
    const run = async () => {
      if (isAtWork) return;
      isAtWork = true;
      await work();
      isAtWork = false;
    };
    this.#timer = setInterval(() => void run(), ms).unref();
  }

  async #say(states: readonly string[]): Promise<void> {
    try {
      await this.#send(states);
    } catch (error) {
      if (this.#hasFailed) return;
      this.#hasFailed = true;
      const why = error instanceof Error ? error.message : String(error);
      this.#onProblem(
        `The service manager could not be told "${states[0]}" (${why}). Install systemd-notify and set NotifyAccess=all in the unit, or use Type=exec without WatchdogSec.`,
      );
    }
  }
}
