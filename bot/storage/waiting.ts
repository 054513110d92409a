/** What a person is told while the start waits for a server, from the first attempt that fails. */
import type { Logger } from "#engine/base/log.ts";
import { hostOf } from "./host-of.ts";

/** One line, however many attempts follow. @param setting which setting names the server */
export function tellWaiting(
  log: Logger,
  {
    setting,
    url,
    waitMs,
  }: { readonly setting: string; readonly url: string; readonly waitMs: number },
  cause: unknown,
): void {
  log.warn(
    { server: hostOf(url), reason: reasonOf(cause) },
    `the server of ${setting} does not answer: waiting up to ${Math.round(waitMs / 1_000)} s, in case it is just starting. If it is not, start it or correct ${setting}; without ${setting} everything is kept in DATA_DIR`,
  );
}

/** Why an attempt failed. A host with several addresses fails with an error for each and no words of its own. */
export function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === "") {
    return cause.errors.map(reasonOf).join(", ");
  }
  return cause instanceof Error && cause.message !== "" ? cause.message : "no answer";
}
