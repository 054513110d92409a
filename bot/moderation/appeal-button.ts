/** The button by which people appeal a refusal. It carries nothing: the message that it is below says enough. Pure. */
import type { Button } from "../answer/draft.ts";
import type { Language } from "../language/language.ts";
import { SELF_HARM } from "./withheld.ts";

/** What stands before the first colon of the custom ids of appeals. */
export const APPEAL = "appeal";

/** Below an answer that was refused or cut: none where nobody moderates, or where help was given. */
export function appealButtons(
  language: Language,
  guildId: string | null,
  category: string,
): readonly Button[] {
  if (guildId === null || category === SELF_HARM) return [];
  const label = language.say("button.wrongly_refused");
  return [{ id: `${APPEAL}:wrongly_refused`, label, style: "secondary" }];
}
