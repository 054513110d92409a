/** Which emojis can be reactions here: Unicode's, since the guild has none of its own. Pure. */
import { DiscordError } from "./discord-error.ts";

const VARIATION_SELECTOR = "\uFE0F";

/**
 * The emoji of a route's parameter, percent-encoded or not.
 * @throws DiscordError 10014 for anything but one Unicode emoji
 */
export function readEmoji(parameter: string): string {
  const emoji = decode(parameter);
  const isEmoji =
    /^\p{RGI_Emoji}$/v.test(emoji) || /^\p{RGI_Emoji}$/v.test(emoji + VARIATION_SELECTOR);
  if (!isEmoji) throw new DiscordError("unknownEmoji");
  return emoji;
}

function decode(parameter: string): string {
  try {
    return decodeURIComponent(parameter);
  } catch {
    return "";
  }
}
