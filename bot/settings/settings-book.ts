/**
 * The settings of all servers, in Keyv. They are read anew for each question, so that a change counts
 * at once, whichever process made it. It knows nothing of Discord.
 */
import type { Keyv } from "keyv";
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
   * @returns what is wrong with the file, or undefined when it was taken
   */
  async import(guildId: string, text: string): Promise<string | undefined> {
    const parsed = guildSettingsSchema.safeParse(parseJson(text));
    if (!parsed.success) return describe(parsed.error.issues);
    await this.change(guildId, () => parsed.data);
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function describe(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): string {
  const [first] = issues;
  return first === undefined
    ? "it is empty"
    : `${first.path.map(String).join(".") || "the file"}: ${first.message}`;
}
