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
