/**
 * The feedback log's file and the keys that open what is in it: statements, transactions, errors. It knows no table.
 */
import {
  type Database,
  explainDatabaseError,
  inTransaction,
  openDatabase,
  preparingOnce,
} from "#engine/base/database.ts";
import type { KeyRing } from "./key-ring.ts";
import { MIGRATIONS } from "./schema.ts";
import { sealOldText } from "./seal-old-text.ts";

type Value = string | number | null;

/** An open log. Every method throws CodedError `disk_full` or `database_failed` when SQLite cannot. */
export class LogDatabase implements Disposable {
  readonly keys: KeyRing;
  readonly #database: Database;
  readonly #prepare: ReturnType<typeof preparingOnce>;
  readonly #path: string;

  /** Opens or creates the file, and seals what is in the clear there. @param keys the log's own from then on */
  constructor(path: string, keys: KeyRing) {
    const database = openDatabase(path, MIGRATIONS);
    try {
      database.exec("PRAGMA secure_delete = ON");
      sealOldText(database, keys);
    } catch (error) {
      database.close();
      throw explainDatabaseError(error, path);
    }
    this.keys = keys;
    this.#database = database;
    this.#prepare = preparingOnce(database);
    this.#path = path;
  }

  /** All rows of a question. */
  all(sql: string, ...values: (string | number)[]): Record<string, unknown>[] {
    return this.guard(() => this.#prepare(sql).all(...values));
  }

  /** One statement; how many rows it changed. To be called within `write` or `guard`. */
  run(sql: string, ...values: Value[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  /** Likewise, with values by their names in the statement. */
  runNamed(sql: string, values: Readonly<Record<string, Value>>): number {
    return Number(this.#prepare(sql).run(values).changes);
  }

  /** Runs statements that stand together or not at all. */
  write(work: () => void): void {
    this.guard(() => inTransaction(this.#database, work));
  }

  /** Empties the write-ahead log, so that nothing that was erased stays in it. */
  truncate(): void {
    this.guard(() => this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  }

  /** Runs what may fail in SQLite or with a key's file, with errors that say what to do. */
  guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explainDatabaseError(error, this.#path);
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
    this.keys[Symbol.dispose]();
  }
}
