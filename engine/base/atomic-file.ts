/** Files that are either wholly the old or wholly the new, even when the machine dies in between. */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { CodedError, systemCode } from "./errors.ts";

/**
 * Replaces the file at `path`: written beside it, synced, then renamed over it (rename(2) is atomic).
 * @throws CodedError `disk_full` when the disk has no room; the old file then still stands
 */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  writeChunksAtomic(path, [typeof data === "string" ? Buffer.from(data) : data]);
}

/**
 * Like `writeFileAtomic`, for files that are made piece by piece and need not fit in memory.
 * Whatever `chunks` throws leaves the old file standing.
 * @throws CodedError `disk_full`
 */
export function writeChunksAtomic(path: string, chunks: Iterable<Uint8Array>): void {
  const temporary = `${path}.${process.pid}.tmp`;
  mkdirSync(dirname(path), { recursive: true });
  try {
    writeAndSync(temporary, chunks);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw explainWriteError(error, path);
  }
}

/** Turns ENOSPC and EDQUOT into `disk_full` with advice; passes every other error through. */
export function explainWriteError(error: unknown, path: string): unknown {
  const code = systemCode(error);
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new CodedError(
    `No room left on the disk to write ${path}. Free some space, or set DATA_DIR to a larger disk; nothing was overwritten.`,
    { code: "disk_full", cause: error },
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
