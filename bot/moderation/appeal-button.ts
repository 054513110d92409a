/** The button by which people appeal a refusal. It carries nothing: the message that it is below says enough. */
import type { Button } from "../answer/draft.ts";
import type { Language } from "../language/language.ts";

/** What stands before the first colon of the custom ids of appeals. */
export const APPEAL = "appeal";

/** Below an answer that was refused or cut. */
export function appealButton(language: Language): Button {
  const label = language.say("button.wrongly_refused");
  return { id: `${APPEAL}:wrongly_refused`, label, style: "secondary" };
}
