/** Which languages the bot speaks, and which of them in a server. */
import type { Client } from "discord.js";
import type { Keyv } from "keyv";
import type { Config } from "#engine/base/config.ts";
import type { Logger } from "#engine/base/log.ts";
import { HeardLocales } from "../language/heard-locales.ts";
import { type Languages, loadLanguages } from "../language/languages.ts";
import { SERVER_LANGUAGE } from "../settings/guild-settings.ts";
import { SettingsBook } from "../settings/settings-book.ts";
import type { LanguageOf, Room } from "./room.ts";

/** Loads the languages; what is wrong with a file is told in the log. @throws CodedError `config_invalid` */
export function openLanguages({ LANGUAGE_DIR }: Config, log: Logger): Languages {
  return loadLanguages(LANGUAGE_DIR, (path, problem) => log.warn({ path, problem }, "a language"));
}

/** The settings of servers, and the language of each by them. */
export function openSpeech(
  languages: Languages,
  store: Keyv,
  client: Client,
): Pick<Room, "languages" | "languageOf" | "heardLocales" | "settings"> {
  const settings = new SettingsBook(store);
  return {
    languages,
    settings,
    languageOf: languageOf(languages, settings, client),
    heardLocales: new HeardLocales(),
  };
}

/** Reads the settings anew each time, so that another choice counts at once. */
function languageOf(
  languages: Languages,
  settings: Pick<SettingsBook, "of">,
  client: Client,
): LanguageOf {
  return async (guildId, otherwise) => {
    const { locale } = await settings.of(guildId);
    if (locale !== SERVER_LANGUAGE) return languages.of(locale);
    const guild = guildId === null ? undefined : client.guilds.cache.get(guildId);
    return languages.of(guild?.preferredLocale ?? otherwise);
  };
}
