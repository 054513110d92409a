/**
 * The limits by person, counted by Bottleneck in Redis for all of the bot's processes together. A limit by
 * server needs no such counting: a server's questions all come to one process.
 */
import Bottleneck from "bottleneck";
import type { Redis } from "ioredis";
import type { Logger } from "#engine/base/log.ts";
import { reservoirOf } from "./person-rate.ts";

/** Each limiter sends heartbeats while it is kept; a minute's reservoir is full again long before. */
const IDLE_MS = 2 * 60_000;

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
  #counting: Counting | undefined;

  constructor(redis: Redis, log: Logger) {
    this.#redis = redis;
    this.#log = log;
  }

  /**
   * Takes one request of a person's.
   * @returns whether there was one left; undefined while Redis cannot say
   */
  async take(person: string, perMinute: number): Promise<boolean | undefined> {
    if (this.#redis.status !== "ready") return undefined;
    try {
      const limiter = this.#limiterOf(person, perMinute);
      if ((await limiter.currentReservoir()) === 0) return false;
      await limiter.schedule(() => Promise.resolve());
      return true;
    } catch (error) {
      this.#log.warn(
        { err: error },
        "Redis does not count requests now: this process counts alone",
      );
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
