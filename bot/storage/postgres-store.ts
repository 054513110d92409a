/** A Keyv store on Postgres: one table of keys and values, with the expiry as a column, as on SQLite. */
import pg from "pg";
import { CodedError } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";
import { beginningOf, type EntryStore } from "./entry-store.ts";
import { hostOf } from "./host-of.ts";
import { unreachable } from "./redis.ts";
import { tellWaiting } from "./waiting.ts";

/** Several processes may start at once; only one of them creates the table. */
const SCHEMA_LOCK = 8_177_0001;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS zephyr_entries (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    expires_at_ms BIGINT
  );
  CREATE INDEX IF NOT EXISTS zephyr_entries_by_expiry ON zephyr_entries (expires_at_ms)
    WHERE expires_at_ms IS NOT NULL;`;
const START_WAIT_MS = 15_000;
const START_PAUSE_MS = 500;
const CONNECT_TIMEOUT_MS = 5_000;
/** A server that hangs counts as away after this time. */
const QUERY_TIMEOUT_MS = 5_000;
const CONNECTIONS = 4;
/** Expired entries are swept once in so many writes. */
const WRITES_BETWEEN_SWEEPS = 500;
const PAGE_ROWS = 500;
const LIVE = "(expires_at_ms IS NULL OR expires_at_ms >= $2)";

/**
 * Connects, waiting a while for a server that is still starting, and makes the table where it is missing.
 * @throws CodedError `store_unreachable`; so do all methods
 */
export async function openPostgresStore(
  url: string,
  log: Logger,
  startWaitMs: number = START_WAIT_MS,
): Promise<EntryStore> {
  const pool = new pg.Pool({
    connectionString: url,
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    application_name: "zephyr",
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on("error", (error) =>
    log.error({ err: error, server: hostOf(url) }, "a connection to Postgres broke"),
  );
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw error instanceof CodedError ? error : unreachable("DATABASE_URL", url, error);
    }
  };
  try {
    const waiting = { setting: "DATABASE_URL", url, waitMs: startWaitMs };
    await guard(() => createTable(pool, startWaitMs, (error) => tellWaiting(log, waiting, error)));
  } catch (error) {
    await pool.end();
    throw error;
  }
  return storeOn(pool, guard);
}

function storeOn(pool: pg.Pool, guard: <T>(work: () => Promise<T>) => Promise<T>): EntryStore {
  const run = (sql: string, ...values: (string | number | null)[]) =>
    guard(() => pool.query<{ key: string; value: string }>(sql, values));
  let writes = 0;
  return {
    get: async (key) => {
      const { rows } = await run(
        `SELECT value FROM zephyr_entries WHERE key = $1 AND ${LIVE}`,
        ...[key, Date.now()],
      );
      return rows[0]?.value;
    },
    has: async (key) => {
      const { rows } = await run(
        `SELECT key FROM zephyr_entries WHERE key = $1 AND ${LIVE}`,
        ...[key, Date.now()],
      );
      return rows.length > 0;
    },
    set: async (key, value, ttlMs) => {
      await run(
        `INSERT INTO zephyr_entries VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at_ms = excluded.expires_at_ms`,
        ...[key, value, ttlMs === undefined ? null : Math.round(Date.now() + ttlMs)],
      );
      writes += 1;
      if (writes % WRITES_BETWEEN_SWEEPS === 1) {
        await run("DELETE FROM zephyr_entries WHERE expires_at_ms < $1", Date.now());
      }
      return true;
    },
    delete: async (key) =>
      ((await run("DELETE FROM zephyr_entries WHERE key = $1", key)).rowCount ?? 0) > 0,
    clear: async () => {
      await run("DELETE FROM zephyr_entries");
    },
    iterator: (namespace) => readAll(run, beginningOf(namespace)),
    disconnect: () => (pool.ended ? Promise.resolve() : pool.end()),
  };
}

async function* readAll(
  run: (
    sql: string,
    ...values: (string | number)[]
  ) => Promise<pg.QueryResult<{ key: string; value: string }>>,
  beginning: string,
): AsyncGenerator<[string, string]> {
  for (let after = ""; ; ) {
    const { rows } = await run(
      `SELECT key, value FROM zephyr_entries WHERE key > $1 AND ${LIVE} AND starts_with(key, $3) ORDER BY key LIMIT ${PAGE_ROWS}`,
      ...[after, Date.now(), beginning],
    );
    for (const { key, value } of rows) yield [key, value];
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return;
    after = last.key;
  }
}

/** @param onWaiting told of the first failure that may pass */
async function createTable(
  pool: pg.Pool,
  waitMs: number,
  onWaiting: (error: unknown) => void,
): Promise<void> {
  const giveUpAtMs = performance.now() + waitMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      await pool.query(`BEGIN; SELECT pg_advisory_xact_lock(${SCHEMA_LOCK}); ${SCHEMA} COMMIT;`);
      return;
    } catch (error) {
      if (performance.now() > giveUpAtMs || !isAway(error)) throw error;
      if (attempt === 0) onWaiting(error);
      await new Promise((resolve) => setTimeout(resolve, START_PAUSE_MS));
    }
  }
}

/** What the server itself refuses (a wrong password, no such database) does not pass by waiting. */
function isAway(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return true;
  // https://www.postgresql.org/docs/current/errcodes-appendix.html: cannot_connect_now
  return error.code === "57P03";
}
