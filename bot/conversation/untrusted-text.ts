/**
 * What people wrote, as data for a prompt: invisible characters gone, names and quotes delimited so
 * that no text can pass for another speaker's. Pure; it knows nothing of Discord's own markup.
 */
import { cleanInput } from "#engine/moderation/normalise.ts";

/** Of a display name, what the model is shown. */
const NAME_CHARACTERS = 32;
/** Of a quoted message, what goes into the prompt. */
const QUOTE_CHARACTERS = 500;

/** One message that is not the speaker's own. */
export type Quote = {
  readonly name: string;
  readonly text: string;
  /** Whose message it is, and which: when they delete it, what was asked about it goes, too. */
  readonly personKey?: string;
  readonly messageId?: string;
};

/** A display name that stays on its line and inside its delimiters. */
export function cleanName(name: string): string {
  const cleaned = cleanInput(name)
    .replaceAll(/[<>"'`[\]\n\t]/g, " ")
    .replaceAll(/ +/g, " ")
    .trim();
  return [...cleaned].slice(0, NAME_CHARACTERS).join("") || "someone";
}

/**
 * One line of a conversation of several people, under its speaker's name.
 * @param text clean already (`questionText`): its own quotes and attachments keep their delimiters
 */
export function withSpeaker(name: string, text: string): string {
  return `<said by="${cleanName(name)}">\n${text.replaceAll(/<(?=\/?said\b)/gi, "‹")}\n</said>`;
}

/** What `withSpeaker` was given, or the text as it is. */
export function withoutSpeaker(text: string): string {
  return /^<said by="[^"]*">\n([\s\S]*)\n<\/said>$/.exec(text)?.[1] ?? text;
}

/** A message together with the one that it is about. */
export function withQuote(quote: Quote, text: string): string {
  const quoted = [...cleanInput(quote.text)].slice(0, QUOTE_CHARACTERS).join("");
  return `<quoted by="${cleanName(quote.name)}">\n${withoutDelimiters(quoted)}\n</quoted>\n${text}`;
}

/** Text that cannot close or open a delimiter of ours: the bracket becomes a look-alike. */
export function withoutDelimiters(text: string): string {
  return text.replaceAll(/<(?=\/?(?:said|quoted|attached|summary)\b)/gi, "‹");
}
