/** What the page's status strip shows: engine, bot, adapter, ratings. Asks at most every two seconds. */
import { existsSync } from "node:fs";
import type { Clock } from "#engine/base/clock.ts";
import type { EngineClient, Health } from "#engine/client/engine-client.ts";
import { isOnTrial } from "#engine/service/adapters/canary.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import { GUILD_ID } from "../world/seed.ts";

/** How long an answer is passed on before the engine is asked again. */
const FRESH_MS = 2_000;
/** How long the engine may take to answer. */
const PATIENCE_MS = 1_500;

/** The strip's content. */
export type Status = {
  readonly bot: "connected" | "offline";
  /** "unknown" when no engine's address was given */
  readonly engine: "up" | "draining" | "down" | "unknown";
  readonly model: string | null;
  /** the adapter that answers where none is on trial; null for the bare model */
  readonly adapter: string | null;
  /** the adapter on trial, with how many percent of the servers, and whether with the playground's */
  readonly trial: {
    readonly name: string;
    readonly percent: number;
    readonly isHere: boolean;
  } | null;
  /** ratings that stand: thumbs and stars; null before the first */
  readonly ratings: number | null;
};

/** Where to ask. */
export type StatusSources = {
  readonly clock: Clock;
  readonly dataDir: string;
  readonly engine: EngineClient | undefined;
  readonly isBotConnected: () => boolean;
};

/** Gathers the status. */
export class StatusBoard implements Disposable {
  readonly #sources: StatusSources;
  #last: { readonly status: Promise<Status>; readonly atMs: number } | undefined;
  #log: FeedbackLog | undefined;

  constructor(sources: StatusSources) {
    this.#sources = sources;
  }

  /** The status, at most two seconds old; whether the bot is there is always current. */
  async read(): Promise<Status> {
    const now = this.#sources.clock.monotonicMs();
    if (this.#last === undefined || now - this.#last.atMs >= FRESH_MS) {
      this.#last = { status: this.#gather(), atMs: now };
    }
    return { ...(await this.#last.status), bot: this.#bot() };
  }

  [Symbol.dispose](): void {
    this.#log?.close();
  }

  async #gather(): Promise<Status> {
    const unasked = {
      bot: this.#bot(),
      ...{ model: null, adapter: null, trial: null },
      ratings: this.#ratings(),
    };
    const { engine } = this.#sources;
    if (engine === undefined) return { ...unasked, engine: "unknown" };
    try {
      const health = await engine.health(AbortSignal.timeout(PATIENCE_MS));
      return {
        ...unasked,
        engine: health.status === "draining" ? "draining" : "up",
        model: health.model.id,
        adapter: health.adapter,
        trial: health.canary === null ? null : trialOf(health.canary),
      };
    } catch {
      // Whatever the reason, all that the strip says is that the engine does not answer.
      return { ...unasked, engine: "down" };
    }
  }

  #bot(): Status["bot"] {
    return this.#sources.isBotConnected() ? "connected" : "offline";
  }

  /** The log is the bot's; it is only opened here once the bot has made it. */
  #ratings(): number | null {
    const path = feedbackPath(this.#sources.dataDir);
    if (this.#log === undefined && !existsSync(path)) return null;
    try {
      this.#log ??= FeedbackLog.open(path);
      return this.#log.counts().standingRatings;
    } catch {
      // A damaged or full log is reported by the bot, which writes it; the strip just shows none.
      return null;
    }
  }
}

function trialOf(canary: NonNullable<Health["canary"]>): NonNullable<Status["trial"]> {
  const { name, share } = canary;
  return { name, percent: Math.round(share * 100), isHere: isOnTrial(canary, GUILD_ID) };
}
