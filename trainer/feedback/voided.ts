/** Votes that no longer count, since who gave them was banned or wants to be forgotten. Pure. */
import type { FeedbackEvent } from "./records.ts";

/**
 * Whether an event counts.
 * @param rows of `voided_raters`; an empty guild stands for every server
 * @param guildOf the server in which an answer was given
 */
export function validity(
  rows: readonly Readonly<Record<string, unknown>>[],
  guildOf: (candidateId: string) => string | undefined,
): (event: FeedbackEvent) => boolean {
  const voids = Map.groupBy(rows, (row) => String(row["rater_key"]));
  return ({ raterKey, candidateId, atMs }) => {
    const isVoid = voids.get(raterKey)?.some((row) => {
      const isHere = row["guild_id"] === "" || row["guild_id"] === guildOf(candidateId);
      return isHere && atMs <= Number(row["until_ms"]);
    });
    return isVoid !== true;
  };
}
