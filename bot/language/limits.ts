/** How long a message may be where Discord puts it, by its key. Pure. */

/** https://discord.com/developers/docs/interactions/application-commands#application-command-object-application-command-naming */
const SLASH_NAME = /^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$/u;

/** By how a key begins, in characters. https://discord.com/developers/docs/components/reference */
const CHARACTERS: readonly (readonly [beginning: string, characters: number])[] = [
  ["command.", 100],
  ["menu.", 32],
  ["button.", 80],
  ["title.", 45],
  ["label.", 45],
  ["hint.", 100],
  ["option.", 100],
  ["placeholder.", 150],
];
/** A message, less what is put around it. */
const MESSAGE_CHARACTERS = 1_500;

/** The most characters that a message of this key may have. */
function charactersOf(key: string): number {
  const found = CHARACTERS.find(([beginning]) => key.startsWith(beginning));
  return found?.[1] ?? MESSAGE_CHARACTERS;
}

/** What Discord would not take of a text, in words for whoever wrote it; undefined where it takes it. */
export function limitProblem(key: string, text: string): string | undefined {
  const isName = key.startsWith("command.") && key.endsWith(".name");
  if (isName && !(SLASH_NAME.test(text) && text === text.toLowerCase())) {
    return "expected a name of 1 to 32 lower-case letters, digits, - and _";
  }
  if (text.trim() === "") return "expected some text";
  const most = charactersOf(key);
  return text.length > most ? `expected at most ${most} characters, got ${text.length}` : undefined;
}
