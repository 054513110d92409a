/**
 * The registry's dealings with single files: hashing, copying and refusing links.
 * It does not know what an adapter is.
 */
import { createHash } from "node:crypto";
import { constants, lstatSync, realpathSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

/**
 * Like `hashFile`, but a symbolic link in its place is refused (ELOOP).
 */
export async function hashUnlinked(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return await hashInto(file, null);
  } finally {
    await file.close();
  }
}

/** Copies `from` to the new file `to`, synced to disk, and returns the sha256 of what was copied. */
export async function copyHashed(from: string, to: string): Promise<string> {
  const source = await open(from, constants.O_RDONLY);
  try {
    const target = await open(to, "wx", 0o600);
    try {
      const hash = await hashInto(source, target);
      await target.sync();
      return hash;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Writes the new file `path` and syncs it to disk. */
export async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes renames inside `path` durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Whether `root/name` is a real folder that lies where it says, and `file` a regular file in it:
 * no symbolic links anywhere below the root, so nothing outside it can be reached by a name.
 */
export function isContained(root: string, name: string, file: string): boolean {
  const folder = join(root, name);
  if (!lstatSync(folder).isDirectory()) return false;
  if (realpathSync(folder) !== join(realpathSync(root), name)) return false;
  return lstatSync(join(folder, file)).isFile();
}

async function hashInto(source: FileHandle, target: FileHandle | null): Promise<string> {
  const hash = createHash("sha256");
  const pieces = source.createReadStream({ autoClose: false, highWaterMark: 1 << 20 });
  for await (const piece of pieces) {
    hash.update(piece);
    await target?.writeFile(piece);
  }
  return hash.digest("hex");
}
