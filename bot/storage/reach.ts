/**
 * Whether the servers that keep what the bot stores can be used, for whoever sets them up. It changes nothing on
 * them: the table is made when the bot starts.
 */
import pg from "pg";
import type { Logger } from "#engine/base/log.ts";
import { hostOf } from "./host-of.ts";
import type { StoreSettings } from "./open-stores.ts";
import { openRedis, unreachable } from "./redis.ts";

/** Long enough for a server across a network, short enough for a person who waits. */
const PATIENCE_MS = 5_000;

/**
 * In a sentence for each server, what it is and what goes there; none without one.
 * @throws CodedError `store_unreachable`
 */
export async function reachStores(config: StoreSettings, log: Logger): Promise<readonly string[]> {
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = config;
  return [
    ...(databaseUrl === undefined ? [] : [await reachPostgres(databaseUrl)]),
    ...(redisUrl === undefined ? [] : [await reachRedis(redisUrl, log, databaseUrl !== undefined)]),
  ];
}

async function reachRedis(url: string, log: Logger, countsOnly: boolean): Promise<string> {
  const redis = await openRedis(url, log, PATIENCE_MS);
  try {
    const version = /^redis_version:(\S+)/m.exec(await redis.info("server"))?.[1];
    const holds = countsOnly ? "counts the limits" : "keeps conversations and settings";
    return `Redis ${version ?? "of an unknown version"} at ${hostOf(url)} ${holds}`;
  } catch (error) {
    throw unreachable("REDIS_URL", url, error);
  } finally {
    redis.disconnect();
  }
}

async function reachPostgres(url: string): Promise<string> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: PATIENCE_MS,
    query_timeout: PATIENCE_MS,
  });
  // Without a listener a connection that breaks would end the process.
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string; is_ready: boolean }>(READINESS);
    const [row] = rows;
    if (row?.is_ready !== true)
      throw new Error("its user may not create tables there: GRANT CREATE ON SCHEMA public");
    return `Postgres ${row.version} at ${hostOf(url)} keeps conversations and settings`;
  } catch (error) {
    throw unreachable("DATABASE_URL", url, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Whether the table is there, or can be made. */
const READINESS = `
  SELECT current_setting('server_version') AS version,
    to_regclass('zephyr_entries') IS NOT NULL
      OR has_schema_privilege(current_schema(), 'CREATE') AS is_ready
`;
