import { readFileSync } from "node:fs";
import koffi from "koffi";
import { expect, test } from "vitest";
import { inHugePages } from "#engine/native/huge-pages.ts";

const BLOCK_BYTES = 16 << 20;
const NEVER = /\[never\]/;

/** Why this machine cannot show it; undefined where it can. */
function whyNot(): string | undefined {
  if (process.platform !== "linux") return "huge pages are asked for on Linux alone";
  try {
    const state = readFileSync("/sys/kernel/mm/transparent_hugepage/enabled", "utf8");
    return NEVER.test(state) ? "the kernel was told to use no huge pages" : undefined;
  } catch {
    return "the kernel has no huge pages";
  }
}

/** KiB in huge pages of the mapping that holds an address (proc_pid_smaps(5)). */
function hugeKibAt(address: bigint): number {
  const mappings = readFileSync("/proc/self/smaps", "utf8").split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  const mapping = mappings.find((text) => {
    const [start = 0n, end = 0n] = (text.split(" ")[0] ?? "")
      .split("-")
      .map((edge) => BigInt(`0x${edge}`));
    return start <= address && address < end;
  });
  return Number(/AnonHugePages:\s+(\d+)/.exec(mapping ?? "")?.[1] ?? 0);
}

test("a large block that a call leaves behind lies in huge pages, and holds what was written to it", (t) => {
  const why = whyNot();
  if (why !== undefined) t.skip(why);
  const libc = koffi.load("libc.so.6");
  const malloc = libc.func("uint64_t malloc(size_t size)");
  const memset = libc.func("uint64_t memset(uint64_t at, int byte, size_t size)");
  const free = libc.func("void free(uint64_t at)");
  const address = inHugePages(() => {
    const block = BigInt(malloc(BLOCK_BYTES));
    memset(block, 0x5a, BLOCK_BYTES);
    return block;
  });
  const middle = address + BigInt(BLOCK_BYTES / 2);
  const kept: number = koffi.decode(middle, "uint8_t");
  const huge = hugeKibAt(middle);
  free(address);
  expect(kept).toBe(0x5a);
  expect(huge).toBeGreaterThanOrEqual(BLOCK_BYTES / 1024 / 2);
});

test("a call that leaves nothing behind gives what it gave", () => {
  expect(inHugePages(() => "done")).toBe("done");
});
