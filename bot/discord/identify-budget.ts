/**
 * How often the bot may identify with the gateway: Discord resets the token of an application that does
 * so more than 1,000 times a day. The count survives restarts, and stops at half of that.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import type { Clock } from "#engine/base/clock.ts";
import { systemCode } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";

/** IDENTIFYs a day. */
export const IDENTIFY_LIMIT = 500;
const DAY_MS = 24 * 60 * 60 * 1_000;
/** https://discord.com/developers/docs/events/gateway#rate-limiting: one in five seconds. */
const INTERVAL_MS = 5_000;

const stored = z.object({ identifiedAtMs: z.array(z.number()) });

/** Counts and paces IDENTIFYs, as discord.js's `IIdentifyThrottler`. */
export class IdentifyBudget {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #identifiedAtMs: number[];

  private constructor(path: string, clock: Clock, log: Logger) {
    this.#path = path;
    this.#clock = clock;
    this.#log = log;
    this.#identifiedAtMs = readTimes(path);
  }

  /** The budget of a data folder. */
  static open(dataDir: string, clock: Clock, log: Logger): IdentifyBudget {
    return new IdentifyBudget(join(dataDir, "identify.json"), clock, log);
  }

  /** IDENTIFYs that are left of the last 24 hours' budget. */
  get left(): number {
    this.#forgetOld();
    return Math.max(0, IDENTIFY_LIMIT - this.#identifiedAtMs.length);
  }

  /** Milliseconds until the next one may be sent. */
  get waitMs(): number {
    const now = this.#clock.nowMs();
    if (this.left === 0) return Math.max(0, (this.#identifiedAtMs[0] ?? now) + DAY_MS - now);
    const last = this.#identifiedAtMs.at(-1);
    // A clock that was set back must not make it wait for long.
    return last === undefined ? 0 : Math.min(INTERVAL_MS, Math.max(0, last + INTERVAL_MS - now));
  }

  /** Resolves when the next IDENTIFY may be sent, which is counted then. @throws the signal's reason */
  async waitForIdentify(_shardId: number, signal: AbortSignal): Promise<void> {
    for (let waitMs = this.waitMs; waitMs > 0; waitMs = this.waitMs) {
      if (this.left === 0) {
        this.#log.error(
          { limit: IDENTIFY_LIMIT, waitMs },
          "The bot identified too often today and waits, so that Discord does not reset its token. See why connections are lost.",
        );
      }
      await sleep(Math.min(waitMs, DAY_MS), undefined, { signal, ref: false });
    }
    this.#identifiedAtMs.push(this.#clock.nowMs());
    try {
      writeFileAtomic(this.#path, `${JSON.stringify({ identifiedAtMs: this.#identifiedAtMs })}\n`);
    } catch (error) {
      // A full disk must not keep the bot away; the count still holds while it runs.
      this.#log.error({ err: error }, "the count of IDENTIFYs was not saved");
    }
  }

  #forgetOld(): void {
    const since = this.#clock.nowMs() - DAY_MS;
    this.#identifiedAtMs = this.#identifiedAtMs.filter((at) => at > since);
  }
}

/** A damaged file counts as none: it would be worse not to start at all. */
function readTimes(path: string): number[] {
  try {
    return stored.parse(JSON.parse(readFileSync(path, "utf8"))).identifiedAtMs;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return [];
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}
