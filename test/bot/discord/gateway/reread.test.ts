import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBot } from "#bot/discord/start-bot.ts";
import { systemClock } from "#engine/base/clock.ts";
import { createLog } from "#engine/base/log.ts";
import { untilCaughtUp } from "#trainer/nightly/catch-up.ts";
import { readFeedback } from "#trainer/nightly/read-feedback.ts";
import { ratedPrompts } from "#trainer/pairs/answers.ts";
import { finishedAnswer, type Lounge, openLounge } from "../../support/lounge.ts";

const BOT = "<@1200000000000000002>";
let lounge: Lounge;
let general: string;
let count = 0;

beforeAll(async () => {
  lounge = await openLounge();
  general = lounge.playground.channelId("general");
});
afterAll(() => lounge.close());

const person = (name: string) => lounge.playground.person(name);

/** A question, and the exchange that answers it. */
async function ask(name: string, channelId = general) {
  count += 1;
  const text = `Answer ${count}.`;
  lounge.engine.script = () => [{ text }, { end: "stop" }];
  const question = person(name).say(channelId, `${BOT} question ${count}`);
  const answer = await finishedAnswer(lounge, text);
  const { candidate } = lounge.feedback.candidateOfMessage(answer.id) ?? {};
  if (candidate === undefined) throw new Error("not recorded");
  return { question, answer, ...candidate };
}

const isErased = (exchangeId: string) => lounge.feedback.exchange(exchangeId)?.deleted === true;
const unsure = () => lounge.feedback.hearing.unsure(Date.now());
const standing = (candidateId: string) =>
  lounge.feedback
    .standing()
    .filter((vote) => vote.candidateId === candidateId)
    .map(({ value }) => value);

/** What happens between these sessions is told to nobody. */
async function gap(meanwhile: () => void): Promise<void> {
  const before = lounge.playground.identifyCount;
  lounge.playground.invalidateSessions(false);
  meanwhile();
  await lounge.playground.waitUntil(
    () => (lounge.playground.identifyCount > before ? true : undefined),
    { timeoutMs: 20_000 },
  );
}

describe("after a session that could not be resumed", () => {
  test("messages that were deleted or edited meanwhile are forgotten, with what was answered after them", async () => {
    const kept = await ask("noor");
    const deleted = await ask("mira");
    const edited = await ask("aiko");
    const gone = await ask("sade");
    await gap(() => {
      person("mira").delete(deleted.question.id);
      person("aiko").edit(edited.question.id, "something else");
      lounge.playground.moderators.deleteMany(general, [gone.answer.id]);
    });
    await expect.poll(() => isErased(deleted.exchangeId), { timeout: 10_000 }).toBe(true);
    await expect.poll(() => isErased(edited.exchangeId), { timeout: 10_000 }).toBe(true);
    await expect
      .poll(() => lounge.feedback.candidate(gone.id)?.candidate.text, { timeout: 10_000 })
      .toBe("");
    expect(isErased(kept.exchangeId)).toBe(false);
    await ask("mira");
    expect(lounge.engine.lastConversation().join()).not.toContain(`question ${count - 3}`);
  });

  test("reactions that were made, taken back or cleared meanwhile are counted as they stand", async () => {
    const { answer, id } = await ask("noor");
    const other = await ask("noor");
    person("mira").react(answer.id, "👍");
    person("aiko").react(answer.id, "👎");
    person("mira").react(other.answer.id, "👍");
    await expect.poll(() => standing(id).length + standing(other.id).length).toBe(3);
    await gap(() => {
      person("mira").unreact(answer.id, "👍");
      person("jonas").react(answer.id, "👍🏽");
      person("sade").react(answer.id, "🎉");
      lounge.playground.moderators.clearReactions(other.answer.id);
    });
    await expect.poll(() => standing(other.id), { timeout: 10_000 }).toEqual([]);
    await expect.poll(() => standing(id).toSorted(), { timeout: 10_000 }).toEqual([-1, 1]);
    person("jonas").unreact(answer.id, "👍🏽");
    await expect.poll(() => standing(id)).toEqual([-1]);
  });

  test("a thread's messages are looked for in the thread, and what it began with in its parent", async () => {
    const root = await ask("noor");
    const thread = person("noor").startThread(general, "On that", root.answer.id);
    const inside = await ask("noor", thread);
    const last = await ask("noor", thread);
    await gap(() => person("noor").delete(last.question.id));
    await expect.poll(() => isErased(last.exchangeId), { timeout: 10_000 }).toBe(true);
    expect([isErased(root.exchangeId), isErased(inside.exchangeId)]).toEqual([false, false]);
  });

  test("where Discord fails or does not let it read, nothing is taken for deleted", async () => {
    const kept = await ask("noor");
    const deleted = await ask("mira");
    const path = `${general}/messages/${kept.question.id}`;
    lounge.playground.faults.rest({ kind: "status", status: 403, method: "GET", path });
    await gap(() => person("mira").delete(deleted.question.id));
    await expect.poll(() => isErased(deleted.exchangeId), { timeout: 10_000 }).toBe(true);
    const unread = () => lounge.feedback.hearing.backlog(Date.now()).unread;
    await expect.poll(unread, { timeout: 20_000 }).toBe(0);
    expect(isErased(kept.exchangeId)).toBe(false);
    // Nothing is learnt from it before it can be read.
    expect(unsure().has(kept.exchangeId)).toBe(true);
    await gap(() => undefined);
    await expect.poll(() => unsure().size, { timeout: 20_000 }).toBe(0);
  });
});

