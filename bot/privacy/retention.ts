/** Erases what is older than it may be kept: now, and once a day. It knows nothing of what it erases. */
import type { Clock } from "#engine/base/clock.ts";
import type { Logger } from "#engine/base/log.ts";
import type { FeedbackLog } from "#trainer/feedback/log.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

type Erasable = Pick<FeedbackLog, "exchangesBefore" | "recordDeletion">;

/** Erases every exchange that is older than so many days. @returns how many */
export function eraseOld(feedback: Erasable, nowMs: number, retentionDays: number): number {
  const old = feedback.exchangesBefore(nowMs - retentionDays * DAY_MS);
  for (const id of old) feedback.recordDeletion(id, nowMs);
  return old.length;
}

/** Erases now and every day. @returns what ends it */
export function keepRetention(
  feedback: Erasable,
  retentionDays: number,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Disposable {
  const erase = () => {
    try {
      const count = eraseOld(feedback, clock.nowMs(), retentionDays);
      if (count > 0) log.info({ count, retentionDays }, "old exchanges were erased");
    } catch (error) {
      // It is tried again tomorrow; a full disk is told of elsewhere.
      log.error({ err: error }, "old exchanges could not be erased");
    }
  };
  erase();
  const timer = setInterval(erase, DAY_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
