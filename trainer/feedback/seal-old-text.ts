/**
 * Seals what a log from before the encryption holds in the clear, once. It knows the tables, and
 * nothing of what the texts mean.
 */
import { type Database, inTransaction } from "#engine/base/database.ts";
import type { KeyRing } from "./key-ring.ts";
import { EVENTS_NEVER_CHANGE } from "./schema.ts";
import { CONTEXT } from "./sealed-rows.ts";

/** Seals everything in one transaction, then rewrites the file so that no clear text is left in it. */
export function sealOldText(database: Database, keys: KeyRing): void {
  if (isDone(database)) return;
  const sealed = inTransaction(database, () => {
    // Another process may have done it meanwhile.
    if (isDone(database)) return 0;
    const count = sealExchanges(database, keys) + sealComments(database, keys);
    database.exec("INSERT INTO sealing VALUES (1)");
    return count;
  });
  if (sealed > 0) database.exec("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
}

function isDone(database: Database): boolean {
  return database.prepare("SELECT 1 FROM sealing").get() !== undefined;
}

function sealExchanges(database: Database, keys: KeyRing): number {
  const exchanges = database
    .prepare("SELECT id, author_key, messages FROM exchanges WHERE messages <> '[]'")
    .all();
  for (const { id, author_key, messages } of exchanges) {
    const text = keys.seal([String(author_key)], String(messages), CONTEXT.exchange(String(id)));
    database.prepare("UPDATE exchanges SET messages = ? WHERE id = ?").run(text, String(id));
  }
  const candidates = database
    .prepare(
      `SELECT c.id, c.text, e.author_key FROM candidates c
       JOIN exchanges e ON e.id = c.exchange_id WHERE c.text <> ''`,
    )
    .all();
  for (const { id, author_key, text } of candidates) {
    const sealed = keys.seal([String(author_key)], String(text), CONTEXT.candidate(String(id)));
    database.prepare("UPDATE candidates SET text = ? WHERE id = ?").run(sealed, String(id));
  }
  return exchanges.length + candidates.length;
}

function sealComments(database: Database, keys: KeyRing): number {
  const rows = database
    .prepare("SELECT id, rater_key, comment FROM events WHERE comment IS NOT NULL")
    .all();
  database.exec(EVENTS_NEVER_CHANGE.drop);
  for (const { id, rater_key, comment } of rows) {
    const sealed = keys.seal([String(rater_key)], String(comment), CONTEXT.comment(String(id)));
    database.prepare("UPDATE events SET comment = ? WHERE id = ?").run(sealed, String(id));
  }
  database.exec(EVENTS_NEVER_CHANGE.create);
  return rows.length;
}
