/** Votes that no longer count, since who gave them was banned or wants to be forgotten. Pure. */
import type { FeedbackEvent } from "./records.ts";

/**
 * The events that count.
 * @param rows of `voided_raters`; an empty guild stands for every server
 * @param guildOf the server in which an answer was given
 */
export function* validEvents(
  events: Iterable<FeedbackEvent>,
  rows: readonly Readonly<Record<string, unknown>>[],
  guildOf: (candidateId: string) => string | undefined,
): Generator<FeedbackEvent> {
  const voids = Map.groupBy(rows, (row) => String(row["rater_key"]));
  for (const event of events) {
    const isVoid = voids.get(event.raterKey)?.some((row) => {
      const isHere = row["guild_id"] === "" || row["guild_id"] === guildOf(event.candidateId);
      return isHere && event.atMs <= Number(row["until_ms"]);
    });
    if (isVoid !== true) yield event;
  }
}
