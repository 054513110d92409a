/**
 * Remembers the latest answers to costly questions, and asks the same thing once even when it is asked
 * twice at a time. Bounded: the oldest goes first. Failures are not remembered.
 */

/** A cache by key. */
export class VerdictCache<T> {
  readonly #limit: number;
  readonly #entries = new Map<string, Promise<T>>();

  /** @param limit most entries, 1 or more */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What is known for `key`, or what `ask` gives. A failure of another's asking is not this one's. */
  async get(key: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#keep(key, known);
      const outcome = await known.then(
        (value) => ({ value }),
        () => undefined,
      );
      if (outcome !== undefined) return outcome.value;
    }
    const entry = ask();
    this.#keep(key, entry);
    try {
      return await entry;
    } catch (error) {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      throw error;
    }
  }

  #keep(key: string, entry: Promise<T>): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#limit) break;
      this.#entries.delete(oldest);
    }
  }
}