test("a training that starts at once waits, and learns nothing from what was taken back or deleted", async () => {
  const kept = await ask("noor");
  const takenBack = await ask("mira");
  const deleted = await ask("aiko");
  for (const { answer } of [kept, takenBack, deleted]) person("sade").react(answer.id, "👎");
  const rated = () =>
    ratedPrompts(readFeedback(lounge.config, Date.now()))
      .prompts.flatMap(({ answers }) => answers.flatMap(({ candidateIds }) => candidateIds))
      .filter((id) => [kept.id, takenBack.id, deleted.id].includes(id));
  await expect.poll(() => rated().length).toBe(3);
  await gap(() => {
    person("sade").unreact(takenBack.answer.id, "👎");
    person("aiko").delete(deleted.question.id);
  });
  await expect.poll(() => unsure().size, { interval: 1 }).toBeGreaterThan(0);
  const said: string[] = [];
  await untilCaughtUp({
    ...{ config: lounge.config, clock: systemClock, signal: new AbortController().signal },
    say: (what) => said.push(what),
  });
  expect(said).toEqual([expect.stringMatching(/until \d+ messages have been read again/)]);
  expect(rated()).toEqual([kept.id]);
});

test("what happened while the bot was not running is honoured when it is again", async () => {
  const own = await openLounge();
  own.engine.script = () => [{ text: "Before." }, { end: "stop" }];
  const channel = own.playground.channelId("general");
  const question = own.playground.person("mira").say(channel, `${BOT} hello`);
  const answer = await finishedAnswer(own, "Before.");
  await own.bot.stop(0);
  own.playground.person("mira").edit(question.id, "never mind");
  own.playground.person("aiko").react(answer.id, "👍");
  const again = await startBot(own.config, createLog("bot", "silent"));
  const { candidate } = own.feedback.candidateOfMessage(answer.id) ?? {};
  await expect
    .poll(() => own.feedback.exchange(candidate?.exchangeId ?? "")?.deleted, { timeout: 10_000 })
    .toBe(true);
  await expect.poll(() => own.feedback.standing().length, { timeout: 10_000 }).toBe(1);
  await again.stop(0);
  own.feedback.close();
  await Promise.all([own.tap.close(), own.engine.close(), own.playground.close()]);
});
