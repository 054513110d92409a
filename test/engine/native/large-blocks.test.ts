import { existsSync, readFileSync } from "node:fs";
import koffi from "koffi";
import { describe, expect, it } from "vitest";
import { giveBackLargeBlocks } from "#engine/native/large-blocks.ts";

const MIB = 1 << 20;

describe.skipIf(!hasGlibc())("a large block", () => {
  it("goes back to the system when it is freed, also after larger ones were", () => {
    const libc = koffi.load("libc.so.6");
    const malloc = libc.func("uint64_t malloc(size_t bytes)");
    const free = libc.func("void free(uint64_t address)");
    giveBackLargeBlocks();
    // By itself glibc would take its size for the least that is worth a mapping.
    free(BigInt(malloc(24 * MIB)));
    const blocks = [1, 2, 4, 8, 16].map((mebibytes) => BigInt(malloc(2 * mebibytes * MIB)));
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
