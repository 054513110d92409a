/**
 * The connection to Redis: one client for the store and the limits (Bottleneck speaks ioredis). A command
 * fails at once while the server is away, so that an answer never waits for it. Knows nothing of keys.
 */
import { Redis, ReplyError } from "ioredis";
import { CodedError } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";
import { hostOf } from "./host-of.ts";
import { reasonOf, tellWaiting } from "./waiting.ts";

/** A server that starts beside the bot may need so long. */
const START_WAIT_MS = 15_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** A server that hangs counts as away after this time. */
const COMMAND_TIMEOUT_MS = 2_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Connects, waiting a while for a server that is still starting.
 * @throws CodedError `store_unreachable`
 */
export async function openRedis(
  url: string,
  log: Logger,
  startWaitMs: number = START_WAIT_MS,
): Promise<Redis> {
  const redis = new Redis(url, {
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt),
  });
  const waiting = { setting: "REDIS_URL", url, waitMs: startWaitMs };
  const failure = await untilReady(redis, startWaitMs, (error) => tellWaiting(log, waiting, error));
  if (failure !== undefined) {
    redis.disconnect();
    throw unreachable("REDIS_URL", url, failure);
  }
  tellChanges(redis, url, log);
  return redis;
}

/**
 * Connects anew to a server that let a command time out: until it answers again, commands fail at once, where else
 * each of an answer's many would wait out its own time.
 */
export function dropIfHanging(error: unknown, redis: Redis): void {
  const isLate = error instanceof Error && error.message === "Command timed out";
  if (isLate && redis.status === "ready") redis.disconnect(true);
}

/** An error of Redis as one of ours, which says what is to be done. */
export function explainRedisError(error: unknown, redis: Redis): unknown {
  if (error instanceof CodedError || !(error instanceof Error)) return error;
  const { host = "", port = "" } = redis.options;
  return unreachable("REDIS_URL", `redis://${host}:${port}`, error);
}

/** @param setting which setting names the server */
export function unreachable(setting: string, url: string, cause: unknown): CodedError {
  return new CodedError(
    `The server of ${setting} (${hostOf(url)}) cannot be used: ${reasonOf(cause)}. Start it or correct ${setting}; without ${setting} everything is kept in DATA_DIR.`,
    { code: "store_unreachable", cause },
  );
}

/**
 * @param onWaiting told of the first failure
 * @returns why it did not get ready in time, or why waiting is of no use
 */
function untilReady(
  redis: Redis,
  waitMs: number,
  onWaiting: (error: Error) => void,
): Promise<Error | undefined> {
  let last: Error | undefined;
  return new Promise((resolve) => {
    const give = (failure: Error | undefined) => {
      clearTimeout(timer);
      resolve(failure);
    };
    const none = `no answer within ${Math.round(waitMs / 1_000)} s`;
    const timer = setTimeout(() => give(last ?? new Error(none)), waitMs);
    // Stays for good: an error that nobody hears would end the process.
    redis.on("error", (error: Error) => {
      // What the server itself refuses (a wrong password) does not pass by waiting.
      if (error instanceof ReplyError) give(error);
      else if (last === undefined && redis.status !== "ready") onWaiting(error);
      last = error;
    });
    redis.once("ready", () => give(undefined));
  });
}

/** One line when it goes and one when it is back, not one for each attempt. */
function tellChanges(redis: Redis, url: string, log: Logger): void {
  let isAway = false;
  // Not `close`, which also comes when the bot itself ends the connection.
  redis.on("reconnecting", () => {
    if (isAway) return;
    isAway = true;
    log.error(
      { server: hostOf(url) },
      "Redis is away: answers go on without earlier turns, with the settings last seen; changes of settings are refused",
    );
  });
  redis.on("ready", () => {
    if (isAway) log.info({ server: hostOf(url) }, "Redis is back");
    isAway = false;
  });
}
