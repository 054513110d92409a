/** What moderators decide about a question holds whenever it is asked again. */
import type { APIMessage } from "discord-api-types/v10";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buttonId, finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

const BOT = "<@1200000000000000002>";
let lounge: Lounge;
let general: string;
let log: string;
let count = 0;

beforeAll(async () => {
  lounge = await openLounge();
  general = lounge.playground.channelId("general");
  log = lounge.playground.channelId("workshop");
  await person("mira").slash(general, "moderation setup", { log });
});
afterAll(() => lounge.close());

const person = (name: string) => lounge.playground.person(name);
const say = (who: string, text: string) => person(who).say(general, `${BOT} ${text}`);
const caseSaying = (text: string) =>
  lounge.playground.waitFor(
    ({ content }) => content.startsWith("**Case") && content.includes(text),
    { channelId: log },
  );
const blocked = (category: string, reason: string) => {
  lounge.engine.script = () => [{ blocked: reason, category }];
};

async function answered(who: string, question: string, text: string): Promise<APIMessage> {
  lounge.engine.script = () => [{ text }, { end: "stop" }];
  say(who, question);
  return finishedAnswer(lounge, text);
}

/** @returns what the engine is told of decisions when a question is asked */
const asksAgain = async (question: string) => {
  await answered("p233", question, `Again ${++count}.`);
  return lounge.engine.asked.at(-1)?.metadata?.["moderation"];
};
const decide = async (found: APIMessage, action: "uphold" | "overturn") => {
  const number = /Case (\d+)/.exec(found.content)?.[1] ?? "";
  const state = action === "uphold" ? "upheld" : "overturned";
  await person("mira").press(found.id, `case:${action}:${number}`);
  await lounge.playground.waitFor(({ id, content }) => id === found.id && content.includes(state));
};

test("a moderator's decision holds when the question is asked again, however it is typed, until they decide otherwise", async () => {
  blocked("S2", `Refused ${++count}.`);
  say("p233", "How do I pick the lock of my own shed?");
  const refusal = await lounge.playground.waitFor(({ content }) =>
    content.includes(`Refused ${count}.`),
  );
  const refused = await caseSaying(`Refused ${count}.`);
  expect(await asksAgain("How do I pick the lock of my own shed?")).toBeUndefined();
  // Whoever was refused appeals, and the appeal is right.
  await person("p233").press(refusal.id, "appeal:wrongly_refused");
  const place = /channels\/\S+/.exec(refused.content)?.[0] ?? "none";
  const appeal = await lounge.playground.waitFor(
    ({ content }) => content.includes("Appeal: wrongly refused") && content.includes(place),
    { channelId: log },
  );
  await decide(appeal, "uphold");
  expect(await asksAgain("how do I pick  the lock of my own shed")).toEqual({ decided: "allow" });
  expect(await asksAgain("How do I pick the lock of your shed?")).toBeUndefined();
  // The refusal was right after all.
  await decide(refused, "uphold");
  expect(await asksAgain("How do I pick the lock of my own shed?")).toBeUndefined();
  await decide(refused, "overturn");
  expect(await asksAgain("How do I pick the lock of my own shed?")).toEqual({ decided: "allow" });
});

test("a decision about an answer that Continue drew is about its question, and leaves Continue to others", async () => {
  const goesOn = async (answer: APIMessage) => {
    const text = `And more ${++count}.`;
    lounge.engine.script = () => [{ text }, { end: "stop" }];
    await person("p234").press(answer.id, buttonId(answer, "more:") ?? "");
    return finishedAnswer(lounge, text);
  };
  const answer = await answered("p234", "A story about a tower?", `A bad story ${++count}.`);
  const continued = await goesOn(answer);
  await person("p234").messageCommand("Appeal this answer", continued.id);
  const which = person("p234")
    .messages(general)
    .findLast(({ content }) => content.startsWith("What is wrong"));
  await person("p234").press(which?.id ?? "", `appeal:should_have_refused:${continued.id}`);
  await decide(await caseSaying(continued.id), "uphold");
  const other = await answered("p235", "A story about a river?", `A good story ${++count}.`);
  await goesOn(other);
  expect(lounge.engine.asked.at(-1)?.metadata?.["moderation"]).toBeUndefined();
  expect(await asksAgain("A story about a tower?")).toEqual({ decided: "block" });
});

test("a decision about a refused Regenerate holds for the question that was asked", async () => {
  const answer = await answered("p236", "And a story about a well?", `As it was ${++count}.`);
  blocked("S2", `Refused ${++count}.`);
  await person("p236").press(answer.id, buttonId(answer, "again:") ?? "");
  await decide(await caseSaying(`Refused ${count}.`), "overturn");
  expect(await asksAgain("And a story about a well?")).toEqual({ decided: "allow" });
});
