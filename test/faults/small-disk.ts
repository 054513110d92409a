/** A disk of its own, small enough to fill: a tmpfs, which only root can mount. */
import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemCode } from "#engine/base/errors.ts";

/** Of util-linux, at the paths that every Linux has. */
const MOUNT = "/bin/mount";
const UNMOUNT = "/bin/umount";

/** Whether this process may mount one; tests skip themselves where it may not. */
export const CAN_MOUNT = process.platform === "linux" && process.getuid?.() === 0 && mounts();

/** A mounted disk, unmounted by `Symbol.dispose`. */
export type SmallDisk = Disposable & {
  readonly folder: string;
  /** Fills it, to the last byte or but for some room. */
  fill(roomBytes?: number): void;
  /** Takes the filling away again. */
  free(): void;
};

/** Mounts a disk of `bytes`. */
export function mountSmallDisk(bytes: number): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), "disk-"));
  execFileSync(MOUNT, ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder]);
  const filling = join(folder, "filling");
  return {
    folder,
    fill: (roomBytes = 0) => fillDisk(filling, roomBytes),
    free: () => rmSync(filling, { force: true }),
    [Symbol.dispose]: () => {
      execFileSync(UNMOUNT, ["--lazy", folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function fillDisk(path: string, roomBytes: number): void {
  const file = openSync(path, "a");
  const block = Buffer.alloc(4_096);
  let written = 0;
  try {
    for (;;) written += writeSync(file, block);
  } catch (error) {
    if (systemCode(error) !== "ENOSPC") throw error;
    ftruncateSync(file, Math.max(0, written - roomBytes));
  } finally {
    closeSync(file);
  }
}

/** A container's root may lack the right. */
function mounts(): boolean {
  try {
    mountSmallDisk(65_536)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}
