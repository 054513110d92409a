import { expect, test } from "vitest";
import { Absence } from "#bot/discord/gateway/absence.ts";
import { createLog } from "#engine/base/log.ts";
import { FeedbackLog } from "#trainer/feedback/log.ts";
import { freshFolder, HandClock } from "../../../deploy/playground/arena.ts";

const CHANNEL = "1300000000000000001";
/** On shard 0 of 1 and of 2; the other on shard 1 of 2. */
const [EVEN, ODD] = [String(2n << 22n), String(3n << 22n)];

function openWorld() {
  const clock = new HandClock();
  const feedback = FeedbackLog.openIn({ DATA_DIR: freshFolder() } as never, clock);
  const log = createLog("bot", "silent");
  const process = (count: number) => new Absence(feedback.hearing, { count }, clock, log);
  let made = 0;
  /** Records an exchange with one question and one answer, and a vote on it. */
  const exchange = (guildId: string) => {
    made += 1;
    const id = `x${made}`;
    const messages = [{ role: "user" as const, content: "hello" }];
    const place = { guildId, channelId: CHANNEL, threadId: null, source: "discord" as const };
    feedback.recordExchange(
      {
        ...{ id, authorKey: "asker", messages, systemPromptSha256: "", messageIds: [`9${made}`] },
        ...{ ...place, createdAtMs: clock.nowMs() },
      },
      [
        {
          ...{ id: `a${made}`, exchangeId: id, text: "hi", adapter: null, sampling: {} },
          ...{ finishReason: "stop", createdAtMs: clock.nowMs() },
        },
      ],
    );
    feedback.recordMessage(`8${made}`, `a${made}`);
    return { id, messageIds: [`9${made}`, `8${made}`] };
  };
  return { clock, feedback, process, exchange };
}

const idsOf = (list: readonly { readonly messageId: string }[]) =>
  list.map(({ messageId }) => messageId).toSorted();

/** Nothing but messages was missed. */
const settleActs = (absence: Absence) => {
  for (const acts of absence.unheardActs(0)) absence.acts.settled(acts);
};

test("lasts from the last packet of a session until what was missed is read, however many sessions that takes", () => {
  const { clock, feedback, process, exchange } = openWorld();
  const absence = process(1);
  absence.begins(0, "first");
  const missed = exchange(EVEN);
  clock.forward(60_000);
  absence.heard(0);
  const lastMs = clock.nowMs();
  clock.forward(5_000);
  absence.begins(0, "second");
  const heard = exchange(EVEN);
  clock.forward(60_000);
  absence.heard(0);
  expect(idsOf(absence.unheard(0))).toEqual(missed.messageIds.toSorted());
  clock.forward(60_000);
  absence.begins(0, "third");
  settleActs(absence);
  const since = new Map(absence.unheard(0).map((one) => [one.messageId, one.heardAtMs]));
  expect(missed.messageIds.map((id) => since.get(id))).toEqual([lastMs, lastMs]);
  expect(heard.messageIds.map((id) => since.get(id))).toEqual([lastMs + 65_000, lastMs + 65_000]);
  expect([absence.isNewest(0, "second"), absence.isNewest(0, "third")]).toEqual([false, true]);
  expect(feedback.hearing.unsure(clock.nowMs())).toEqual(new Set([missed.id, heard.id]));
  absence.tried(missed.messageIds[0] ?? "", true);
  expect(feedback.hearing.unsure(clock.nowMs()).has(missed.id)).toBe(true);
  absence.tried(missed.messageIds[1] ?? "", true);
  expect(feedback.hearing.unsure(clock.nowMs())).toEqual(new Set([heard.id]));
});

test("what could not be read is no longer waited for, stays unsure, and is tried in the next session", () => {
  const { clock, feedback, process, exchange } = openWorld();
  const absence = process(1);
  absence.begins(0, "first");
  const missed = exchange(EVEN);
  absence.begins(0, "second");
  settleActs(absence);
  for (const id of missed.messageIds) absence.tried(id, false);
  expect(feedback.hearing.backlog(clock.nowMs())).toEqual({
    unread: 0,
    unreadGuilds: 0,
    deafSinceMs: undefined,
  });
  expect(feedback.hearing.unsure(clock.nowMs())).toEqual(new Set([missed.id]));
  absence.begins(0, "third");
  expect(feedback.hearing.backlog(clock.nowMs()).unread).toBe(2);
});

