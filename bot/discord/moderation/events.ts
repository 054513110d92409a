/**
 * What Discord's own moderation tells: AutoMod acted, somebody was banned, timed out, removed, or left.
 * Their words leave the context, work for them ends, and where they are gone their votes are void.
 */
import {
  AuditLogEvent,
  type AutoModerationActionExecution,
  AutoModerationActionType,
  type Guild,
  type GuildAuditLogsEntry,
  type GuildMember,
  type PartialGuildMember,
} from "discord.js";
import type { CaseKind } from "../../moderation/case-book.ts";
import type { Room } from "../room.ts";

/** AutoMod flagged a message: it leaves context and log; when it timed its author out, work for them ends. */
export async function onAutoMod(
  room: Room,
  execution: AutoModerationActionExecution,
): Promise<void> {
  const { guild, userId, messageId, channelId, action, ruleId } = execution;
  const personKey = room.pseudonymise(userId);
  if (messageId !== null) {
    await room.desk.withdraw(messageId);
    const tainted = await room.memory.forgetMessage(messageId);
    for (const id of [messageId, ...tainted]) room.capture.deleted(id);
  }
  if (action.type === AutoModerationActionType.Timeout)
    room.desk.withdrawPerson(personKey, guild.id);
  const rule = guild.autoModerationRules.cache.get(ruleId)?.name ?? ruleId;
  const language = await room.languageOf(guild.id);
  await room.modLog.open(
    {
      guildId: guild.id,
      kind: "automod",
      // AutoMod tells of each of its actions; without a message they are told apart by what was said.
      sourceId:
        messageId ??
        `${ruleId}:${userId}:${execution.content.length}:${execution.matchedContent ?? ""}`,
      subjectKey: personKey,
      actorKey: "automod",
      reason: language.say("case.rule", { rule }),
      evidence: execution.content,
      place: channelId === null ? "" : `https://discord.com/channels/${guild.id}/${channelId}`,
      isDryRun: false,
    },
    userId,
  );
}

/** Somebody was banned. */
export async function onBan(room: Room, guild: Guild, userId: string): Promise<void> {
  await expel(room, guild.id, userId, "ban");
}

/** Somebody left or was removed; without the members intent Discord tells of removals only. */
export async function onLeave(room: Room, member: GuildMember | PartialGuildMember): Promise<void> {
  await expel(room, member.guild.id, member.id, "left");
}

/** A member changed; with the members intent this is how a time-out is heard of. */
export async function onMemberUpdate(room: Room, member: GuildMember): Promise<void> {
  if (member.isCommunicationDisabled()) await silence(room, member.guild.id, member.id);
}

/** The audit log tells of time-outs and removals without any privileged intent. */
export async function onAuditLog(
  room: Room,
  entry: GuildAuditLogsEntry,
  guild: Guild,
): Promise<void> {
  const userId = entry.targetId;
  if (userId === null) return;
  if (entry.action === AuditLogEvent.MemberKick) return expel(room, guild.id, userId, "left");
  const isTimeout =
    entry.action === AuditLogEvent.MemberUpdate &&
    entry.changes.some(
      ({ key, new: until }) => key === "communication_disabled_until" && until !== undefined,
    );
  if (isTimeout) await silence(room, guild.id, userId);
}

async function silence(room: Room, guildId: string, userId: string): Promise<void> {
  const personKey = room.pseudonymise(userId);
  room.desk.withdrawPerson(personKey, guildId);
  await note(room, guildId, userId, "timeout");
}

async function expel(room: Room, guildId: string, userId: string, kind: CaseKind): Promise<void> {
  const personKey = room.pseudonymise(userId);
  room.desk.withdrawPerson(personKey, guildId);
  room.voidVotes(personKey, guildId);
  await note(room, guildId, userId, kind);
}

/** One case for what is told in two ways: by an event and by the audit log. */
async function note(room: Room, guildId: string, userId: string, kind: CaseKind): Promise<void> {
  const day = new Date(room.clock.nowMs()).toISOString().slice(0, 10);
  await room.modLog.open(
    {
      guildId,
      kind,
      sourceId: `${userId}:${day}`,
      subjectKey: room.pseudonymise(userId),
      actorKey: "moderator",
      reason: "",
      evidence: "",
      place: "",
      isDryRun: false,
    },
    userId,
  );
}
