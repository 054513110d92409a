/**
 * The commands in every language that there is: Discord shows each person the names and descriptions of
 * their own. https://discord.com/developers/docs/interactions/application-commands#localization
 */
import {
  ApplicationCommandType,
  Locale,
  type LocalizationMap,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { ENGLISH, isMessageKey, type MessageKey } from "../language/english.ts";
import type { Languages } from "../language/languages.ts";

/** What commands, options and choices have in common. */
type Localizations = { [L in Locale]?: string | null | undefined } | null | undefined;
type Named = {
  readonly name: string;
  name_localizations?: Localizations;
};
type Worded = Named & {
  description_localizations?: Localizations;
  readonly options?: readonly Worded[] | undefined;
  readonly choices?: readonly (Named & { readonly value: string | number })[] | undefined;
};

/** Copies of the commands with their names and descriptions in all languages. */
export function localised(
  commands: readonly RESTPostAPIApplicationCommandsJSONBody[],
  languages: Languages,
): RESTPostAPIApplicationCommandsJSONBody[] {
  const inAll = (key: string) => localizationsOf(checked(key), languages);
  return commands.map((command) => {
    const copy = structuredClone(command);
    if (copy.type === ApplicationCommandType.Message) {
      copy.name_localizations = inAll(keyOfEntry(copy.name));
    } else word(copy, `command.${copy.name}`, inAll);
    return copy;
  });
}

function word(node: Worded, path: string, inAll: (key: string) => LocalizationMap): void {
  node.name_localizations = inAll(`${path}.name`);
  node.description_localizations = inAll(`${path}.description`);
  for (const choice of node.choices ?? []) {
    choice.name_localizations = inAll(`${path}.choice.${choice.value}`);
  }
  for (const option of node.options ?? []) word(option, `${path}.${option.name}`, inAll);
}

/** By Discord's locales; English is the default, and stands where there is nothing else. */
function localizationsOf(key: MessageKey, languages: Languages): LocalizationMap {
  const texts = Object.values(Locale).flatMap((locale): [Locale, string][] => {
    const language = languages.find(locale);
    const isDefault = language === undefined || language === languages.english;
    return isDefault ? [] : [[locale, language.asIs(key)]];
  });
  return Object.fromEntries(texts);
}

/** A menu's entry is known to Discord by its English words. */
function keyOfEntry(name: string): string {
  const key = Object.entries(ENGLISH).find(
    ([each, text]) => each.startsWith("menu.") && text === name,
  );
  return key?.[0] ?? name;
}

function checked(key: string): MessageKey {
  if (!isMessageKey(key)) throw new Error(`the catalogue has no message ${key}`);
  return key;
}
