/**
 * What Discord's own moderation tells: AutoMod acted, somebody was banned, timed out, removed, or left.
 * Their words leave the context, work for them ends, and where they are gone their votes are void.
 */
import {
  type AutoModerationActionExecution,
  AutoModerationActionType,
  type Guild,
  type GuildAuditLogsEntry,
  type GuildMember,
  type PartialGuildMember,
} from "discord.js";
import type { Room } from "../room.ts";
import { type Act, type ActEntry, actOf, sourcesOf, WATCHED_ACTS } from "./acts.ts";

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
  await carryOut(room, guild.id, { kind: "ban", userId, atMs: room.clock.nowMs() });
}

/** Somebody left or was removed; without the members intent Discord tells of removals only. */
export async function onLeave(room: Room, member: GuildMember | PartialGuildMember): Promise<void> {
  const act = { kind: "left", userId: member.id, atMs: room.clock.nowMs() } as const;
  await carryOut(room, member.guild.id, act);
}

/** A member changed; with the members intent this is how a time-out is heard of. */
export async function onMemberUpdate(room: Room, member: GuildMember): Promise<void> {
  if (!member.isCommunicationDisabled()) return;
  const act = { kind: "timeout", userId: member.id, atMs: room.clock.nowMs() } as const;
  await carryOut(room, member.guild.id, act);
}

/** The audit log tells of bans, time-outs and removals without any privileged intent. */
export async function onAuditLog(
  room: Room,
  entry: GuildAuditLogsEntry,
  guild: Guild,
): Promise<void> {
  const { id, action, targetId } = entry;
  if (!WATCHED_ACTS.some((watched) => watched === action)) return;
  const changes = entry.changes.map((change) => ({ key: change.key, new_value: change.new }));
  const told = { id, action_type: action, target_id: targetId, changes } as ActEntry;
  const act = actOf(told);
  if (act !== undefined) await carryOut(room, guild.id, act);
  room.absence.acts.heard(guild.id, action, id);
}

/**
 * What a moderator did while nobody listened, read later. A ban that was lifted meanwhile counts as it would
 * have, had it been heard: earlier votes stay void, later ones count.
 * @param begunAtMs since when the bot hears again: what the person voted before is void, by our own clock
 * @returns what resolves when its case is shown; it never rejects, and the rest is done by then
 * @throws CodedError `disk_full`, `database_failed`
 */
export function onMissedAct(
  room: Room,
  guildId: string,
  entry: ActEntry,
  begunAtMs: number,
): Promise<void> {
  const act = actOf(entry);
  if (act === undefined) return Promise.resolve();
  endWork(room, guildId, act, begunAtMs);
  return note(room, guildId, act);
}

async function carryOut(room: Room, guildId: string, act: Act): Promise<void> {
  endWork(room, guildId, act);
  await note(room, guildId, act);
}

/** Ends work for the person, and voids what they voted where they are gone. */
function endWork(room: Room, guildId: string, act: Act, untilMs?: number): void {
  const { kind, userId, endsAtMs = Number.POSITIVE_INFINITY } = act;
  const personKey = room.pseudonymise(userId);
  if (endsAtMs > room.clock.nowMs()) room.desk.withdrawPerson(personKey, guildId);
  if (kind !== "timeout") room.voidVotes(personKey, guildId, untilMs);
}

/** One case for what is told in several ways: by an event, by the audit log, and by it again after a gap. */
async function note(room: Room, guildId: string, act: Act): Promise<void> {
  const { kind, userId } = act;
  const { sourceId, sameAct } = sourcesOf(act);
  await room.modLog.open(
    {
      guildId,
      kind,
      sourceId,
      subjectKey: room.pseudonymise(userId),
      actorKey: "moderator",
      reason: "",
      evidence: "",
      place: "",
      isDryRun: false,
    },
    userId,
    sameAct,
  );
}
