/** What a server's managers chose about moderation, in Keyv. It knows nothing of what follows from it. */
import type { Keyv } from "keyv";
import { z } from "zod";
import type { SettingsBook } from "../settings/settings-book.ts";
import { decidedSchema } from "./decided-questions.ts";
import { DEFAULT_LINK_POLICY, linkPolicySchema } from "./link-policy.ts";

const schema = z.object({
  /** Where quiet alerts go; null: with the cases. */
  alertChannelId: z.string().nullable().default(null),
  /** Whether rules of this server are only logged, not enforced. */
  isDryRun: z.boolean().default(false),
  links: linkPolicySchema.default(DEFAULT_LINK_POLICY),
  /** What moderators decided about questions. */
  decided: decidedSchema.default({}),
});

/** Where cases go was chosen here before it was one of the settings. */
const older = z.object({ logChannelId: z.string().nullable().default(null) });

/** One server's choices. */
export type ModerationChoices = z.infer<typeof schema>;

/** All servers' choices. */
export class ModerationChoicesBook {
  readonly #store: Keyv;

  constructor(store: Keyv) {
    this.#store = store;
  }

  /** A server's choices, with the defaults for what nobody chose. */
  async of(guildId: string): Promise<ModerationChoices> {
    const parsed = schema.safeParse((await this.#store.get(guildId)) ?? {});
    return parsed.success ? parsed.data : schema.parse({});
  }

  /**
   * Where cases were posted in servers that chose it before it moved to the settings; each is told once.
   */
  async moveLogChannels(settings: Pick<SettingsBook, "change">): Promise<void> {
    const found: (readonly [string, string])[] = [];
    for await (const [key, value] of this.#store.iterator()) {
      const { logChannelId } = older.catch({ logChannelId: null }).parse(value);
      const guildId = /(\d+)$/.exec(String(key))?.[1];
      if (logChannelId !== null && guildId !== undefined) found.push([guildId, logChannelId]);
    }
    for (const [guildId, modLogChannelId] of found) {
      await settings.change(guildId, () => ({ modLogChannelId }));
      await this.change(guildId, {});
    }
  }

  /** Changes some of them. @returns all, as they are now */
  async change(guildId: string, changes: Partial<ModerationChoices>): Promise<ModerationChoices> {
    const settings = { ...(await this.of(guildId)), ...changes };
    await this.#store.set(guildId, settings);
    return settings;
  }
}
