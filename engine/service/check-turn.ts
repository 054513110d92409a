/** A guard has fewer streams than people ask at a time: checks of what is asked go by turns, or are refused in time. */
import type { Admission, Claim, FairQueue } from "./fair-queue.ts";
import { HttpProblem } from "./http-problem.ts";

/** Runs a check once its turn comes. @throws HttpProblem 429; the signal's reason; what `check` throws */
export async function inCheckTurn<T>(
  checks: FairQueue,
  claim: Omit<Claim, "count">,
  { signal, check }: { readonly signal: AbortSignal; readonly check: () => Promise<T> },
): Promise<T> {
  const admission = checks.admit({ ...claim, count: 1 }, signal);
  if (admission.type === "full") throw queueFull(admission);
  using _turn = await admission.turns[0];
  return await check();
}

/** What a full queue is told as, with when to come back. */
export function queueFull({
  waiting,
  retryAfterMs,
}: Extract<Admission, { type: "full" }>): HttpProblem {
  const seconds = Math.ceil(retryAfterMs / 1000);
  return new HttpProblem(
    `Too many requests wait already (${waiting}). Try again in about ${seconds} s.`,
    { status: 429, code: "queue_full", headers: { "retry-after": String(seconds) } },
  );
}
