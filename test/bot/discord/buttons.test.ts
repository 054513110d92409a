import type { APIMessage } from "discord-api-types/v10";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningBot, startBot } from "#bot/discord/start-bot.ts";
import type { Person } from "#deploy/playground/people/person.ts";
import { systemClock } from "#engine/base/clock.ts";
import { createLog } from "#engine/base/log.ts";
import { ratedPrompts } from "#trainer/pairs/answers.ts";
import { compareAnswers } from "#trainer/pairs/compare.ts";
import { buttonId, finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

let lounge: Lounge;
let general: string;
let mira: Person;
let aheadMs = 0;
/** The local Discord's clock, which a test may put forward. */
const clock = {
  nowMs: () => systemClock.nowMs() + aheadMs,
  monotonicMs: () => systemClock.monotonicMs() + aheadMs,
};

beforeAll(async () => {
  lounge = await openLounge({}, clock);
  general = lounge.playground.channelId("general");
  mira = lounge.playground.person("mira");
});
afterAll(() => lounge.close());

function answerWith(text: string): void {
  lounge.engine.script = () => [{ text }, { end: "stop" }];
}

async function newAnswer(text: string, channel = general): Promise<APIMessage> {
  answerWith(text);
  await mira.slash(channel, "chat", { text: `What about ${text}` });
  return finishedAnswer(lounge, text);
}

/** Presses the button whose custom id begins so. */
function press(who: Person, message: APIMessage, beginning: string) {
  const id = buttonId(lounge.playground.message(message.id) ?? message, beginning);
  if (id === undefined) throw new Error(`no button ${beginning} on ${message.content}`);
  return who.press(message.id, id);
}

const votes = () => lounge.feedback.standing().map(({ kind, value }) => `${kind} ${value}`);

describe("👍 and 👎", () => {
  test("are saved, confirmed to the person alone, changed by the other one, and taken back", async () => {
    const answer = await newAnswer("thumbs.");
    const saved = await press(mira, answer, "vote:+:");
    expect(saved).toMatchObject({
      kind: "message",
      message: { content: expect.stringContaining("Saved: 👍 for “thumbs.”"), flags: 64 },
    });
    expect(votes()).toEqual(["vote 1"]);
    await press(mira, answer, "vote:-:");
    mira.react(answer.id, "👎🏿");
    await expect.poll(votes).toEqual(["reaction -1"]);
    if (saved.kind !== "message") throw new Error("no confirmation");
    const undone = await press(mira, saved.message, "unvote:");
    expect(undone).toMatchObject({ message: { content: expect.stringContaining("Taken back") } });
    expect(votes()).toEqual([]);
  });
});

describe("Regenerate", () => {
  test("draws another answer to the same prompt; approving it makes a preference pair", async () => {
    const first = await newAnswer("a dull answer.");
    answerWith("a bright answer.");
    const prompt = lounge.engine.lastConversation();
    await press(mira, first, "again:");
    const second = await finishedAnswer(lounge, "a bright answer.");
    expect(lounge.engine.lastConversation()).toEqual(prompt);
    expect(second.message_reference?.message_id).toBe(first.id);
    await press(mira, second, "vote:+:");
    const prompts = ratedPrompts({
      exchanges: lounge.feedback.exchanges(),
      votes: lounge.feedback.standing(),
      refusal: () => undefined,
    });
    expect(compareAnswers(prompts.prompts).pairs).toMatchObject([
      { chosen: "a bright answer.", rejected: "a dull answer." },
    ]);
  });

  test("lets the conversation go on from the newer answer", async () => {
    const cooking = lounge.playground.channelId("cooking");
    const first = await newAnswer("salt.", cooking);
    answerWith("pepper.");
    await press(mira, first, "again:");
    await finishedAnswer(lounge, "pepper.");
    answerWith("indeed.");
    await mira.slash(cooking, "chat", { text: "And then?" });
    await finishedAnswer(lounge, "indeed.");
    expect(lounge.engine.lastConversation()).toEqual([
      "user: What about salt.",
      "assistant: pepper.",
      "user: And then?",
    ]);
  });

  test("of an answer that was deleted says so", async () => {
    const answer = await newAnswer("forgotten.");
    const id = buttonId(answer, "again:")?.slice("again:".length) ?? "";
    lounge.feedback.recordDeletion(id);
    const outcome = await press(mira, answer, "again:");
    expect(outcome).toMatchObject({ message: { content: expect.stringContaining("found no") } });
  });
});

describe("Continue", () => {
  test("asks the model to go on from that answer, in its conversation", async () => {
    const workshop = lounge.playground.channelId("workshop");
    const first = await newAnswer("Once upon a time", workshop);
    answerWith("there was a lighthouse.");
    await press(lounge.playground.person("aiko"), first, "more:");
    await finishedAnswer(lounge, "there was a lighthouse.");
    expect(lounge.engine.lastConversation()).toEqual([
      "user: What about Once upon a time",
      "assistant: Once upon a time",
      "user: Please go on exactly where you stopped.",
    ]);
  });
});

describe("Stop", () => {
  test("ends the answer with what there is, for its asker or a moderator alone", async () => {
    const never = new Promise(() => undefined);
    lounge.engine.script = () => [{ text: "Word after word" }, { wait: never }];
    const tomas = lounge.playground.person("tomas");
    await tomas.slash(general, "chat", { text: "talk" });
    const half = await lounge.playground.waitFor(({ content }) =>
      content.endsWith("Word after word"),
    );
    const refused = await press(lounge.playground.person("aiko"), half, "stop:");
    expect(refused).toMatchObject({ message: { content: expect.stringContaining("Only who") } });
    await press(tomas, half, "stop:");
    const stopped = await finishedAnswer(lounge, "Word after word");
    expect(stopped.content).toContain("base weights · stopped");
    await expect
      .poll(() => lounge.feedback.candidateOfMessage(stopped.id)?.candidate)
      .toMatchObject({ text: "Word after word", finishReason: "aborted" });
  });

  test("before the first word leaves a note and no buttons", async () => {
    const never = new Promise(() => undefined);
    lounge.engine.script = () => [{ queued: 3 }, { wait: never }];
    await mira.slash(general, "chat", { text: "too slow" });
    const queued = await lounge.playground.waitFor(({ content }) =>
      content.includes("3 questions"),
    );
    await press(mira, queued, "stop:");
    const stopped = await lounge.playground.waitFor(({ content }) =>
      content.startsWith("Stopped before"),
    );
    expect(stopped.components).toEqual([]);
  });
});

describe("after a restart, and with the answer's token long over", () => {
  let again: RunningBot;
  let answer: APIMessage;
  let halved: APIMessage;

  beforeAll(async () => {
    answer = await newAnswer("an old answer.");
    // As a crash leaves it: an unfinished message with its button, and nobody who works on it.
    lounge.engine.script = () => [{ text: "Cut in ha" }, { wait: new Promise(() => undefined) }];
    await mira.slash(general, "chat", { text: "halves" });
    halved = await lounge.playground.waitFor(({ content }) => content.endsWith("Cut in ha"));
    lounge.playground.dropSockets();
    await lounge.bot.stop(0);
    aheadMs += 60 * 60_000;
    again = await startBot(lounge.config, createLog("bot", "silent"), { editIntervalMs: 100 });
  });
  afterAll(() => again.stop(0));

  test("votes, Regenerate and Continue still work", async () => {
    const before = votes().length;
    await press(lounge.playground.person("sade"), answer, "vote:+:");
    expect(votes().length).toBe(before + 1);
    answerWith("a new answer.");
    await press(mira, answer, "again:");
    await finishedAnswer(lounge, "a new answer.");
    answerWith("and more of it.");
    await press(mira, answer, "more:");
    await finishedAnswer(lounge, "and more of it.");
  });

  test("an answer that the restart cut short has no Stop button left, or loses it when it is pressed", async () => {
    const left = lounge.playground.message(halved.id) ?? halved;
    expect(left.content).toContain("cut short");
    expect(left.components).toEqual([]);
  });
});
