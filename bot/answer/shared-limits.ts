/**
 * The limits by person, counted by Bottleneck in Redis for all of the bot's processes together. A limit by
 * server needs no such counting: a server's questions all come to one process.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Bottleneck from "bottleneck";
import type { Redis } from "ioredis";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import type { Logger } from "#engine/base/log.ts";
import { reservoirOf } from "./person-rate.ts";

/** Each limiter sends heartbeats while it is kept; a minute's reservoir is full again long before. */
const IDLE_MS = 2 * 60_000;
/** All questions wait while one is counted: a server that hangs counts as away after this time … */
const ANSWER_MS = 2_000;
/** … and is asked again only after so long. */
const AWAY_MS = 10_000;

/** Bottleneck's connection and the limiters on it; made anew after a failure, since they do not recover. */
type Counting = {
  readonly connection: Bottleneck.IORedisConnection;
  /** By the requests a minute that they allow. */
  readonly groups: Map<number, Bottleneck.Group>;
};

/** Counts in Redis. */
export class SharedLimits {
  readonly #redis: Redis;
  readonly #log: Logger;
  readonly #clock: Clock;
  #counting: Counting | undefined;
  #awayUntilMs = Number.NEGATIVE_INFINITY;

  constructor(redis: Redis, log: Logger, clock: Clock = systemClock) {
    this.#redis = redis;
    this.#log = log;
    this.#clock = clock;
  }

  /**
   * Takes one request of a person's.
   * @returns whether there was one left; undefined while Redis cannot say
   */
  async take(person: string, perMinute: number): Promise<boolean | undefined> {
    const isAway = this.#clock.monotonicMs() < this.#awayUntilMs;
    if (isAway || this.#redis.status !== "ready") return undefined;
    try {
      // Bottleneck waits without an end for a connection that is neither there nor refused.
      const late = sleep(ANSWER_MS, undefined, { ref: false });
      const taken = await Promise.race([this.#takeShared(person, perMinute), late]);
      if (taken === undefined) throw new Error(`no answer within ${ANSWER_MS} ms`);
      return taken;
    } catch (error) {
      this.#log.warn(
        { err: error },
        "Redis does not count requests now: this process counts alone",
      );
      this.#awayUntilMs = this.#clock.monotonicMs() + AWAY_MS;
      await this.disconnect();
      return undefined;
    }
  }

  /** Stops all timers and closes the connections. */
  async disconnect(): Promise<void> {
    const counting = this.#counting;
    this.#counting = undefined;
    await counting?.connection.disconnect(false);
  }

  async #takeShared(person: string, perMinute: number): Promise<boolean> {
    const limiter = this.#limiterOf(person, perMinute);
    if ((await limiter.currentReservoir()) === 0) return false;
    await limiter.schedule(() => Promise.resolve());
    return true;
  }

  #limiterOf(person: string, perMinute: number): Bottleneck {
    this.#counting ??= this.#connect();
    const { connection, groups } = this.#counting;
    let group = groups.get(perMinute);
    if (group === undefined) {
      group = new Bottleneck.Group({
        ...reservoirOf(perMinute),
        id: `zephyr-person-${perMinute}`,
        connection,
        timeout: IDLE_MS,
      });
      groups.set(perMinute, group);
    }
    const limiter = group.key(person);
    // Also told by the calls that wait for it.
    limiter.ready().catch(() => undefined);
    return limiter;
  }

  #connect(): Counting {
    const connection = new Bottleneck.IORedisConnection({ client: this.#redis.duplicate() });
    connection.on("error", (error: unknown) =>
      this.#log.debug({ err: error }, "the limits' connection to Redis"),
    );
    return { connection, groups: new Map() };
  }
}
