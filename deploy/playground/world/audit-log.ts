/**
 * The local Discord's audit log: what moderators did, kept for 45 days as on Discord. Decides nothing.
 * https://discord.com/developers/docs/resources/audit-log
 */
import type { AuditLogRecord } from "./records.ts";
import { snowflakeAt } from "./snowflake.ts";
import type { Store } from "./store.ts";

/** Which entries to list; ids as Discord's snowflakes. */
export type AuditLogRange = {
  readonly userId?: string | undefined;
  readonly targetId?: string | undefined;
  readonly actionType?: number | undefined;
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
};

const KEPT_MS = 45 * 24 * 60 * 60_000;

/** The entries that Discord would list: newest first, but oldest first when `after` is given. */
export function listAuditLog(store: Store, nowMs: number, range: AuditLogRange): AuditLogRecord[] {
  const oldest = snowflakeAt(nowMs - KEPT_MS);
  const found = store
    .auditLog()
    .filter(
      ({ id, userId, targetId, actionType }) =>
        BigInt(id) >= oldest &&
        (range.userId === undefined || userId === range.userId) &&
        (range.targetId === undefined || targetId === range.targetId) &&
        (range.actionType === undefined || actionType === range.actionType) &&
        (range.before === undefined || BigInt(id) < BigInt(range.before)) &&
        (range.after === undefined || BigInt(id) > BigInt(range.after)),
    );
  const ordered = range.after === undefined ? found.toReversed() : found;
  return ordered.slice(0, range.limit);
}

/** An entry as the API and the gateway tell it; what is empty is left out. */
export function presentAuditLogEntry(entry: AuditLogRecord): object {
  const { id, actionType, userId, targetId, changes, reason } = entry;
  return {
    id,
    user_id: userId,
    target_id: targetId,
    action_type: actionType,
    ...(changes.length === 0 ? {} : { changes }),
    ...(reason === null ? {} : { reason }),
  };
}
