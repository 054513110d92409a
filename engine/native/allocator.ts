/**
 * How the C library keeps what native code frees. It knows nothing of who allocates.
 *
 * glibc takes large blocks from the system and gives them back when they are freed, but raises what counts as large
 * to the size of each block so freed, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD). From then on a context that is freed
 * leaves holes that the next one, a little larger or made by another thread, does not fit: 120 swaps of an adapter
 * took a process of 60 MiB to 170.
 */
import koffi from "koffi";

/** malloc.h */
const M_MMAP_THRESHOLD = -3;
/** glibc's own before it adapts. Nothing that is made for each token is as large. */
const LARGE_BYTES = 128 * 1024;

/**
 * From now on large blocks go back to the system as soon as they are freed.
 * @returns false where the C library is not glibc, and does so anyway or in a way of its own
 */
export function returnFreedBlocks(): boolean {
  if (process.platform !== "linux") return false;
  try {
    const mallopt = koffi.load("libc.so.6").func("int mallopt(int param, int value)");
    return mallopt(M_MMAP_THRESHOLD, LARGE_BYTES) === 1;
  } catch {
    return false;
  }
}
