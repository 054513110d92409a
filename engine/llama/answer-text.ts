/**
 * Turns generated tokens' bytes into text that can be shown: whole characters only, and nothing of a stop string.
 * Pure: it knows no vocabulary; tokens are whatever the caller attaches.
 */

/** What became showable. `tokens` are those whose text begins within it, or that have none. */
export type Release<T> = {
  readonly text: string;
  readonly tokens: readonly T[];
  /** A stop string came up: the answer ends before it. */
  readonly stopped: boolean;
};

type Held<T> = { readonly token: T; readonly start: number };

/** The text of one answer as it grows. */
export class AnswerText<T> {
  readonly #stop: readonly string[];
  // ignoreBOM: a byte order mark that the model writes is text like any other.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #held: Held<T>[] = [];
  /** Decoded but not given out: it may be the beginning of a stop string. */
  #pending = "";
  /** Characters given out so far. */
  #released = 0;

  /** @param stop strings that end the answer; empty ones are ignored */
  constructor(stop: readonly string[]) {
    this.#stop = stop.filter((text) => text !== "");
  }

  /** Adds a token's bytes; gives back what can be shown now. */
  push(token: T, bytes: Uint8Array): Release<T> {
    this.#held.push({ token, start: this.#released + this.#pending.length });
    this.#pending += this.#decoder.decode(bytes, { stream: true });
    const stopAt = firstStop(this.#pending, this.#stop);
    if (stopAt !== undefined) return this.#release(stopAt, true);
    return this.#release(this.#pending.length - heldTail(this.#pending, this.#stop), false);
  }

  /** Gives out what was held back for a stop string that never came. Bytes of an unfinished character are dropped. */
  finish(): Release<T> {
    const rest = this.#held;
    this.#held = [];
    return {
      text: this.#release(this.#pending.length, false).text,
      tokens: rest.map(({ token }) => token),
      stopped: false,
    };
  }

  #release(length: number, stopped: boolean): Release<T> {
    const text = this.#pending.slice(0, length);
    this.#pending = stopped ? "" : this.#pending.slice(length);
    this.#released += length;
    // Nothing shown and nothing to show: a token without text waits for the next one's.
    const count = text === "" ? 0 : this.#held.filter(({ start }) => start < this.#released).length;
    const tokens = this.#held.slice(0, count).map(({ token }) => token);
    this.#held = stopped ? [] : this.#held.slice(count);
    return { text, tokens, stopped };
  }
}

function firstStop(text: string, stop: readonly string[]): number | undefined {
  const found = stop.map((candidate) => text.indexOf(candidate)).filter((index) => index >= 0);
  return found.length === 0 ? undefined : Math.min(...found);
}

/** Length of the longest end of `text` that a stop string begins with. */
function heldTail(text: string, stop: readonly string[]): number {
  let held = 0;
  for (const candidate of stop) {
    const longest = Math.min(candidate.length - 1, text.length);
    for (let length = longest; length > held; length -= 1) {
      if (text.endsWith(candidate.slice(0, length))) {
        held = length;
        break;
      }
    }
  }
  return held;
}
