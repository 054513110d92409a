import { expect, test } from "vitest";
import { parseConfig } from "#engine/base/config.ts";
import { FeedbackLog } from "#trainer/feedback/log.ts";
import { untilCaughtUp } from "#trainer/nightly/catch-up.ts";
import { readFeedback } from "#trainer/nightly/read-feedback.ts";
import { ratedPrompts } from "#trainer/pairs/answers.ts";
import { countDrops } from "#trainer/pairs/dataset.ts";
import { freshFolder, HandClock } from "../../deploy/playground/arena.ts";

const ALL = { index: 0, count: 1 };

/** A log in which one question was answered and liked on Discord, and then a new session began. */
function afterGap(source: "discord" | "playground" = "discord", guildId: string | null = null) {
  const clock = new HandClock();
  const config = parseConfig({ DATA_DIR: freshFolder(), LEARN_FROM_DISCORD: "true" });
  const log = FeedbackLog.openIn(config, clock);
  log.hearing.begins(ALL, clock.nowMs());
  const nowMs = clock.nowMs();
  const messages = [{ role: "user" as const, content: "hello" }];
  log.recordExchange(
    {
      ...{ id: "x", source, guildId, channelId: "12", threadId: null, authorKey: "asker" },
      ...{ messages, systemPromptSha256: "", createdAtMs: nowMs, messageIds: ["90"] },
    },
    [
      {
        ...{ id: "a", exchangeId: "x", text: "hi", adapter: null, sampling: {} },
        ...{ finishReason: "stop", createdAtMs: nowMs },
      },
    ],
  );
  log.recordMessage("91", "a");
  log.record({
    ...{ id: "v", candidateId: "a", raterKey: "rater", kind: "reaction", value: 1 },
    ...{ action: "made", atMs: nowMs },
  });
  const said: string[] = [];
  const stop = new AbortController();
  const waiting = { config, clock, say: (what: string) => said.push(what), signal: stop.signal };
  const startMs = clock.nowMs();
  const waitedMs = () => clock.nowMs() - startMs;
  const dropped = () => {
    const feedback = readFeedback(config, clock.nowMs());
    return Object.keys(countDrops(ratedPrompts(feedback).drops, feedback.left));
  };
  return { clock, log, waiting, said, stop, waitedMs, dropped };
}

test("a training waits until the last message has been read again, and then leaves nothing out", async () => {
  const { clock, log, waiting, said, waitedMs, dropped } = afterGap();
  log.hearing.begins(ALL, clock.nowMs());
  expect(dropped()).toEqual(["not_caught_up"]);
  let looks = 0;
  await untilCaughtUp(waiting, async (ms) => {
    looks += 1;
    clock.forward(ms);
    log.hearing.heard(ALL, clock.nowMs());
    if (looks === 20) log.hearing.wasRead("90");
    // Later than anybody would wait for the first.
    if (looks === 130) log.hearing.wasRead("91");
  });
  expect(looks).toBe(130);
  expect(said).toEqual([expect.stringContaining("until 2 messages have been read again")]);
  expect(waitedMs()).toBe(130 * 5_000);
  expect(dropped()).not.toContain("not_caught_up");
});

test("a training waits until it is known whom moderators expelled, and learns nothing of the server before", async () => {
  const { clock, log, waiting, said, waitedMs, dropped } = afterGap("discord", "8");
  log.hearing.begins(ALL, clock.nowMs(), { guildIds: [], acts: [20, 22] });
  for (const id of ["90", "91"]) log.hearing.wasRead(id);
  const acts = log.hearing.acts.unheard(ALL);
  expect(acts.map(({ guildId, act }) => [guildId, act])).toEqual([
    ["8", 20],
    ["8", 22],
  ]);
  let looks = 0;
  await untilCaughtUp(waiting, async (ms) => {
    expect(dropped()).toEqual(["not_caught_up"]);
    looks += 1;
    clock.forward(ms);
    log.hearing.heard(ALL, clock.nowMs());
    const one = acts[looks - 1];
    if (one !== undefined) log.hearing.acts.settled(one);
  });
  expect(said).toEqual([expect.stringContaining("what moderators of 1 servers did")]);
  expect(waitedMs()).toBe(2 * 5_000);
  expect(dropped()).not.toContain("not_caught_up");
});

test("what cannot be read is not waited for, but left out", async () => {
  const { log, waiting, said, clock, waitedMs, dropped } = afterGap();
  log.hearing.begins(ALL, clock.nowMs());
  for (const id of ["90", "91"]) log.hearing.couldNotRead(id);
  await untilCaughtUp(waiting, () => Promise.reject(new Error("it waits")));
  expect([said, waitedMs(), dropped()]).toEqual([[], 0, ["not_caught_up"]]);
});

test("while the bot does not hear Discord, a training waits ten minutes, then goes on without what it has of there", async () => {
  const { clock, waiting, said, waitedMs, dropped } = afterGap();
  clock.forward(170_000);
  expect(dropped()).not.toContain("not_caught_up");
  clock.forward(11_000);
  await untilCaughtUp(waiting, async (ms) => clock.forward(ms));
  expect(said).toEqual([
    expect.stringContaining("has not heard since 2026-01-01T00:00:00.000Z"),
    expect.stringContaining("left out"),
  ]);
  expect(waitedMs()).toBe(181_000 + 600_000);
  expect(dropped()).toEqual(["not_caught_up"]);
});

test("a local Discord that nobody hears is off, and is not waited for", async () => {
  const { clock, waiting, dropped } = afterGap("playground");
  clock.forward(86_400_000);
  await untilCaughtUp(waiting, () => Promise.reject(new Error("it waits")));
  expect(dropped()).not.toContain("not_caught_up");
});

test("being asked to stop ends the waiting", async () => {
  const { clock, log, waiting, stop, waitedMs } = afterGap();
  log.hearing.begins(ALL, clock.nowMs());
  await untilCaughtUp(waiting, async (ms) => {
    clock.forward(ms);
    stop.abort();
  });
  expect(waitedMs()).toBe(5_000);
});
