/**
 * How Node is started for the trainer, so that its memory stays the same however much data passes through it: what
 * lives is constant, but V8 and the C library otherwise keep ever more of what was let go.
 */

/**
 * Short-lived values get 2 MiB before V8 clears them away, instead of up to 16; what outlives one clearing in a hot loop
 * once does not make V8 put all that the loop makes among the long-lived; and these are cleared whenever they have grown
 * by a fifth, from the start, instead of once they have doubled.
 */
export const TRAINER_NODE_FLAGS: readonly string[] = [
  "--max-semi-space-size=2",
  "--no-allocation-site-pretenuring",
  "--initial-heap-size=16",
  "--heap-growing-percent=20",
];

/** Node's helper threads share glibc's main arena (mallopt(3), M_ARENA_MAX) instead of filling one each. */
export const TRAINER_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: "1" };
