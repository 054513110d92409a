/** What was asked, above its answer: people's words in a message of the bot's, which AutoMod does not read. */
import type { Screens } from "../../moderation/screened-engine.ts";
import type { Place } from "../room.ts";

const HEADING_CHARACTERS = 200;

/**
 * The question as a quotation of one line, as the server's own rules let it stand.
 * @returns undefined where they do not: then the answer stands alone
 */
export async function headingFor(
  screens: Screens,
  place: Pick<Place, "guildId" | "channelId">,
  text: string,
): Promise<string | undefined> {
  const shown = await screenedWords(screens, place, text);
  return shown === undefined ? undefined : headingOf(shown);
}

/** People's words that the bot is to show in its own name. @returns undefined where a rule forbids them */
export async function screenedWords(
  screens: Screens,
  { guildId, channelId }: Pick<Place, "guildId" | "channelId">,
  text: string,
): Promise<string | undefined> {
  if (guildId === null) return text;
  const screen = await screens.of({ guild: guildId, channel: channelId });
  const screened = screen?.apply(text, true);
  if (screened === undefined) return text;
  return screened.kind === "broken" ? undefined : screened.text;
}

function headingOf(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").replaceAll("`", "'").trim();
  const short = [...line].slice(0, HEADING_CHARACTERS).join("");
  return `> ${short}${short.length < line.length ? "…" : ""}`;
}

/** To be spread into a question. */
export function headed(heading: string | undefined): { readonly heading?: string } {
  return heading === undefined ? {} : { heading };
}
