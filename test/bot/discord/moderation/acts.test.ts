import { AuditLogEvent, SnowflakeUtil } from "discord.js";
import { expect, test } from "vitest";
import { type Act, type ActEntry, actOf, sourcesOf } from "#bot/discord/moderation/acts.ts";

const MINUTE_MS = 60_000;
const MIDNIGHT_MS = Date.UTC(2026, 4, 2);
const id = String(SnowflakeUtil.generate({ timestamp: MIDNIGHT_MS }));
const USER = "42";

function entry(action_type: AuditLogEvent, changes: ActEntry["changes"] = []): ActEntry {
  return { id, action_type, target_id: USER, changes };
}
const timeoutChange = (change: object) =>
  entry(AuditLogEvent.MemberUpdate, [{ key: "communication_disabled_until", ...change }]);

test("an entry is the act that it tells, at the time of its id", () => {
  const common = { userId: USER, atMs: MIDNIGHT_MS };
  expect(actOf(entry(AuditLogEvent.MemberBanAdd))).toEqual({ ...common, kind: "ban" });
  expect(actOf(entry(AuditLogEvent.MemberKick))).toEqual({ ...common, kind: "left" });
  const until = "2026-05-02T00:10:00.000000+00:00";
  expect(actOf(timeoutChange({ new_value: until }))).toEqual({
    ...{ ...common, kind: "timeout", endsAtMs: MIDNIGHT_MS + 10 * MINUTE_MS },
  });
});

test.each([
  ["a time-out that was taken back", timeoutChange({ old_value: "2026-05-02T00:10:00+00:00" })],
  ["one that was set to nothing", timeoutChange({ new_value: null })],
  ["another name", entry(AuditLogEvent.MemberUpdate, [{ key: "nick", new_value: "Mo" }])],
  ["a lifted ban", entry(AuditLogEvent.MemberBanRemove)],
  ["an entry about nobody", { ...entry(AuditLogEvent.MemberBanAdd), target_id: null }],
])("%s is no act", (_, told) => {
  expect(actOf(told)).toBeUndefined();
});

test("an act that is told on both sides of midnight has one case, one of the next day another", () => {
  const at = (atMs: number): Act => ({ kind: "ban", userId: USER, atMs });
  const [before, after] = [at(MIDNIGHT_MS - MINUTE_MS), at(MIDNIGHT_MS + MINUTE_MS)];
  expect(sourcesOf(before).sourceId).not.toBe(sourcesOf(after).sourceId);
  expect(sourcesOf(after).sameAct).toContain(sourcesOf(before).sourceId);
  expect(sourcesOf(before).sameAct).toContain(sourcesOf(after).sourceId);
  const [noon, nextNoon] = [12, 36].map((hours) => at(MIDNIGHT_MS + hours * 60 * MINUTE_MS));
  if (noon === undefined || nextNoon === undefined) throw new Error("two times were expected");
  expect(sourcesOf(noon).sameAct).toEqual([sourcesOf(noon).sourceId]);
  expect(sourcesOf(nextNoon).sameAct).not.toContain(sourcesOf(noon).sourceId);
});
