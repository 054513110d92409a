/**
 * Commands' names and descriptions in people's languages: what of them is accepted, and how they are shown.
 * https://discord.com/developers/docs/interactions/application-commands#localization
 */
import { Locale } from "discord-api-types/v10";
import { z } from "zod";
import { isRecord } from "../world/message-input.ts";

const locale = z.enum(Locale);

/** The name of a slash command or option, in any language. */
export const slashName = z
  .string()
  .regex(/^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$/u)
  .refine((name) => name === name.toLowerCase(), "Must be in lower case");
/** The name of a menu's entry, which may have spaces and capitals. */
export const menuName = z.string().min(1).max(32);
/** A description. */
export const description = z.string().min(1).max(100);
/** A choice's name. */
export const choiceName = z.string().min(1).max(100);

/** The same in other languages, each under the same rules. */
export function inLanguages<T extends z.ZodType>(text: T) {
  return z.partialRecord(locale, text.nullable()).nullish();
}

/** Whether Discord has such a locale. */
export function isLocale(text: string): text is Locale {
  return locale.safeParse(text).success;
}

/**
 * A command as listed for one language: with `name_localized` and `description_localized`, on its options
 * and choices too, in place of the dictionaries.
 */
export function localisedFor(command: object, chosen: string | undefined): Record<string, unknown> {
  const parts = Object.entries(command).flatMap(([key, value]) => {
    if (key.endsWith("_localizations")) return localisedText(key, value, chosen);
    const isNested = (key === "options" || key === "choices") && Array.isArray(value);
    return [[key, isNested ? value.map((each) => localisedPart(each, chosen)) : value] as const];
  });
  return Object.fromEntries(parts);
}

function localisedText(key: string, dictionary: unknown, chosen: string | undefined) {
  const text = chosen !== undefined && isRecord(dictionary) ? dictionary[chosen] : undefined;
  return typeof text === "string"
    ? [[key.replace("localizations", "localized"), text] as const]
    : [];
}

function localisedPart(part: unknown, chosen: string | undefined): unknown {
  return isRecord(part) ? localisedFor(part, chosen) : part;
}
