/**
 * Each server's AutoMod keyword rules, fetched when they are first needed and again when they change.
 * Where the bot may not read them (it needs Manage Server), there are none.
 */
import { AutoModerationRuleTriggerType, type Client, type Guild } from "discord.js";
import type { Clock } from "#engine/base/clock.ts";
import type { Logger } from "#engine/base/log.ts";
import { type CompiledRule, compileRule } from "../../moderation/keyword-rules.ts";

const FRESH_MS = 10 * 60_000;

type Held = { readonly rules: Promise<readonly CompiledRule[]>; readonly atMs: number };

/** The rules of all servers. */
export class GuildRules {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #held = new Map<string, Held>();

  constructor(client: Client, clock: Clock, log: Logger) {
    this.#client = client;
    this.#clock = clock;
    this.#log = log;
  }

  /** A server's rules. */
  of(guildId: string): Promise<readonly CompiledRule[]> {
    const now = this.#clock.monotonicMs();
    const held = this.#held.get(guildId);
    if (held !== undefined && now - held.atMs < FRESH_MS) return held.rules;
    const guild = this.#client.guilds.cache.get(guildId);
    const rules = guild === undefined ? Promise.resolve([]) : this.#fetch(guild);
    this.#held.set(guildId, { rules, atMs: now });
    return rules;
  }

  /** A server changed a rule. */
  changed(guildId: string): void {
    this.#held.delete(guildId);
  }

  async #fetch(guild: Guild): Promise<readonly CompiledRule[]> {
    if (guild.members.me?.permissions.has("ManageGuild") !== true) return [];
    try {
      const rules = await guild.autoModerationRules.fetch();
      const compiled = rules
        .filter(
          (rule) => rule.enabled && rule.triggerType === AutoModerationRuleTriggerType.Keyword,
        )
        .map((rule) =>
          compileRule({
            id: rule.id,
            name: rule.name,
            keywords: rule.triggerMetadata.keywordFilter,
            patterns: rule.triggerMetadata.regexPatterns,
            allowed: rule.triggerMetadata.allowList,
            exemptChannelIds: [...rule.exemptChannels.keys()],
          }),
        );
      for (const { name, unreadable } of compiled) {
        if (unreadable.length > 0) {
          this.#log.warn({ rule: name, count: unreadable.length }, "patterns can't be applied");
        }
      }
      return compiled;
    } catch (error) {
      this.#log.warn({ err: error, guildId: guild.id }, "AutoMod's rules could not be read");
      return [];
    }
  }
}
