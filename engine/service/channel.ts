/**
 * Joins what several producers report into one stream, in the order in which it came.
 * Bounded by its producers: a completion's events are at most its tokens.
 */

/** A queue that one consumer iterates over. */
export class Channel<T> implements AsyncIterable<T> {
  #items: T[] = [];
  #end: { error?: unknown } | undefined;
  #wake: () => void = () => {};

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  /** Ends the stream after what was pushed. */
  close(): void {
    this.#end ??= {};
    this.#wake();
  }

  /** Ends the stream with an error after what was pushed. */
  fail(error: unknown): void {
    this.#end ??= { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const items = this.#items;
      this.#items = [];
      yield* items;
      if (this.#items.length > 0) continue;
      if (this.#end !== undefined) {
        if ("error" in this.#end) throw this.#end.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
