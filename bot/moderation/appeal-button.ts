/** The button by which people appeal a refusal. It carries nothing: the message that it is below says enough. */
import type { Button } from "../answer/draft.ts";

/** What stands before the first colon of the custom ids of appeals. */
export const APPEAL = "appeal";

/** Below an answer that was refused or cut. */
export const APPEAL_BUTTON: Button = {
  id: `${APPEAL}:wrongly_refused`,
  label: "Wrongly refused?",
  style: "secondary",
};
