/**
 * Memory in pages of 2 MiB (Linux, transparent huge pages). Whoever reads all of a block for each token looks up its
 * pages 512 times less often. It knows nothing of what lies there.
 */
import { readFileSync } from "node:fs";
import koffi from "koffi";

const PAGE_BYTES = 2n ** 21n;
/** mman.h: the kernel may use large pages here; and it is to do so at once. */
const MADV_HUGEPAGE = 14;
const MADV_COLLAPSE = 25;

/**
 * Runs a native call and puts the large blocks that it allocated and kept into huge pages, as far as the system has
 * any. What it returns is what the call returned.
 */
export function inHugePages<T>(allocate: () => T): T {
  if (process.platform !== "linux") return allocate();
  const before = new Set(readBlocks().map(({ start }) => start));
  const result = allocate();
  const kept = readBlocks().filter(({ start }) => !before.has(start));
  for (const { start, end } of kept) advise(start, end);
  return result;
}

type Block = { readonly start: bigint; readonly end: bigint };

/** Private memory without a file behind it, large enough to hold a huge page (proc_pid_maps(5)). */
function readBlocks(): readonly Block[] {
  const lines = readMaps().matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw-p 0+ 00:00 0 *$/gm);
  return [...lines]
    .map(([, start, end]) => ({ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) }))
    .filter(({ start, end }) => end - start >= PAGE_BYTES);
}

function readMaps(): string {
  try {
    return readFileSync("/proc/self/maps", "utf8");
  } catch {
    return "";
  }
}

/** A kernel that knows no huge pages, or has none left, says so: then all stays as it is. */
function advise(start: bigint, end: bigint): void {
  try {
    const madvise = koffi
      .load("libc.so.6")
      .func("int madvise(uint64_t addr, size_t length, int advice)");
    const length = Number(end - start);
    if (madvise(start, length, MADV_HUGEPAGE) === 0) madvise(start, length, MADV_COLLAPSE);
  } catch {
    // Another C library: its memory is as good, only slower.
  }
}
