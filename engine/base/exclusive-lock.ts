/**
 * A lock that one process at a time can hold and that the system frees when its holder dies, however
 * it dies: SQLite's own file lock. A file with a process id would go stale. Knows nothing of its use.
 */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { makeFolder, writeFileAtomic } from "./atomic-file.ts";
import { explainDatabaseError } from "./database.ts";

/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/** A held lock, freed by `Symbol.dispose` or by the process's end. */
export type HeldLock = Disposable & { readonly held: true };

/** The lock is another process's; `holder` is that one's id, as far as known. */
export type LockTaken = { readonly held: false; readonly holder: string };

/**
 * Takes the lock at `path` (a small file that stays) or says who has it; never waits.
 * @throws CodedError `database_failed`, `disk_full`, `not_writable`
 */
export function takeLock(path: string): HeldLock | LockTaken {
  makeFolder(dirname(path));
  const database = openFile(path);
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (isBusy(error)) return { held: false, holder: readHolder(path) };
    throw explainDatabaseError(error, path);
  }
  writeFileAtomic(holderPath(path), `${process.pid}\n`);
  return { held: true, [Symbol.dispose]: () => database.close() };
}

function openFile(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 });
  } catch (error) {
    throw explainDatabaseError(error, path);
  }
}

function isBusy(error: unknown): boolean {
  if (!(error instanceof Error) || !("errcode" in error)) return false;
  return (Number(error.errcode) & 0xff) === SQLITE_BUSY;
}

function readHolder(path: string): string {
  try {
    return readFileSync(holderPath(path), "utf8").trim();
  } catch {
    return "unknown";
  }
}

function holderPath(path: string): string {
  return `${path}.holder`;
}
