/** A message as data, and how its placeholders are read and filled. Pure; it knows no language. */

/** The plural forms that languages have: https://cldr.unicode.org/index/cldr-spec/plural-rules */
export const PLURAL_FORMS = ["zero", "one", "two", "few", "many", "other"] as const;

/** One of the forms. */
export type PluralForm = (typeof PLURAL_FORMS)[number];

/** A text for each plural form of the number `count`; `other` stands for those that it lacks. */
type PluralMessage = { readonly other: string } & Readonly<Partial<Record<PluralForm, string>>>;

/** A text with {placeholders}, or one for each plural form. */
export type Message = string | PluralMessage;

const PLACEHOLDER = /\{([A-Za-z]+)\}/g;

/** The texts of a message. */
export function textsOf(message: Message): readonly string[] {
  return typeof message === "string" ? [message] : Object.values(message);
}

/** The names between braces in a message, each once, in alphabetical order. */
export function placeholdersOf(message: Message): readonly string[] {
  const names = textsOf(message).flatMap((text) =>
    [...text.matchAll(PLACEHOLDER)].flatMap(([, name]) => name ?? []),
  );
  return [...new Set(names)].sort();
}

/** Fills the placeholders, once: braces in what is filled in stay as they are. */
export function fill(text: string, wordOf: (name: string) => string): string {
  return text.replaceAll(PLACEHOLDER, (_, name: string) => wordOf(name));
}
