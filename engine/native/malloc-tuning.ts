/**
 * How the C library is to keep memory, for a process in which contexts with their KV cells come and go on whichever
 * thread is free. Left to itself glibc keeps freed blocks of up to 32 MiB once one of that size was freed, in an arena
 * of each thread: the KV cells of closed lanes would stay with the process. It knows nothing of what lies there.
 */
import koffi from "koffi";

/** Numbers of malloc.h, meanings of mallopt(3). */
const SETTINGS = [
  // M_MMAP_THRESHOLD: larger blocks are mapped by themselves and go back when freed.
  { parameter: -3, value: 1 << 20 },
  // M_ARENA_MAX: what one thread's context leaves behind is found by the next thread that opens one.
  { parameter: -8, value: 2 },
] as const;

/** For the whole process, from now on. Other systems, and other C libraries, stay as they are. */
export function tuneMalloc(): void {
  if (process.platform !== "linux") return;
  try {
    const mallopt = koffi.load("libc.so.6").func("int mallopt(int param, int value)");
    for (const { parameter, value } of SETTINGS) mallopt(parameter, value);
  } catch {
    // Another C library, which keeps what it likes.
  }
}
