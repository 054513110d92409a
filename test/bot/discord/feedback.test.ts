import { DatabaseSync } from "node:sqlite";
import type { APIMessage } from "discord-api-types/v10";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Person } from "#deploy/playground/people/person.ts";
import { feedbackPath } from "#trainer/feedback/log.ts";
import type { StandingVote } from "#trainer/feedback/records.ts";
import { finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

let lounge: Lounge;
let general: string;
let mira: Person;
let answers = 0;

beforeAll(async () => {
  lounge = await openLounge();
  general = lounge.playground.channelId("general");
  mira = lounge.playground.person("mira");
});
afterAll(() => lounge.close());

/** A new finished answer to a mention of the bot. */
async function newAnswer(channel = general): Promise<APIMessage> {
  answers += 1;
  const text = `Answer number ${answers}.`;
  lounge.engine.script = () => [{ text }, { end: "stop" }];
  mira.say(channel, `<@1200000000000000002> question ${answers}`);
  return finishedAnswer(lounge, text);
}

function votesOn(message: APIMessage): readonly StandingVote[] {
  const id = lounge.feedback.candidateOfMessage(message.id)?.candidate.id;
  return lounge.feedback.standing().filter((vote) => vote.candidateId === id);
}

/** Waits until the votes that stand have these values. */
async function expectVotes(message: APIMessage, ...values: number[]): Promise<void> {
  await expect
    .poll(() => votesOn(message).map((vote) => vote.value), { timeout: 5_000 })
    .toEqual(values);
}

/** Lets every event that was sent before reach the bot: a later reaction, recorded, comes after them. */
async function afterAllEvents(message: APIMessage): Promise<void> {
  const marker = lounge.playground.person("marker");
  const count = votesOn(message).length;
  marker.react(message.id, "👍");
  await expect.poll(() => votesOn(message).length).toBe(count + 1);
  marker.unreact(message.id, "👍");
  await expect.poll(() => votesOn(message).length).toBe(count);
}

describe("what is recorded of an answer", () => {
  test("question, answer, adapter, seed and the prompt's hash, under pseudonyms", async () => {
    const message = await newAnswer();
    const { candidate, exchange } = lounge.feedback.candidateOfMessage(message.id) ?? {};
    expect(exchange).toMatchObject({
      source: "playground",
      channelId: general,
      threadId: null,
      systemPromptSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      authorKey: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(exchange?.messages.at(-1)).toEqual({ role: "user", content: `question ${answers}` });
    expect(candidate).toMatchObject({
      text: `Answer number ${answers}.`,
      adapter: null,
      finishReason: "stop",
      sampling: { temperature: 0.7, seed: lounge.engine.asked.at(-1)?.seed },
    });
    expect(JSON.stringify([candidate, exchange])).not.toContain(mira.id);
  });
});

describe("reactions", () => {
  test("are recorded when made and when withdrawn; the bot's own are not", async () => {
    const message = await newAnswer();
    await expectVotes(message);
    mira.react(message.id, "👍");
    await expectVotes(message, 1);
    mira.unreact(message.id, "👍");
    await expectVotes(message);
    mira.react(message.id, "👎");
    await expectVotes(message, -1);
    const actions = lounge.feedback
      .eventsOf(votesOn(message)[0]?.candidateId ?? "")
      .map((event) => `${event.value} ${event.action}`);
    expect(actions).toEqual(["1 made", "1 withdrawn", "-1 made"]);
  });

  test("of any skin tone count, of any other emoji do not", async () => {
    const message = await newAnswer();
    mira.react(message.id, "🎉");
    mira.react(message.id, "👍🏽");
    await expectVotes(message, 1);
    mira.react(message.id, "👍");
    await afterAllEvents(message);
    await expectVotes(message, 1);
  });

  test("of several people stand side by side, one vote a person", async () => {
    const message = await newAnswer();
    for (const name of ["aiko", "sade", "noor"])
      lounge.playground.person(name).react(message.id, "👍");
    mira.react(message.id, "👍");
    mira.react(message.id, "👎");
    await expect
      .poll(() =>
        votesOn(message)
          .map(({ value }) => value)
          .toSorted(),
      )
      .toEqual([-1, 1, 1, 1]);
  });

  test("of two hundred people at once are all recorded", async () => {
    const message = await newAnswer();
    const people = Array.from({ length: 200 }, (_, n) => lounge.playground.person(`crowd${n}`));
    for (const person of people) person.react(message.id, "👍");
    await expect.poll(() => votesOn(message).length, { timeout: 20_000 }).toBe(200);
  });

  test("on a message that is no answer are ignored", async () => {
    const before = lounge.feedback.counts().events;
    const note = mira.say(general, "lunch?");
    lounge.playground.person("aiko").react(note.id, "👍");
    await afterAllEvents(await newAnswer());
    expect(lounge.feedback.counts().events).toBe(before + 2);
  });

  test("made while the answer is still streaming count", async () => {
    const rest = Promise.withResolvers<void>();
    lounge.engine.script = () => [
      { text: "Slowly, " },
      { wait: rest.promise },
      { text: "an answer." },
      { end: "stop" },
    ];
    mira.say(general, "<@1200000000000000002> slow question");
    const streaming = await lounge.playground.waitFor((message) => message.content === "Slowly,");
    lounge.playground.person("aiko").react(streaming.id, "👍");
    rest.resolve();
    await finishedAnswer(lounge, "Slowly, an answer.");
    await expectVotes(streaming, 1);
  });
});

const ephemeral = (outcome: Awaited<ReturnType<Person["slash"]>>) =>
  outcome.kind === "message"
    ? { text: outcome.message.content, flags: outcome.message.flags }
    : outcome;

describe("/rate", () => {
  test("rates the last answer in the channel, and says so to the rater alone", async () => {
    const message = await newAnswer();
    const outcome = await mira.slash(general, "rate", { stars: 4, comment: "Short and clear." });
    expect(ephemeral(outcome)).toEqual({
      text: `Saved: ★★★★☆ for “Answer number ${answers}.”. Rate it again to change that.`,
      flags: 64,
    });
    expect(votesOn(message)).toMatchObject([
      { kind: "rate", value: 4, comment: "Short and clear." },
    ]);
  });

  test("rates an earlier answer by its link, and a new rating replaces the old one", async () => {
    const message = await newAnswer();
    await newAnswer();
    const link = `https://discord.com/channels/1200000000000000001/${general}/${message.id}`;
    await mira.slash(general, "rate", { stars: 2, message: link });
    await mira.slash(general, "rate", { stars: 5, message: link });
    expect(votesOn(message)).toMatchObject([{ kind: "rate", value: 5 }]);
  });

  test("works from the message's menu, by a form", async () => {
    const message = await newAnswer();
    const opened = await mira.messageCommand("Rate this answer", message.id);
    expect(opened.kind).toBe("modal");
    const outcome = await mira.submitModal({ stars: ["3"], comment: "So-so." });
    expect(ephemeral(outcome)).toMatchObject({ flags: 64 });
    expect(votesOn(message)).toMatchObject([{ kind: "rate", value: 3, comment: "So-so." }]);
  });

  test("says when there is nothing to rate", async () => {
    const note = mira.say(general, "not an answer");
    const byMenu = await mira.messageCommand("Rate this answer", note.id);
    const byLink = await mira.slash(general, "rate", { stars: 1, message: "nonsense" });
    const inEmpty = await mira.slash(lounge.playground.channelId("cooking"), "rate", { stars: 1 });
    for (const outcome of [byMenu, byLink, inEmpty]) {
      expect(ephemeral(outcome)).toMatchObject({
        text: expect.stringContaining("no answer of mine"),
      });
    }
  });

  test("rates an ephemeral answer for the one who sees it, and for nobody else", async () => {
    const workshop = lounge.playground.channelId("workshop");
    lounge.engine.script = () => [{ text: "Secret words." }, { end: "stop" }];
    await mira.slash(workshop, "chat", { text: "psst", ephemeral: true });
    await lounge.playground.waitFor((message) => message.content.startsWith("Secret words.\n-#"));
    const other = await lounge.playground.person("aiko").slash(workshop, "rate", { stars: 5 });
    expect(ephemeral(other)).toMatchObject({ text: expect.stringContaining("no answer of mine") });
    const own = await mira.slash(workshop, "rate", { stars: 5 });
    expect(ephemeral(own)).toMatchObject({ text: expect.stringContaining("Secret words.") });
  });
});

describe("when the log cannot be written", () => {
  test("people are told that it was not saved, chat goes on, and saving comes back by itself", async () => {
    const cooking = lounge.playground.channelId("cooking");
    const message = await newAnswer(cooking);
    const other = new DatabaseSync(feedbackPath(lounge.config.DATA_DIR));
    for (const table of ["events", "exchanges"]) {
      other.exec(
        `CREATE TRIGGER broken_${table} BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'x'); END`,
      );
    }
    mira.react(message.id, "👍");
    await lounge.playground.waitFor(({ content }) => content.includes("**not saved**"), {
      channelId: cooking,
    });
    const refused = await mira.slash(cooking, "rate", { stars: 5 });
    expect(ephemeral(refused)).toMatchObject({ text: expect.stringContaining("**not saved**") });
    lounge.engine.script = () => [{ text: "Chat goes on." }, { end: "stop" }];
    mira.say(cooking, "<@1200000000000000002> still there?");
    const unsaved = await lounge.playground.waitFor(({ content }) =>
      content.includes("can't be saved"),
    );
    expect(unsaved.content).toMatch(
      /^Chat goes on\.\n-# nano · base weights · votes on this answer/,
    );
    expect(unsaved.components ?? []).toEqual([]);
    for (const table of ["events", "exchanges"]) other.exec(`DROP TRIGGER broken_${table}`);
    other.close();
    mira.unreact(message.id, "👍");
    mira.react(message.id, "👍");
    await expectVotes(message, 1);
  });
});

describe("deleting", () => {
  const textOf = (message: APIMessage) =>
    lounge.feedback.candidateOfMessage(message.id)?.candidate.text;

  test("a question erases it, its answer, and what was answered with it in mind", async () => {
    const questions = lounge.playground.channelId("questions");
    const first = await newAnswer(questions);
    const second = await newAnswer(questions);
    const asked = first.message_reference?.message_id ?? "";
    mira.delete(asked);
    await expect.poll(() => [textOf(first), textOf(second)]).toEqual(["", ""]);
    await newAnswer(questions);
    expect(lounge.engine.lastConversation().join("\n")).not.toContain(`question ${answers - 2}`);
    expect(lounge.engine.lastConversation().join("\n")).toContain(`question ${answers - 1}`);
  });

  test("a question while it is being answered ends and removes the answer", async () => {
    const never = new Promise(() => undefined);
    lounge.engine.script = () => [{ text: "Half an answ" }, { wait: never }];
    const question = mira.say(general, "<@1200000000000000002> regret");
    const half = await lounge.playground.waitFor((message) => message.content === "Half an answ");
    mira.delete(question.id);
    await lounge.playground.waitUntil(
      () => lounge.playground.message(half.id) === undefined || undefined,
    );
  });
});
