/**
 * Has large blocks of memory given back to the system as soon as they are freed. glibc alone does so at first, but
 * keeps freed blocks of up to 32 MiB once one of that size was freed (mallopt(3), M_MMAP_THRESHOLD), for each thread
 * apart: KV cells of lanes that closed would stay with the process. It knows nothing of what lies there.
 */
import koffi from "koffi";

/** malloc.h */
const M_MMAP_THRESHOLD = -3;
/** Smaller ones come and go with each step, and a mapping of its own costs a block more than its pages. */
const LARGE_BYTES = 1 << 20;

/** For the whole process, from now on. Other systems, and other C libraries, stay as they are. */
export function giveBackLargeBlocks(): void {
  if (process.platform !== "linux") return;
  try {
    koffi.load("libc.so.6").func("int mallopt(int param, int value)")(
      M_MMAP_THRESHOLD,
      LARGE_BYTES,
    );
  } catch {
    // Another C library, which keeps what it likes.
  }
}
