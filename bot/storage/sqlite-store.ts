/**
 * A Keyv store on SQLite: one table of keys and values. The expiry is a column, so that what
 * nobody reads again can be swept.
 */
import { explainDatabaseError, openDatabase, preparingOnce } from "#engine/base/database.ts";
import { beginningOf, type EntryStore } from "./entry-store.ts";

/** A store that is closed with its owner. */
export type SqliteStore = EntryStore & Disposable;

const MIGRATIONS = [
  `CREATE TABLE entries (
     key TEXT PRIMARY KEY,
     value TEXT NOT NULL,
     expires_at_ms INTEGER
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX entries_by_expiry ON entries (expires_at_ms) WHERE expires_at_ms IS NOT NULL;`,
];

/** Expired entries are swept once in so many writes. */
const WRITES_BETWEEN_SWEEPS = 500;

/**
 * Opens or creates the store at `path`. Text that is deleted is overwritten on the disk.
 * @throws CodedError `database_failed`, `disk_full`; so do all methods
 */
export function openSqliteStore(path: string): SqliteStore {
  const database = openDatabase(path, MIGRATIONS);
  database.exec("PRAGMA secure_delete = ON");
  const guard = <T>(work: () => T): Promise<T> => runGuarded(path, work);
  const prepare = preparingOnce(database);
  const read = (key: string) => readValue(prepare, key);
  const write = prepareWrite(prepare);
  const close = () => {
    if (database.isOpen) database.close();
  };
  return {
    get: (key) => guard(() => read(key)),
    has: (key) => guard(() => read(key) !== undefined),
    set: (key, value, ttlMs) => guard(() => write(key, value, ttlMs)),
    delete: (key) => guard(() => prepare("DELETE FROM entries WHERE key = ?").run(key).changes > 0),
    clear: () => guard(() => database.exec("DELETE FROM entries")),
    iterator: (namespace) => readAll(prepare, path, beginningOf(namespace)),
    disconnect: () => guard(close),
    [Symbol.dispose]: close,
  };
}

type Prepare = ReturnType<typeof preparingOnce>;

function prepareWrite(prepare: Prepare): (key: string, value: string, ttlMs?: number) => boolean {
  let writes = 0;
  return (key, value, ttlMs) => {
    const expiresAtMs = ttlMs === undefined ? null : Date.now() + ttlMs;
    prepare("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)").run(key, value, expiresAtMs);
    writes += 1;
    if (writes % WRITES_BETWEEN_SWEEPS === 1) {
      prepare("DELETE FROM entries WHERE expires_at_ms < ?").run(Date.now());
    }
    return true;
  };
}

function readValue(prepare: Prepare, key: string): string | undefined {
  const row = prepare(
    "SELECT value FROM entries WHERE key = ?1 AND ifnull(expires_at_ms, ?2) >= ?2",
  ).get(key, Date.now());
  return row === undefined ? undefined : String(row["value"]);
}

/** After every key that begins alike: SQLite compares bytes. */
const LAST = "\u{10FFFF}";

async function* readAll(
  prepare: Prepare,
  path: string,
  beginning: string,
): AsyncGenerator<[string, string]> {
  const rows = await runGuarded(path, () =>
    prepare(
      "SELECT key, value FROM entries WHERE key >= ?1 AND key < ?2 AND ifnull(expires_at_ms, ?3) >= ?3",
    ).all(beginning, `${beginning}${LAST}`, Date.now()),
  );
  for (const row of rows) yield [String(row["key"]), String(row["value"])];
}

async function runGuarded<T>(path: string, work: () => T): Promise<T> {
  try {
    return work();
  } catch (error) {
    throw explainDatabaseError(error, path);
  }
}
