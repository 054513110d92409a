/**
 * How often the bot may identify with the gateway: Discord resets the token of an application that does
 * so more than 1,000 times a day. The count is of all processes, survives restarts, and stops at half of
 * that.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "#engine/base/clock.ts";
import type { Logger } from "#engine/base/log.ts";
import type { GatewayLedger } from "./gateway-ledger.ts";

/** IDENTIFYs a day. */
export const IDENTIFY_LIMIT = 500;
const DAY_MS = 24 * 60 * 60 * 1_000;
/** https://discord.com/developers/docs/events/gateway#rate-limiting: one in five seconds and bucket. */
const LIMIT = { perDay: IDENTIFY_LIMIT, intervalMs: 5_000 };

/** Counts and paces IDENTIFYs, as discord.js's `IIdentifyThrottler`. */
export class IdentifyBudget {
  readonly #ledger: GatewayLedger;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Shards that may identify at the same time: they are in buckets by `id % maxConcurrency`. */
  maxConcurrency = 1;

  constructor(ledger: GatewayLedger, clock: Clock, log: Logger) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#log = log;
  }

  /** IDENTIFYs that are left of the last 24 hours' budget. */
  get left(): number {
    return Math.max(0, IDENTIFY_LIMIT - this.#ledger.identifies(this.#clock.nowMs() - DAY_MS));
  }

  /** Milliseconds until a shard's next one may be sent. */
  waitMs(shardId: number): number {
    return this.#ledger.identifyWaitMs(this.#bucketOf(shardId), this.#clock.nowMs(), LIMIT);
  }

  /** Resolves when the next IDENTIFY may be sent, which is counted then. @throws the signal's reason */
  async waitForIdentify(shardId: number, signal: AbortSignal): Promise<void> {
    const take = () =>
      this.#ledger.takeIdentify(this.#bucketOf(shardId), this.#clock.nowMs(), LIMIT);
    for (let waitMs = take(); waitMs > 0; waitMs = take()) {
      if (this.left === 0) {
        this.#log.error(
          { limit: IDENTIFY_LIMIT, waitMs },
          "The bot identified too often today and waits, so that Discord does not reset its token. See why connections are lost.",
        );
      }
      await sleep(Math.min(waitMs, DAY_MS), undefined, { signal, ref: false });
    }
  }

  #bucketOf(shardId: number): number {
    return shardId % this.maxConcurrency;
  }
}
