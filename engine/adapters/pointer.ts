/**
 * `adapters/current`: the name of the serving adapter and what served before it, newest last.
 * Replaced by atomic rename, so a reader sees the old pointer or the new one, never a part.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { systemCode } from "../base/errors.ts";
import { ADAPTER_NAME } from "./manifest.ts";

/** How many earlier adapters the pointer remembers for rollback. */
export const HISTORY_LIMIT = 32;

const adapterOrBare = z.string().regex(ADAPTER_NAME).nullable();
const canarySchema = z.object({
  name: z.string().regex(ADAPTER_NAME),
  share: z.number().gt(0).lt(1),
});
const pointerSchema = z.object({
  current: adapterOrBare,
  history: z.array(adapterOrBare).max(HISTORY_LIMIT),
  canary: canarySchema.optional(),
});

/** An adapter that answers a share of the guilds, 0 to 1, on trial. */
export type Canary = z.infer<typeof canarySchema>;

/** What serves now and what served before, newest last; null stands for the bare weights. */
export type Pointer = z.infer<typeof pointerSchema> & {
  /** Why the file could not be used, when the bare weights were assumed in its place. */
  readonly problem?: string;
};

/** Reads the pointer; a missing one means the bare weights, a damaged one the same with a `problem`. */
export function readPointer(path: string): Pointer {
  try {
    return pointerSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return { current: null, history: [] };
    return {
      current: null,
      history: [],
      problem: `The pointer ${path} is damaged, so the bare weights serve. Activate an adapter to write it anew.`,
    };
  }
}

/** The pointer after `next` takes over, and a canary with it: what served goes to the end of the bounded history. */
export function advance(pointer: Pointer, next: string | null): Pointer {
  if (pointer.current === next) return { current: next, history: pointer.history };
  return { current: next, history: [...pointer.history, pointer.current].slice(-HISTORY_LIMIT) };
}

/** The pointer as the file holds it. */
export function formatPointer({ current, history, canary }: Pointer): string {
  return `${JSON.stringify({ current, history, canary }, null, 2)}\n`;
}
