/**
 * The feedback log's rows with their texts sealed and opened. It knows keys and columns, and nothing
 * of when rows are written or read.
 */
import type { KeyRing } from "./key-ring.ts";
import type { FeedbackEvent } from "./records.ts";
import { toEvent } from "./schema.ts";

/** What each sealed text belongs to, so that none can be put in another's place. */
export const CONTEXT = {
  exchange: (id: string) => `exchange ${id}`,
  candidate: (id: string) => `candidate ${id}`,
  comment: (eventId: string) => `comment ${eventId}`,
} as const;

type Row = Readonly<Record<string, unknown>>;

/** The row of an exchange with its messages; undefined when a key that closes them is gone. */
export function openExchange(keys: KeyRing, row: Row): Row | undefined {
  const [id, stored] = [String(row["id"]), String(row["messages"])];
  if (stored === "[]") return row;
  const messages = keys.open(stored, CONTEXT.exchange(id));
  return messages === undefined ? undefined : { ...row, messages };
}

/** The row of an answer with its text; an empty one when a key that closes it is gone. */
export function openCandidate(keys: KeyRing, row: Row): Row {
  const [id, stored] = [String(row["id"]), String(row["text"])];
  if (stored === "") return row;
  return { ...row, text: keys.open(stored, CONTEXT.candidate(id)) ?? "" };
}

/** The row of an event as a record, with its comment if the rater's key is still there. */
export function openEvent(keys: KeyRing, row: Row): FeedbackEvent {
  const [id, stored] = [String(row["id"]), row["comment"]];
  if (typeof stored !== "string") return toEvent(row);
  return toEvent({ ...row, comment: keys.open(stored, CONTEXT.comment(id)) ?? null });
}
