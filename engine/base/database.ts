/** SQLite by `node:sqlite`, opened the one way that loses nothing: WAL and synchronous=FULL. */
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { makeFolder } from "./atomic-file.ts";
import { CodedError } from "./errors.ts";

export type { DatabaseSync as Database };

/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;
/** https://www.sqlite.org/rescode.html#full */
const SQLITE_FULL = 13;
/** https://www.sqlite.org/rescode.html#corrupt and #notadb */
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
/** How long another process may hold a database. */
const PATIENCE_MS = 5_000;
const BETWEEN_TRIES_MS = 20;

/**
 * Opens (or creates) the database at `path` and applies the migrations that it has not seen yet.
 * @param migrations SQL scripts, oldest first; the position in the list is the schema's version
 * @throws CodedError `database_failed`, `disk_full`, `not_writable`; `data_newer` when it has seen more migrations
 * than there are here: what it holds would be misread
 */
export function openDatabase(path: string, migrations: readonly string[]): DatabaseSync {
  try {
    if (path !== ":memory:") makeFolder(dirname(path));
    const database = new DatabaseSync(path, { timeout: PATIENCE_MS });
    try {
      refuseNewer(database, path, migrations.length);
      useWriteAheadLog(database);
      database.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
      migrate(database, migrations);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    throw explainDatabaseError(error, path);
  }
}

/**
 * Two processes that open a new database at once both want to change its journal, and SQLite does not always wait
 * for that as it does for other locks (https://www.sqlite.org/c3ref/busy_handler.html).
 */
function useWriteAheadLog(database: DatabaseSync): void {
  const still = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; ; waitedMs += BETWEEN_TRIES_MS) {
    try {
      database.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (error) {
      if (resultCodeOf(error) !== SQLITE_BUSY || waitedMs >= PATIENCE_MS) throw error;
      Atomics.wait(still, 0, 0, BETWEEN_TRIES_MS);
    }
  }
}

/** SQLite's primary result code; 0 where the error is not SQLite's. */
function resultCodeOf(error: unknown): number {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
}

/**
 * Prepares each statement once. For a fixed set of texts: they are kept as long as the function is.
 * SQLite prepares one again by itself when the schema changes.
 */
export function preparingOnce(database: DatabaseSync): (sql: string) => StatementSync {
  const statements = new Map<string, StatementSync>();
  return (sql) => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const prepared = database.prepare(sql);
    statements.set(sql, prepared);
    return prepared;
  };
}

/** Runs `work` in a transaction that is rolled back when it throws. */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** A coded error that says what to do about SQLite's one. */
export function explainDatabaseError(error: unknown, path: string): unknown {
  if (error instanceof CodedError || !(error instanceof Error)) return error;
  const resultCode = resultCodeOf(error);
  if (resultCode === SQLITE_FULL) {
    return new CodedError(
      `No room left on the disk for ${path}. Free some space; what was acknowledged is kept.`,
      { code: "disk_full", cause: error },
    );
  }
  const remedy =
    resultCode === SQLITE_CORRUPT || resultCode === SQLITE_NOTADB
      ? "The file is damaged: move it aside and restore a backup"
      : "Check that DATA_DIR exists and that this user may write to it";
  return new CodedError(`Could not use the database ${path}: ${error.message}. ${remedy}.`, {
    code: "database_failed",
    cause: error,
  });
}

/**
 * Refuses a database of a newer release, which this one would misread.
 * @param known the version of the schema that this release knows
 * @throws CodedError `data_newer`
 */
export function refuseNewer(database: DatabaseSync, path: string, known: number): void {
  const version = versionOf(database);
  if (version <= known) return;
  throw new CodedError(
    `${path} has version ${version}, this release knows versions up to ${known}: a newer release wrote it. Run that release, restore a backup from before it, or set DATA_DIR to another folder.`,
    { code: "data_newer" },
  );
}

/** Each in a transaction that looks at the version itself: several processes may open a new file at once. */
function migrate(database: DatabaseSync, migrations: readonly string[]): void {
  while (versionOf(database) < migrations.length) {
    inTransaction(database, () => {
      const version = versionOf(database);
      const script = migrations[version];
      if (script === undefined) return;
      database.exec(script);
      database.exec(`PRAGMA user_version = ${version + 1}`);
    });
  }
}

function versionOf(database: DatabaseSync): number {
  return Number(database.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
}
