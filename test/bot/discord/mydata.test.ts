import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { APIMessage } from "discord-api-types/v10";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Person } from "#deploy/playground/people/person.ts";
import { ConsentBook } from "#trainer/feedback/consent.ts";
import { openPseudonyms } from "#trainer/feedback/pseudonym.ts";
import { readFeedback } from "#trainer/nightly/read-feedback.ts";
import { ratedPrompts } from "#trainer/pairs/answers.ts";
import { compareAnswers } from "#trainer/pairs/compare.ts";
import { finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

const BOT = "<@1200000000000000002>";
let lounge: Lounge;
let general: string;
let count = 0;

beforeAll(async () => {
  lounge = await openLounge({ PRIVACY_URL: "https://example.org/privacy" });
  general = lounge.playground.channelId("general");
});
afterAll(() => lounge.close());

const person = (name: string): Person => lounge.playground.person(name);

/** Two people ask the same; a third likes one answer and dislikes the other: one pair. */
async function makePair(likes: string, dislikes: string, rater: string) {
  count += 1;
  const question = `What is thing ${count}?`;
  const asked = async (name: string, answer: string) => {
    lounge.engine.script = () => [{ text: answer }, { end: "stop" }];
    const message = person(name).say(general, `${BOT} ${question}`);
    return { question: message, answer: await finishedAnswer(lounge, answer) };
  };
  const liked = await asked(likes, `Good answer ${count}.`);
  const disliked = await asked(dislikes, `Bad answer ${count}.`);
  person(rater).react(liked.answer.id, "👍");
  person(rater).react(disliked.answer.id, "👎");
  const chosen = `Good answer ${count}.`;
  await expect.poll(() => pairsWith(chosen)).toBe(1);
  return { liked, disliked, chosen };
}

/** Pairs that the night would train on, through the trainer's own stages. */
function pairsWith(chosen: string): number {
  const { prompts } = ratedPrompts(readFeedback(lounge.config, Date.now()));
  return compareAnswers(prompts).pairs.filter((pair) => pair.chosen === chosen).length;
}

function seenBy(who: Person, text: string): APIMessage | undefined {
  return who.messages(general).findLast(({ content }) => content.includes(text));
}

async function mydata(name: string, subcommand: string, options = {}): Promise<APIMessage> {
  const who = person(name);
  const outcome = await who.slash(general, `mydata ${subcommand}`, options);
  const id = "message" in outcome ? outcome.message?.id : undefined;
  return lounge.playground.waitUntil(() => {
    const found = who.messages(general).findLast((message) => message.id === id);
    return found === undefined || ((found.flags ?? 0) & 128) !== 0 ? undefined : found;
  });
}

/** Lets what happened before be handled: a later question is answered after it. */
async function settled(): Promise<void> {
  count += 1;
  const text = `Marker ${count}.`;
  lounge.engine.script = () => [{ text }, { end: "stop" }];
  person("marker").say(general, `${BOT} marker`);
  await finishedAnswer(lounge, text);
}

describe("nothing that a person deleted or changed reaches the pairs", () => {
  test("a deleted question", async () => {
    const { liked, chosen } = await makePair("mira", "aiko", "noor");
    person("mira").delete(liked.question.id);
    await expect.poll(() => pairsWith(chosen)).toBe(0);
  });

  test("an answer that a moderator deletes", async () => {
    const { disliked, chosen } = await makePair("sade", "tomas", "noor");
    person("mira").delete(disliked.answer.id);
    await expect.poll(() => pairsWith(chosen)).toBe(0);
  });

  test("an edited question", async () => {
    const { liked, chosen } = await makePair("p21", "p22", "noor");
    person("p21").edit(liked.question.id, `${BOT} something else`);
    await expect.poll(() => pairsWith(chosen)).toBe(0);
  });

  test("a message that somebody else asked about by a reply", async () => {
    const remark = person("p31").say(general, "My grandmother was born in Porto.");
    lounge.engine.script = () => [{ text: "About Porto." }, { end: "stop" }];
    person("p32").say(general, `${BOT} what of it?`, { replyTo: remark.id });
    const answer = await finishedAnswer(lounge, "About Porto.");
    const recorded = () => lounge.feedback.candidateOfMessage(answer.id)?.exchange;
    expect(JSON.stringify(recorded()?.messages)).toContain("grandmother");
    person("p31").delete(remark.id);
    await expect.poll(() => recorded()?.messages).toEqual([]);
  });
});

describe("/mydata", () => {
  test("show tells how much is kept, and how the switches stand", async () => {
    await makePair("p41", "p42", "p43");
    const { content, flags } = await mydata("p41", "show");
    expect(flags).toBe(64);
    expect(content).toContain("Questions with their answers: 1");
    expect(content).toContain("you have not said anything yet");
    expect((await mydata("p43", "show")).content).toContain("asked for): 2");
  });

  test("export gives all of it as a file, and nothing of others", async () => {
    const { attachments } = await mydata("p41", "export");
    expect(attachments[0]?.filename).toBe("mydata.json");
    const file: unknown = await (await fetch(attachments[0]?.url ?? "")).json();
    const text = JSON.stringify(file);
    expect(text).toContain(`Good answer ${count}.`);
    expect(text).not.toContain(`Bad answer ${count}.`);
    expect(file).toMatchObject({ person: { discordId: person("p41").id } });
  });

  test("export of more than Discord takes as it stands is packed", async () => {
    const authorKey = openPseudonyms(lounge.config.DATA_DIR)(person("p44").id);
    const content = "all that I ever said ".repeat(600_000);
    lounge.feedback.recordExchange(
      {
        ...{ id: "large", source: "playground", guildId: null, channelId: "1", threadId: null },
        ...{ authorKey, messages: [{ role: "user", content }], systemPromptSha256: "" },
        createdAtMs: Date.now(),
      },
      [],
    );
    const { attachments } = await mydata("p44", "export");
    expect(attachments[0]?.filename).toBe("mydata.json.gz");
    const packed = await (await fetch(attachments[0]?.url ?? "")).arrayBuffer();
    expect(gunzipSync(packed).toString("utf8")).toContain(content);
  });

  test("consent taken back by an asker or by the only rater leaves no pair, given again it does", async () => {
    const { chosen } = await makePair("p51", "p52", "p53");
    const reply = await mydata("p52", "consent", { learning: false });
    expect(reply.content).toContain("does not learn");
    expect(pairsWith(chosen)).toBe(0);
    await mydata("p52", "consent", { learning: true });
    expect(pairsWith(chosen)).toBe(1);
    await mydata("p53", "consent", { learning: false });
    expect(pairsWith(chosen)).toBe(0);
  });
});

describe("/mydata forget", () => {
  test("asks first; keeping it erases nothing", async () => {
    const { chosen } = await makePair("p61", "p62", "p63");
    const question = await mydata("p61", "forget");
    expect(question.content).toContain("can't be undone");
    await person("p61").press(question.id, "mydata:keep");
    expect(seenBy(person("p61"), "Nothing was erased")).toBeDefined();
    expect(pairsWith(chosen)).toBe(1);
  });

  test("removes text, memory, votes, pairs and key, and has adapters replaced that learned from them", async () => {
    const { liked, chosen } = await makePair("p71", "p72", "p71");
    const { DATA_DIR } = lounge.config;
    const exchangeId = lounge.feedback.candidateOfMessage(liked.answer.id)?.exchange.id ?? "";
    for (const [name, used] of [
      ["night-1", exchangeId],
      ["night-2", "another"],
    ] as const) {
      mkdirSync(join(DATA_DIR, "adapters", name), { recursive: true });
      mkdirSync(join(DATA_DIR, "runs", name), { recursive: true });
      const line = { id: "i", side: "train", exchangeIds: [used], raterKeys: [] };
      writeFileSync(join(DATA_DIR, "runs", name, "evidence.jsonl"), `${JSON.stringify(line)}\n`);
    }
    const question = await mydata("p71", "forget");
    expect(question.content).toContain("night-1");
    await person("p71").press(question.id, `mydata:forget:${person("p71").id}`);
    const done = await lounge.playground.waitUntil(() => seenBy(person("p71"), "Done: "));
    expect(done.content).toContain("night-1");
    expect(done.content).not.toContain("night-2");
    expect(done.components).toEqual([]);

    expect(pairsWith(chosen)).toBe(0);
    expect(lounge.feedback.candidateOfMessage(liked.answer.id)?.candidate.text).toBe("");
    using book = ConsentBook.open(DATA_DIR);
    expect(book.retraining()).toEqual(["night-1"]);
    const summary = await mydata("p71", "show");
    expect(summary.content).toContain("Questions with their answers: 0");
    expect(summary.content).toContain("Remembered conversations: 0");
    expect(summary.content).toContain("you refuse");
    // Asked again, the bot remembers nothing.
    lounge.engine.script = () => [{ text: "Nice to meet you." }, { end: "stop" }];
    person("p71").say(general, `${BOT} hello`);
    await finishedAnswer(lounge, "Nice to meet you.");
    expect(lounge.engine.lastConversation()).toEqual(["user: hello"]);
  });

  test("ends an answer that is being given, and keeps nothing of it", async () => {
    const rest = Promise.withResolvers<void>();
    lounge.engine.script = () => [{ text: "One half" }, { wait: rest.promise }, { end: "stop" }];
    person("p81").say(general, `${BOT} long one`);
    const half = await lounge.playground.waitFor(({ content }) => content.startsWith("One half"));
    const question = await mydata("p81", "forget");
    await person("p81").press(question.id, `mydata:forget:${person("p81").id}`);
    await expect.poll(() => lounge.playground.message(half.id)).toBeUndefined();
    rest.resolve();
    await settled();
    expect((await mydata("p81", "show")).content).toContain("Questions with their answers: 0");
  });

  test("can be confirmed only by the person it is about", async () => {
    const { chosen } = await makePair("p91", "p92", "p93");
    const question = await mydata("p92", "forget");
    await expect(
      person("p91").press(question.id, `mydata:forget:${person("p91").id}`),
    ).rejects.toThrow();
    expect(pairsWith(chosen)).toBe(1);
  });
});

test("no file of the bot holds in the clear what people asked or were answered", async () => {
  await makePair("p94", "p95", "p96");
  const { DATA_DIR } = lounge.config;
  const ours = ["feedback.db", "feedback.db-wal", "bot.db", "bot.db-wal", "keys.db", "people.db"];
  const files = readdirSync(DATA_DIR).filter((name) => ours.includes(name));
  expect(files).toContain("bot.db");
  for (const name of files) {
    const bytes = readFileSync(join(DATA_DIR, name), "latin1");
    expect(bytes, name).not.toMatch(/What is thing|Good answer|Bad answer/);
  }
  expect(existsSync(join(DATA_DIR, "master.key"))).toBe(true);
});

describe("the privacy page", () => {
  test("is served by the bot with a policy that lets nothing run, and /help links to its public address", async () => {
    const page = await fetch(lounge.bot.privacyUrl ?? "");
    const text = await page.text();
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(text).toContain("/mydata forget");
    expect(text).toContain("erased after 365 days");
    expect((await fetch(new URL("/x", lounge.bot.privacyUrl))).status).toBe(404);
    expect((await fetch(lounge.bot.privacyUrl ?? "", { method: "POST" })).status).toBe(405);
    const help = await person("mira").slash(general, "help");
    expect(JSON.stringify(help)).toContain("https://example.org/privacy");
  });
});
