/** Work that goes on beside what its owner does, and that closing the owner waits for. */

/** Tasks that run; a task's failure is its caller's, not of whoever waits for all. */
export class Background {
  readonly #tasks = new Set<Promise<unknown>>();

  /** Runs work and settles as it does. */
  async run(work: () => Promise<void>): Promise<void> {
    const task = work();
    this.#tasks.add(task);
    try {
      await task;
    } finally {
      this.#tasks.delete(task);
    }
  }

  /** Settles once nothing runs any more, also what was begun meanwhile. */
  async ended(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.allSettled(this.#tasks);
  }
}
