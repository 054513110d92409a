/**
 * What all of an installation's processes have done that Discord counts: IDENTIFYs and refused requests,
 * in `DATA_DIR/gateway.db`. The count lies beside the feedback log and not in Redis: what protects the
 * token must not depend on a server that may be away. It knows nothing of waiting.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Database, inTransaction, openDatabase } from "#engine/base/database.ts";
import type { Logger } from "#engine/base/log.ts";

const MIGRATIONS = [
  `CREATE TABLE identifies (
     at_ms INTEGER NOT NULL,
     bucket INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX identifies_by_time ON identifies (at_ms);
   CREATE TABLE refusals (
     one INTEGER PRIMARY KEY CHECK (one = 1),
     count INTEGER NOT NULL,
     ends_at_ms INTEGER NOT NULL
   ) STRICT;
   INSERT INTO refusals VALUES (1, 0, 0);`,
];
const DAY_MS = 24 * 60 * 60 * 1_000;
/** From before there was a database. */
const OLD_FILE = "identify.json";
const oldTimes = z.object({ identifiedAtMs: z.array(z.number().int()) });

/** How many requests were refused in the window that ends at a time (Unix milliseconds). */
export type Refusals = { readonly count: number; readonly endsAtMs: number };

/** The counts. No method throws: without its file a process goes on with its own counts. */
export class GatewayLedger implements Disposable {
  readonly #file: Database | undefined;
  readonly #log: Logger;
  /** For when the file cannot be used. */
  readonly #own = openDatabase(":memory:", MIGRATIONS);

  private constructor(file: Database | undefined, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  /** The ledger of a data folder. A damaged one begins anew: it would be worse not to start at all. */
  static open(dataDir: string, log: Logger): GatewayLedger {
    const path = join(dataDir, "gateway.db");
    const ledger = new GatewayLedger(openOrRenew(path, log), log);
    ledger.#takeOldFile(join(dataDir, OLD_FILE));
    return ledger;
  }

  /** IDENTIFYs since a time, of all buckets. */
  identifies(sinceMs: number): number {
    return this.#use((database) => {
      const row = database
        .prepare("SELECT count(*) AS count FROM identifies WHERE at_ms > ?")
        .get(sinceMs);
      return Number(row?.["count"]);
    });
  }

  /**
   * Counts an IDENTIFY if it may be sent now.
   * @param bucket shards of one bucket are `intervalMs` apart (Discord's rate_limit_key)
   * @returns milliseconds until it may be sent; 0: it was counted
   */
  takeIdentify(
    bucket: number,
    nowMs: number,
    limit: { readonly perDay: number; readonly intervalMs: number },
  ): number {
    return this.#use((database) =>
      inTransaction(database, () => {
        database.prepare("DELETE FROM identifies WHERE at_ms <= ?").run(nowMs - DAY_MS);
        const waitMs = waitFor(database, bucket, nowMs, limit);
        if (waitMs === 0)
          database.prepare("INSERT INTO identifies VALUES (?, ?)").run(nowMs, bucket);
        return waitMs;
      }),
    );
  }

  /** Milliseconds until an IDENTIFY may be sent; nothing is counted. */
  identifyWaitMs(
    bucket: number,
    nowMs: number,
    limit: { readonly perDay: number; readonly intervalMs: number },
  ): number {
    return this.#use((database) => waitFor(database, bucket, nowMs, limit));
  }

  /** The refused requests of the window that runs now. */
  refusals(): Refusals {
    return this.#use((database) => toRefusals(database.prepare("SELECT * FROM refusals").get()));
  }

  /** Counts a refused request; the first one after a window's end begins the next window. */
  noteRefusal(nowMs: number, windowMs: number): Refusals {
    return this.#use((database) => {
      // A clock that was set back must not leave a window open for long.
      const row = database
        .prepare(
          `UPDATE refusals SET
             count = CASE WHEN ?1 >= ends_at_ms OR ends_at_ms > ?1 + ?2 THEN 1 ELSE count + 1 END,
             ends_at_ms = CASE WHEN ?1 >= ends_at_ms OR ends_at_ms > ?1 + ?2 THEN ?1 + ?2 ELSE ends_at_ms END
           RETURNING count, ends_at_ms`,
        )
        .get(nowMs, windowMs);
      return toRefusals(row);
    });
  }

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#own.close();
  }

  #use<T>(work: (database: Database) => T): T {
    if (this.#file === undefined) return work(this.#own);
    try {
      return work(this.#file);
    } catch (error) {
      // A full disk must not keep the bot away.
      this.#log.error(
        { err: error },
        "what Discord counts was not saved; this process counts on alone",
      );
      return work(this.#own);
    }
  }

  #takeOldFile(path: string): void {
    const times = readOldTimes(path);
    if (times === undefined) return;
    this.#use((database) =>
      inTransaction(database, () => {
        const insert = database.prepare("INSERT INTO identifies VALUES (?, 0)");
        for (const at of times) insert.run(at);
      }),
    );
    rmSync(path, { force: true });
  }
}

function waitFor(
  database: Database,
  bucket: number,
  nowMs: number,
  { perDay, intervalMs }: { readonly perDay: number; readonly intervalMs: number },
): number {
  const day = database
    .prepare("SELECT count(*) AS count, min(at_ms) AS oldest FROM identifies WHERE at_ms > ?")
    .get(nowMs - DAY_MS);
  if (Number(day?.["count"]) >= perDay) {
    return Math.max(1, Number(day?.["oldest"]) + DAY_MS - nowMs);
  }
  const last = database
    .prepare("SELECT max(at_ms) AS last FROM identifies WHERE bucket = ?")
    .get(bucket)?.["last"];
  // A clock that was set back must not make it wait for long.
  return last === null || last === undefined
    ? 0
    : Math.min(intervalMs, Math.max(0, Number(last) + intervalMs - nowMs));
}

function openOrRenew(path: string, log: Logger): Database | undefined {
  try {
    return openQuick(path);
  } catch (error) {
    log.error({ err: error }, "the count of IDENTIFYs cannot be read and begins anew");
  }
  try {
    for (const end of ["", "-wal", "-shm"]) rmSync(`${path}${end}`, { force: true });
    return openQuick(path);
  } catch {
    return undefined;
  }
}

/** The last counts may be lost when the machine loses its power; no request waits for the disk. */
function openQuick(path: string): Database {
  const database = openDatabase(path, MIGRATIONS);
  database.exec("PRAGMA synchronous = NORMAL");
  return database;
}

function readOldTimes(path: string): readonly number[] | undefined {
  try {
    return oldTimes.parse(JSON.parse(readFileSync(path, "utf8"))).identifiedAtMs;
  } catch {
    // Usually there is none.
    return undefined;
  }
}

function toRefusals(row: Readonly<Record<string, unknown>> | undefined): Refusals {
  return { count: Number(row?.["count"] ?? 0), endsAtMs: Number(row?.["ends_at_ms"] ?? 0) };
}
