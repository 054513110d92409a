/**
 * The settings of all servers, in Keyv. They are read anew for each question, so that a change counts
 * at once, whichever process made it. It knows nothing of Discord.
 */
import type { Keyv } from "keyv";
import { z } from "zod";
import type { Language } from "../language/language.ts";
import { DEFAULT_SETTINGS, type GuildSettings, guildSettingsSchema } from "./guild-settings.ts";

/** Settings by server. Writes are done one after another. */
export class SettingsBook {
  readonly #store: Keyv;
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Keyv) {
    this.#store = store;
  }

  /** A server's settings. @param guildId null in direct messages: the defaults */
  async of(guildId: string | null): Promise<GuildSettings> {
    if (guildId === null) return DEFAULT_SETTINGS;
    const parsed = guildSettingsSchema.safeParse((await this.#store.get(guildId)) ?? {});
    return parsed.success ? parsed.data : DEFAULT_SETTINGS;
  }

  /** Changes some of them. @returns all as they are now */
  change(
    guildId: string,
    toChange: (settings: GuildSettings) => Partial<GuildSettings>,
  ): Promise<GuildSettings> {
    const result = this.#last.then(async () => {
      const settings = await this.of(guildId);
      const changed = guildSettingsSchema.parse({ ...settings, ...toChange(settings) });
      await this.#store.set(guildId, changed);
      return changed;
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  /**
   * Takes a file's settings in place of the server's.
   * @param language in which a problem is told
   * @param toLocal leaves out what is not of this server
   * @param problemOf why the file's words for the system prompt may not be taken, if they may not
   * @returns what is wrong with the file, or undefined when it was taken
   */
  async import(
    guildId: string,
    text: string,
    language: Language,
    problemOf: (language: Language, texts: readonly string[]) => Promise<string | undefined>,
    toLocal: (settings: GuildSettings) => GuildSettings,
  ): Promise<string | undefined> {
    const parsed = guildSettingsSchema.safeParse(parseJson(text), wordedIn(language));
    if (!parsed.success) return describe(language, parsed.error.issues);
    const { personas, promptAddition } = parsed.data;
    const words = [promptAddition, ...personas.map((persona) => persona.text)];
    const problem = await problemOf(language, words);
    if (problem === undefined) await this.change(guildId, () => toLocal(parsed.data));
    return problem;
  }
}

/** Zod speaks these languages itself. */
function wordedIn({ code }: Language): { readonly error?: z.core.$ZodErrorMap } {
  const found = Object.entries(z.locales).find(([locale]) => locale === code)?.[1];
  return found === undefined ? {} : { error: found().localeError };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function describe(
  language: Language,
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): string {
  const [first] = issues;
  if (first === undefined) return language.say("settings.file_empty");
  const part = first.path.map(String).join(".") || language.say("settings.the_file");
  return language.say("settings.file_wrong", { part, problem: first.message });
}
