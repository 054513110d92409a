/** What a training run says when it cannot read any more what it began to learn from. */
import { CodedError } from "#engine/base/errors.ts";

/** @param what that is closed for good, by its id */
export function erasedMeanwhile(what: string): CodedError {
  return new CodedError(
    `Somebody whose words are in ${what} has asked to be forgotten meanwhile; it cannot be read any more. Train again: the next training goes without it.`,
    { code: "erased_meanwhile" },
  );
}
