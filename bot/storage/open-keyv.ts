/** Keyv over a store, with its failures told. */
import { Keyv } from "keyv";
import type { Logger } from "#engine/base/log.ts";
import type { EntryStore } from "./entry-store.ts";

/** The namespace of conversations; every other one holds settings. */
export const CONVERSATIONS = "conversations";

/**
 * A conversation goes on without what a failing store does not give. Settings must not: a default in the
 * place of what managers chose, or a change that only seems saved, would be worse than a failure.
 */
export function openKeyv(store: EntryStore, namespace: string, log: Logger): Keyv {
  const keyv = new Keyv({ store, namespace });
  keyv.on("error", (error: unknown) => {
    log.error({ err: error, namespace }, "the store failed");
    // Keyv passes on what a listener throws.
    if (namespace !== CONVERSATIONS) throw error;
  });
  return keyv;
}
