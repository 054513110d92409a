/** What a store of keys and values must do to serve Keyv, and what a stored value says of itself. */
import { z } from "zod";

/** The methods that Keyv looks for in a store (keyv 6, `asyncMap`). All may reject with a CodedError. */
export type EntryStore = {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string, ttlMs?: number): Promise<boolean>;
  delete(key: string): Promise<boolean>;
  clear(): Promise<void>;
  has(key: string): Promise<boolean>;
  /**
   * All entries that have not expired, in any order; what changes meanwhile may be missed.
   * @param namespace of Keyv's, for its entries alone: a small one must not cost the reading of all others
   */
  iterator(namespace?: string): AsyncGenerator<[string, string]>;
  disconnect(): Promise<void>;
};

/** How the keys of a namespace begin, as Keyv writes them; without one every key does. */
export function beginningOf(namespace: string | undefined): string {
  return namespace === undefined ? "" : `${namespace}::`;
}

/** Keyv wraps each value with the time when it ends, in Unix milliseconds. */
const wrapped = z.object({ expires: z.number().optional() });

/** How much longer a value that Keyv stored is to be kept; undefined: for good. @returns 0 when it is over */
export function ttlLeftMs(value: string, nowMs: number): number | undefined {
  const { expires } = wrapped.safeParse(parseJson(value)).data ?? {};
  return expires === undefined ? undefined : Math.max(0, expires - nowMs);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
