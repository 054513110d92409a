import { existsSync, readFileSync } from "node:fs";
import koffi from "koffi";
import { beforeAll, describe, expect, it } from "vitest";
import { tuneMalloc } from "#engine/native/malloc-tuning.ts";

const MIB = 1 << 20;

describe.skipIf(!hasGlibc())("tuneMalloc", () => {
  const libc = hasGlibc() ? koffi.load("libc.so.6") : undefined;
  const malloc = (bytes: number) => BigInt(libc?.func("uint64_t malloc(size_t bytes)")(bytes));
  const free = (address: bigint) => libc?.func("void free(uint64_t address)")(address);
  beforeAll(() => tuneMalloc());

  it("has a large block go back to the system when it is freed, also after larger ones were", () => {
    // By itself glibc would take its size for the least that is worth a mapping.
    free(malloc(24 * MIB));
    const blocks = [1, 2, 4].map((times) => malloc(5 * times * MIB));
    expect(blocks.every(isMapped)).toBe(true);
    for (const block of blocks) free(block);
    expect(blocks.filter(isMapped)).toEqual([]);
  });
});

function hasGlibc(): boolean {
  return process.platform === "linux" && !existsSync("/etc/alpine-release");
}

/** Whether the process still has memory at an address (proc_pid_maps(5)). */
function isMapped(address: bigint): boolean {
  const ranges = readFileSync("/proc/self/maps", "utf8").matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm);
  return [...ranges].some(
    ([, start, end]) => address >= BigInt(`0x${start}`) && address < BigInt(`0x${end}`),
  );
}
