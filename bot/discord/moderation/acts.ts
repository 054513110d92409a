/**
 * What a moderator did to a member, as an entry of the audit log tells it; told live or read later. Pure.
 * https://discord.com/developers/docs/resources/audit-log#audit-log-entry-object
 */
import { type APIAuditLogEntry, AuditLogEvent, SnowflakeUtil } from "discord.js";

/** The entries that are listened to. */
export const WATCHED_ACTS = [
  AuditLogEvent.MemberKick,
  AuditLogEvent.MemberBanAdd,
  AuditLogEvent.MemberUpdate,
] as const;

/** Something done to a member. */
export type Act = {
  readonly kind: "ban" | "left" | "timeout";
  readonly userId: string;
  /** By Discord's clock. */
  readonly atMs: number;
  /** When a time-out ends, by Discord's clock; undefined for what has no end. */
  readonly endsAtMs?: number;
};

/** What an entry tells. */
export type ActEntry = Pick<APIAuditLogEntry, "id" | "action_type" | "target_id" | "changes">;

/** Undefined where nothing was done that the bot honours: other changes of a member, a time-out taken back. */
export function actOf({ id, action_type, target_id: userId, changes }: ActEntry): Act | undefined {
  if (userId === null) return undefined;
  const act = { userId, atMs: SnowflakeUtil.timestampFrom(id) };
  if (action_type === AuditLogEvent.MemberBanAdd) return { ...act, kind: "ban" };
  if (action_type === AuditLogEvent.MemberKick) return { ...act, kind: "left" };
  if (action_type !== AuditLogEvent.MemberUpdate) return undefined;
  const timeout = changes?.find(({ key }) => key === "communication_disabled_until");
  if (typeof timeout?.new_value !== "string") return undefined;
  return { ...act, kind: "timeout", endsAtMs: Date.parse(timeout.new_value) };
}

/** An act is told by several events, some by our own clock, some by Discord's: so far apart at most. */
const TOLD_WITHIN_MS = 60 * 60_000;

/**
 * What the case of an act comes from: the person and the day.
 * @returns its own, and all under which the same act may have been told, also around midnight
 */
export function sourcesOf({ userId, atMs }: Act): {
  readonly sourceId: string;
  readonly sameAct: readonly string[];
} {
  const at = (ms: number) => `${userId}:${new Date(ms).toISOString().slice(0, 10)}`;
  const sameAct = [at(atMs - TOLD_WITHIN_MS), at(atMs + TOLD_WITHIN_MS)];
  return { sourceId: at(atMs), sameAct: [...new Set(sameAct)] };
}
