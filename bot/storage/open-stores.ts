/**
 * Where conversations and settings are kept: Postgres with DATABASE_URL, else Redis with REDIS_URL, else
 * SQLite in DATA_DIR. What must never be lost or is joined with the feedback log stays in DATA_DIR always.
 */
import { join } from "node:path";
import type { Redis } from "ioredis";
import type { Config } from "#engine/base/config.ts";
import type { Logger } from "#engine/base/log.ts";
import type { EntryStore } from "./entry-store.ts";
import { carryOver, keepCopy } from "./kept-copy.ts";
import { CONVERSATIONS } from "./open-keyv.ts";
import { openPostgresStore } from "./postgres-store.ts";
import { openRedis } from "./redis.ts";
import { openRedisStore } from "./redis-store.ts";
import { openSqliteStore } from "./sqlite-store.ts";

/** The open stores. */
export type BotStores = AsyncDisposable & {
  readonly conversations: EntryStore;
  /** Settings, moderation choices and open comparisons; read from this machine while the server is away. */
  readonly settings: EntryStore;
  /** On this machine, for what a server did not take; undefined where everything is on this machine. */
  readonly local: EntryStore | undefined;
  /** For the limits; undefined without REDIS_URL. */
  readonly redis: Redis | undefined;
};

/** The settings that decide. */
export type StoreSettings = Pick<Config, "DATA_DIR" | "DATABASE_URL" | "REDIS_URL">;

/** @throws CodedError `store_unreachable`, `database_failed`, `disk_full` */
export async function openBotStores(
  config: StoreSettings,
  log: Logger,
  startWaitMs?: number,
): Promise<BotStores> {
  await using opened = new AsyncDisposableStack();
  const local = opened.use(openSqliteStore(join(config.DATA_DIR, "bot.db")));
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = config;
  const redis =
    redisUrl === undefined
      ? undefined
      : opened.adopt(await openRedis(redisUrl, log, startWaitMs), (client) => client.disconnect());
  const server = await openServerStore(databaseUrl, redis, log, startWaitMs);
  if (server === undefined)
    return kept(opened.move(), { conversations: local, settings: local, local: undefined, redis });
  opened.defer(() => server.disconnect());
  const count = await carryOver(local, server, (key) => key.startsWith(`${CONVERSATIONS}::`));
  if (count > 0) log.info({ count }, "entries went over from DATA_DIR to the server");
  const settings = keepCopy(server, local);
  return kept(opened.move(), { conversations: server, settings, local, redis });
}

async function openServerStore(
  databaseUrl: string | undefined,
  redis: Redis | undefined,
  log: Logger,
  startWaitMs: number | undefined,
): Promise<EntryStore | undefined> {
  if (databaseUrl !== undefined) return openPostgresStore(databaseUrl, log, startWaitMs);
  return redis === undefined ? undefined : openRedisStore(redis);
}

function kept(
  opened: AsyncDisposableStack,
  stores: Omit<BotStores, typeof Symbol.asyncDispose>,
): BotStores {
  return { ...stores, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
