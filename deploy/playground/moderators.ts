/**
 * What a server's moderators and its AutoMod do in the local Discord: rules, flagged messages, bans,
 * time-outs, removals, age restrictions. It tells the bot as Discord would, and enforces nothing itself.
 */
import {
  type APIAutoModerationRule,
  AuditLogEvent,
  AutoModerationActionType,
  AutoModerationRuleEventType,
  AutoModerationRuleTriggerType,
  GatewayIntentBits as Intent,
  type Locale,
  OverwriteType,
  PermissionFlagsBits,
} from "discord-api-types/v10";
import { presentAuditLogEntry } from "./world/audit-log.ts";
import { presentGuild, presentUser } from "./world/present.ts";
import { BOT_ROLE_ID, GUILD_ID, OWNER_ID } from "./world/seed.ts";
import type { World } from "./world/world.ts";

/** A keyword rule, as far as tests care. */
export type KeywordRuleInput = {
  readonly name: string;
  readonly keywords?: readonly string[];
  readonly patterns?: readonly string[];
  readonly allowed?: readonly string[];
  readonly exemptChannelIds?: readonly string[];
};

/** Moderates the one guild. */
export class Moderators {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Replaces the server's keyword rules. */
  setRules(rules: readonly KeywordRuleInput[]): void {
    const before = this.#world.rules;
    this.#world.rules = rules.map((rule) => presentRule(this.#world.ids.next(), rule));
    for (const rule of before) this.#rule("AUTO_MODERATION_RULE_DELETE", rule);
    for (const rule of this.#world.rules) this.#rule("AUTO_MODERATION_RULE_CREATE", rule);
  }

  /** AutoMod acts on what somebody wrote. @param messageId null where the message was blocked */
  flag(by: {
    readonly userId: string;
    readonly channelId: string;
    readonly messageId: string | null;
    readonly content: string;
    readonly timesOut?: boolean;
  }): void {
    const { userId, channelId, messageId, content, timesOut = false } = by;
    const type = timesOut
      ? AutoModerationActionType.Timeout
      : messageId === null
        ? AutoModerationActionType.BlockMessage
        : AutoModerationActionType.SendAlertMessage;
    this.#tell("AUTO_MODERATION_ACTION_EXECUTION", Intent.AutoModerationExecution, {
      guild_id: GUILD_ID,
      action: { type, metadata: timesOut ? { duration_seconds: 600 } : {} },
      rule_id: this.#world.rules[0]?.id ?? "1",
      rule_trigger_type: AutoModerationRuleTriggerType.Keyword,
      user_id: userId,
      channel_id: channelId,
      ...(messageId === null ? {} : { message_id: messageId }),
      content,
      matched_keyword: content,
      matched_content: content,
    });
  }

  /** Deletes several messages of a channel at once. */
  deleteMany(channelId: string, ids: readonly string[]): void {
    this.#world.store.atomically(() => {
      for (const id of ids) this.#world.store.deleteMessage(id);
    });
    const data = { ids, channel_id: channelId, guild_id: GUILD_ID };
    this.#tell("MESSAGE_DELETE_BULK", Intent.GuildMessages, data);
  }

  /** Takes everybody's reactions off a message. */
  clearReactions(messageId: string): void {
    const message = this.#world.store.message(messageId);
    if (message !== undefined) this.#world.clearReactions(message, null, OWNER_ID);
  }

  /** Chooses the server's own language. */
  setLocale(locale: Locale): void {
    this.#world.guildLocale = locale;
    this.#tell("GUILD_UPDATE", Intent.Guilds, presentGuild(this.#world));
  }

  /** Gives a member these roles in place of those before. */
  setRoles(userId: string, roleIds: readonly string[]): void {
    this.#world.setRoles(userId, roleIds);
  }

  /** Bans a member: an event of its own, and an entry of the audit log. */
  ban(userId: string, reason: string | null = null): void {
    const user = presentUser(this.#world.user(userId));
    this.#tell("GUILD_BAN_ADD", Intent.GuildModeration, { guild_id: GUILD_ID, user });
    this.#audit(AuditLogEvent.MemberBanAdd, userId, [], reason);
  }

  /** Lifts a ban. */
  unban(userId: string): void {
    const user = presentUser(this.#world.user(userId));
    this.#tell("GUILD_BAN_REMOVE", Intent.GuildModeration, { guild_id: GUILD_ID, user });
    this.#audit(AuditLogEvent.MemberBanRemove, userId);
  }

  /** Times a member out; the audit log tells of it. */
  timeOut(userId: string): void {
    const until = new Date(this.#world.clock.nowMs() + 600_000).toISOString();
    this.#audit(AuditLogEvent.MemberUpdate, userId, [
      { key: "communication_disabled_until", new_value: until },
    ]);
  }

  /** Takes a time-out back. */
  endTimeOut(userId: string): void {
    const until = new Date(this.#world.clock.nowMs() + 600_000).toISOString();
    this.#audit(AuditLogEvent.MemberUpdate, userId, [
      { key: "communication_disabled_until", old_value: until },
    ]);
  }

  /** Removes a member; the audit log tells of it. */
  kick(userId: string): void {
    this.#audit(AuditLogEvent.MemberKick, userId);
  }

  /** Marks a channel as age-restricted, or takes the mark away. */
  restrictAge(channelId: string, isRestricted: boolean): void {
    const channel = { ...this.#world.channel(channelId), nsfw: isRestricted };
    this.#world.store.saveChannel(channel);
    this.#world.bus.emit({ type: "channelUpdated", channel });
  }

  /** Hides a channel from everybody but the bot; a server's owner sees all. */
  hide(channelId: string): void {
    const view = String(PermissionFlagsBits.ViewChannel);
    const channel = {
      ...this.#world.channel(channelId),
      overwrites: [
        { id: GUILD_ID, type: OverwriteType.Role, allow: "0", deny: view },
        { id: BOT_ROLE_ID, type: OverwriteType.Role, allow: view, deny: "0" },
      ],
    };
    this.#world.store.saveChannel(channel);
    this.#world.bus.emit({ type: "channelUpdated", channel });
  }

  /** Kept, and told to bots that may view the audit log. */
  #audit(
    actionType: AuditLogEvent,
    targetId: string,
    changes: readonly object[] = [],
    reason: string | null = null,
  ): void {
    const { ids, store, botPermissions } = this.#world;
    const made = { id: ids.next(), userId: OWNER_ID, actionType, targetId, reason };
    const entry = { ...made, changes: [...changes] };
    store.addToAuditLog(entry);
    if ((botPermissions & PermissionFlagsBits.ViewAuditLog) === 0n) return;
    const data = { ...presentAuditLogEntry(entry), guild_id: GUILD_ID };
    this.#tell("GUILD_AUDIT_LOG_ENTRY_CREATE", Intent.GuildModeration, data);
  }

  #rule(name: string, rule: APIAutoModerationRule): void {
    this.#tell(name, Intent.AutoModerationConfiguration, rule);
  }

  #tell(name: string, intent: Intent, data: object): void {
    this.#world.bus.emit({ type: "moderated", name, intent, data });
  }
}

function presentRule(id: string, rule: KeywordRuleInput): APIAutoModerationRule {
  const { name, keywords = [], patterns = [], allowed = [], exemptChannelIds = [] } = rule;
  return {
    id,
    guild_id: GUILD_ID,
    name,
    creator_id: OWNER_ID,
    event_type: AutoModerationRuleEventType.MessageSend,
    trigger_type: AutoModerationRuleTriggerType.Keyword,
    trigger_metadata: {
      keyword_filter: [...keywords],
      regex_patterns: [...patterns],
      allow_list: [...allowed],
    },
    actions: [{ type: AutoModerationActionType.BlockMessage, metadata: {} }],
    enabled: true,
    exempt_roles: [],
    exempt_channels: [...exemptChannelIds],
  };
}
