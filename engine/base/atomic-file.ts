/** Files that are either wholly the old or wholly the new, even when the machine dies in between. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { CodedError, systemCode } from "./errors.ts";

/**
 * Replaces the file at `path`: written beside it, synced, then renamed over it (rename(2) is atomic).
 * @throws CodedError `disk_full` when the disk has no room; the old file then still stands; `not_writable`
 */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  writeChunksAtomic(path, [typeof data === "string" ? Buffer.from(data) : data]);
}

/**
 * Like `writeFileAtomic`, for files that are made piece by piece and need not fit in memory.
 * Whatever `chunks` throws leaves the old file standing.
 * @throws CodedError `disk_full`, `not_writable`
 */
export function writeChunksAtomic(path: string, chunks: Iterable<Uint8Array>): void {
  const temporary = `${path}.${process.pid}.tmp`;
  makeFolder(dirname(path));
  try {
    writeAndSync(temporary, chunks);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw explainWriteError(error, path);
  }
}

/**
 * Makes a folder and those above it; one that is there stays as it is.
 * @param mode of the folders that are made
 * @throws CodedError `disk_full`, `not_writable`
 */
export function makeFolder(path: string, mode = 0o777): void {
  try {
    makeTopmost(resolve(path), mode);
    mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    throw explainWriteError(error, path);
  }
}

/**
 * Makes the first folder that is missing on the way to `path`. With `recursive` Node would try for ever where the
 * system takes none (/proc/x); below one that was just made it cannot happen.
 */
function makeTopmost(path: string, mode: number): void {
  if (existsSync(path)) return;
  const above = dirname(path);
  if (!existsSync(above)) {
    makeTopmost(above, mode);
    return;
  }
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Another process made it meanwhile.
    if (systemCode(error) !== "EEXIST") throw error;
  }
}

/** What the system says when a path cannot be written, and what that means to whoever chose it. */
const NOT_WRITABLE: Readonly<Record<string, string>> = {
  EACCES: "this user may not write there",
  EPERM: "this user may not write there",
  EROFS: "its disk is read-only",
  ENOTDIR: "a part of that path is a file, not a folder",
  EEXIST: "a file is in its place",
  EISDIR: "a folder is in its place",
  ENOENT: "there is no such place",
};

/** A full disk becomes `disk_full`, a path that cannot be written `not_writable`, each with advice; any other error passes through. */
export function explainWriteError(error: unknown, path: string): unknown {
  const code = systemCode(error) ?? "";
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new CodedError(
      `No room left on the disk to write ${path}. Free some space, or set DATA_DIR to a larger disk; nothing was overwritten.`,
      { code: "disk_full", cause: error },
    );
  }
  const why = NOT_WRITABLE[code];
  if (why === undefined) return error;
  return new CodedError(
    `${path} cannot be written: ${why} (${code}). Give this user the right to, or name another place (DATA_DIR for the data folder).`,
    { code: "not_writable", cause: error },
  );
}

function writeAndSync(path: string, chunks: Iterable<Uint8Array>): void {
  const file = openSync(path, "w", 0o600);
  try {
    for (const data of chunks) {
      for (let offset = 0; offset < data.length; ) offset += writeSync(file, data, offset);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
