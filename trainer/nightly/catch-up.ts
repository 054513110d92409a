/**
 * A training begins from a log that is up to date: it waits for what happened on Discord unheard to be read
 * again. What stays unsure is left out, and that is said. It knows nothing of how it is read.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Backlog } from "../feedback/hearing.ts";
import { FeedbackLog } from "../feedback/log.ts";
import type { Surroundings } from "./surroundings.ts";

/** Nothing more was read for so long: waiting longer would not help. */
const PATIENCE_MS = 10 * 60_000;
const LOOK_MS = 5_000;
/** Not being heard counts for more than any number of messages. */
const DEAF = 1e12;

type Waiting = Pick<Surroundings, "config" | "clock" | "say" | "signal">;

/**
 * Resolves when the log is up to date, or will not get there, or the signal is aborted.
 * @param pause for tests
 * @throws CodedError `database_failed`, `disk_full`
 */
export async function untilCaughtUp(
  { config, clock, say, signal }: Waiting,
  pause: (ms: number) => Promise<void> = (ms) =>
    sleep(ms, undefined, { signal }).catch(() => undefined),
): Promise<void> {
  using log = FeedbackLog.openIn(config, clock);
  let least = Number.POSITIVE_INFINITY;
  let leastAtMs = clock.monotonicMs();
  while (!signal.aborted) {
    const backlog = log.hearing.backlog(clock.nowMs());
    const { unread, unreadGuilds, deafSinceMs } = backlog;
    if (unread + unreadGuilds === 0 && deafSinceMs === undefined) return;
    if (least === Number.POSITIVE_INFINITY) say(whyWaiting(backlog));
    const left = unread + unreadGuilds + (deafSinceMs === undefined ? 0 : DEAF);
    if (left < least) {
      least = left;
      leastAtMs = clock.monotonicMs();
    } else if (clock.monotonicMs() - leastAtMs >= PATIENCE_MS) {
      return say("The log does not get up to date; what is not sure is left out.");
    }
    await pause(LOOK_MS);
  }
}

function whyWaiting({ unread, unreadGuilds, deafSinceMs }: Backlog): string {
  if (deafSinceMs === undefined && unread === 0) {
    return `Waiting until it has been read what moderators of ${unreadGuilds} servers did while the bot did not hear Discord …`;
  }
  if (deafSinceMs === undefined) {
    return `Waiting until ${unread} messages have been read again, which may have changed while the bot did not hear Discord …`;
  }
  const since = new Date(deafSinceMs).toISOString();
  return `Waiting for the bot, which has not heard since ${since} what was deleted or taken back on Discord. In ${PATIENCE_MS / 60_000} minutes the training goes on without what is not sure …`;
}

/** What to add to a run's outcome where answers were left out. @param dropped counts by reason */
export function leftOutNotice(dropped: Readonly<Record<string, number>>): string {
  const count = dropped["not_caught_up"] ?? 0;
  if (count === 0) return "";
  return ` ${count} rated ${count === 1 ? "answer was" : "answers were"} left out: what happened to them on Discord while the bot did not hear it could not be read again.`;
}
