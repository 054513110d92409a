/** Keyv over a store, with its failures told. */
import { Keyv } from "keyv";
import type { Logger } from "#engine/base/log.ts";
import type { SqliteStore } from "./sqlite-store.ts";

/** Keyv reports a failing store by an event; the conversation then goes on without it. */
export function openKeyv(store: SqliteStore, namespace: string, log: Logger): Keyv {
  const keyv = new Keyv({ store, namespace });
  keyv.on("error", (error: unknown) => log.error({ err: error, namespace }, "the store failed"));
  return keyv;
}