test("after a change of SHARDS each server counts from when any process heard it last", () => {
  const { clock, feedback, process, exchange } = openWorld();
  const two = process(2);
  two.begins(0, "a");
  two.begins(1, "b");
  const [even, odd] = [exchange(EVEN), exchange(ODD)];
  clock.forward(60_000);
  two.heard(0);
  const evenMs = clock.nowMs();
  clock.forward(600_000);
  two.heard(1);
  const oddMs = clock.nowMs();
  clock.forward(600_000);
  expect(feedback.hearing.unsure(clock.nowMs())).toEqual(new Set([even.id, odd.id]));
  expect(feedback.hearing.backlog(clock.nowMs()).deafSinceMs).toBe(evenMs);
  const one = process(1);
  one.begins(0, "c");
  const since = new Map(one.unheard(0).map((each) => [each.messageId, each.heardAtMs]));
  expect(even.messageIds.map((id) => since.get(id))).toEqual([evenMs, evenMs]);
  expect(odd.messageIds.map((id) => since.get(id))).toEqual([oddMs, oddMs]);
});

test("moderators' acts are to be read from the last that was heard, where the bot has heard a server before", () => {
  const { clock, process } = openWorld();
  const absence = process(1);
  absence.begins(0, "first", [EVEN]);
  // The first start ever: nothing was missed.
  expect(absence.unheardActs(0)).toEqual([]);
  const firstMs = clock.nowMs();
  absence.acts.heard(EVEN, 22, "9007199254740995");
  absence.acts.heard(EVEN, 22, "12");
  clock.forward(5_000);
  absence.begins(0, "second", [EVEN]);
  const secondMs = clock.nowMs();
  const known = { guildId: EVEN, heardAtMs: firstMs, begunAtMs: secondMs };
  const second = absence.unheardActs(0);
  expect(second).toEqual([
    { ...known, act: 20, afterId: undefined },
    { ...known, act: 22, afterId: "9007199254740995" },
    { ...known, act: 24, afterId: undefined },
  ]);
  // Where reading ended early, the next goes on from there.
  const [, , updates] = second;
  if (updates !== undefined) absence.acts.readUpTo(updates, "9007199254740993");
  expect(absence.unheardActs(0).at(2)?.afterId).toBe("9007199254740993");
  // What is heard from now on is no reason to leave out what was missed before.
  absence.acts.heard(EVEN, 22, "9007199254741111");
  for (const acts of second.slice(0, 1)) absence.acts.settled(acts);
  clock.forward(5_000);
  absence.begins(0, "third", [EVEN]);
  const third = { guildId: EVEN, begunAtMs: clock.nowMs() };
  expect(absence.unheardActs(0)).toEqual([
    { ...third, act: 20, afterId: undefined, heardAtMs: secondMs },
    { ...third, act: 22, afterId: "9007199254740995", heardAtMs: firstMs },
    { ...third, act: 24, afterId: "9007199254740993", heardAtMs: firstMs },
  ]);
  // A reading of the session before knows nothing of what was missed since.
  for (const acts of second) absence.acts.settled(acts);
  expect(absence.unheardActs(0)).toHaveLength(3);
});

test("only the servers of a process are its own to read, and the others' are not touched", () => {
  const { clock, process, exchange, feedback } = openWorld();
  const two = process(2);
  const [even, odd] = [exchange(EVEN), exchange(ODD)];
  two.begins(0, "a", [EVEN]);
  two.begins(1, "b", [ODD]);
  expect(two.unheardActs(0).map(({ guildId }) => guildId)).toEqual([EVEN, EVEN, EVEN]);
  for (const { messageId } of [...two.unheard(0), ...two.unheard(1)]) two.tried(messageId, true);
  for (const acts of two.unheardActs(0)) two.acts.settled(acts);
  expect(feedback.hearing.unsure(clock.nowMs())).toEqual(new Set([odd.id]));
  expect(feedback.hearing.backlog(clock.nowMs()).unreadGuilds).toBe(1);
  for (const acts of two.unheardActs(1)) two.acts.couldNotRead(acts);
  expect(feedback.hearing.backlog(clock.nowMs()).unreadGuilds).toBe(0);
  expect(feedback.hearing.unsure(clock.nowMs()).has(even.id)).toBe(false);
});
