/** What members and managers may try in order to make the bot say, show or post what it should not. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { GUILD_ID } from "#deploy/playground/world/seed.ts";
import { systemClock } from "#engine/base/clock.ts";
import { finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

/** Chat, and reading AutoMod's rules. */
const PERMISSIONS = 1_408_749_399_136n;
let lounge: Lounge;
let general: string;

beforeAll(async () => {
  lounge = await openLounge({}, systemClock, PERMISSIONS);
  general = lounge.playground.channelId("general");
});
afterAll(() => lounge.close());
afterEach(() => lounge.playground.moderators.setRules([]));

const person = (name: string) => lounge.playground.person(name);
const answerWith = (text: string) => {
  lounge.engine.script = () => [{ text }, { end: "stop" }];
};
/** All that the bot has sent since. */
function sentSince(): () => string {
  const before = lounge.tap.sent.length;
  return () =>
    lounge.tap.sent
      .slice(before)
      .map(({ body }) => JSON.stringify(body))
      .join("\n");
}

describe("a question is shown above its answer, in the bot's own name, which AutoMod does not read:", () => {
  test("words that a rule of the server forbids are not repeated, nor in a thread's title", async () => {
    lounge.playground.moderators.setRules([{ name: "No fruit", keywords: ["forbidden fruit"] }]);
    const sent = sentSince();
    answerWith("An answer to it.");
    await person("p1").slash(general, "chat", { text: "say forbidden fruit loudly" });
    await finishedAnswer(lounge, "An answer to it.");
    lounge.engine.script = ({ seed }) => [{ text: `Drawn ${seed}.` }, { end: "stop" }];
    await person("p1").slash(general, "compare", { text: "forbidden fruit twice" });
    await lounge.playground.waitFor(({ content }) => content.includes("**Answer B**"));
    answerWith("In the thread.");
    const title = "all about forbidden fruit";
    await person("mira").slash(general, "thread", { text: "forbidden fruit here", title });
    await lounge.playground.waitFor(({ content }) => content.includes("In the thread."));
    expect(sent()).not.toContain("forbidden");
    // The model still gets the question: what it says of it is for the checks of answers.
    expect(JSON.stringify(lounge.engine.asked.at(-1)?.messages)).toContain("forbidden fruit");
  });

  test("links and invitations stand as the server's policy says", async () => {
    const sent = sentSince();
    answerWith("Invited?");
    await person("p2").slash(general, "chat", { text: "join discord.gg/abcdef now" });
    const { content } = await finishedAnswer(lounge, "Invited?");
    expect(content).toContain("> join [invite removed] now");
    expect(sent()).not.toContain("discord.gg");
  });

  test("what may not be asked is not said again with the refusal", async () => {
    const sent = sentSince();
    lounge.engine.script = () => [
      { blocked: "That cannot be asked.", category: "S10", stage: "input" },
    ];
    await person("p3").slash(general, "chat", { text: "UGLYWORDS about somebody" });
    await lounge.playground.waitFor(({ content }) => content.includes("That cannot be asked."));
    expect(sent()).not.toContain("UGLYWORDS");
  });
});

describe("links to messages", () => {
  test("let nobody rate, and so read, what was answered in another's direct messages", async () => {
    answerWith("The secret of p4.");
    const direct = person("p4").directChannel();
    person("p4").say(direct, "my secret");
    const answer = await finishedAnswer(lounge, "The secret of p4.");
    const link = `https://discord.com/channels/@me/${direct}/${answer.id}`;
    const rated = await person("p5").slash(person("p5").directChannel(), "rate", {
      stars: 1,
      message: link,
    });
    expect(JSON.stringify(rated)).not.toContain("secret");
    expect(JSON.stringify(rated)).toContain("no answer of mine");
    expect(lounge.feedback.standing()).toEqual([]);
    await person("p4").slash(direct, "rate", { stars: 5, message: link });
    expect(lounge.feedback.standing()).toHaveLength(1);
  });
});

test("nobody rates, and so reads, what was answered in a channel that is hidden from them", async () => {
  const { moderators } = lounge.playground;
  const workshop = lounge.playground.channelId("workshop");
  answerWith("For the owner alone.");
  await person("mira").slash(workshop, "chat", { text: "our plans?" });
  const { id } = await finishedAnswer(lounge, "For the owner alone.");
  const link = `https://discord.com/channels/${GUILD_ID}/${workshop}/${id}`;
  const rate = (who: string, stars: number) =>
    person(who).slash(general, "rate", { stars, message: link });
  const standing = () => lounge.feedback.standing().length;
  const before = standing();
  await rate("p5", 4);
  expect(standing()).toBe(before + 1);
  moderators.hide(workshop);
  const refused = await rate("p6", 1);
  expect(JSON.stringify(refused)).toContain("no answer of mine");
  expect(JSON.stringify(refused)).not.toContain("owner alone");
  expect(standing()).toBe(before + 1);
  await rate("mira", 5);
  expect(standing()).toBe(before + 2);
});

describe("a file of settings", () => {
  test("cannot make the bot write in direct messages or in another server", async () => {
    const mira = person("mira");
    const settings = {
      reportChannelId: person("p6").directChannel(),
      modLogChannelId: "1999999999999999999",
      channelIds: [general, "1999999999999999998"],
      roleLimits: [{ roleId: "1999999999999999997", perMinute: 600 }],
      memory: "channel",
    };
    const base64 = Buffer.from(JSON.stringify(settings)).toString("base64");
    const file = { name: "settings.json", contentType: "application/json", base64 };
    const told = lounge.playground.waitFor(({ content }) => content.includes("not of this server"));
    await mira.slash(general, "settings import", { file });
    expect((await told).content).toContain("4 channels and roles");
    const exported = await mira.slash(general, "settings export");
    if (exported.kind !== "message") throw new Error("no file");
    const { attachments } = await lounge.playground.waitFor(
      (message) => message.id === exported.message.id && message.attachments.length > 0,
    );
    expect(await (await fetch(attachments[0]?.url ?? "")).json()).toMatchObject({
      reportChannelId: null,
      modLogChannelId: null,
      channelIds: [general],
      roleLimits: [],
      memory: "channel",
    });
  });
});
