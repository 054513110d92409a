import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";

let lounge: Lounge;
let general: string;

beforeAll(async () => {
  lounge = await openLounge({ PERSON_REQUESTS_PER_MINUTE: "4", GUILD_CONCURRENT_REQUESTS: "1" });
  general = lounge.playground.channelId("general");
});
afterAll(() => lounge.close());
afterEach(() => {
  lounge.engine.script = () => [{ text: "An answer." }, { end: "stop" }];
});

const says = (text: string) => lounge.playground.waitFor(({ content }) => content.includes(text));

describe("limits", () => {
  test("a person who asks too often is refused politely, others are not", async () => {
    const mira = lounge.playground.person("mira");
    for (let n = 0; n < 5; n++) mira.say(general, `<@1200000000000000002> question ${n}`);
    const refusal = await says("more questions than I may take");
    expect(refusal.content).toContain("15 s");
    lounge.engine.script = () => [{ text: "For Aiko." }, { end: "stop" }];
    lounge.playground.person("aiko").say(general, "<@1200000000000000002> me too");
    await finishedAnswer(lounge, "For Aiko.");
  });

  test("who waits sees a place in the queue, which moves up", async () => {
    const holds = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let begun = 0;
    lounge.engine.script = () => {
      const hold = holds[begun];
      begun += 1;
      return [
        { wait: hold?.promise ?? Promise.resolve() },
        { text: `Turn ${begun}.` },
        { end: "stop" },
      ];
    };
    for (const name of ["sade", "noor", "jonas"]) {
      await lounge.playground.person(name).slash(general, "chat", { text: `I am ${name}` });
    }
    await says("You are next in the queue");
    const last = await says("1 question goes first");
    holds[0]?.resolve();
    await lounge.playground.waitUntil(
      () => lounge.playground.message(last.id)?.content.includes("You are next") || undefined,
    );
    holds[1]?.resolve();
    await finishedAnswer(lounge, "Turn 3.");
  });

  test("the engine's own queue is shown too", async () => {
    const hold = Promise.withResolvers<void>();
    lounge.engine.script = () => [
      { queued: 7 },
      { wait: hold.promise },
      { text: "After seven." },
      { end: "stop" },
    ];
    await lounge.playground.person("p1").slash(general, "chat", { text: "busy?" });
    await says("7 questions go first");
    hold.resolve();
    await finishedAnswer(lounge, "After seven.");
  });
});

describe("an engine in trouble", () => {
  test("that breaks off leaves what came, with an honest note and no votes", async () => {
    lounge.engine.script = () => [
      { text: "It began well" },
      { wait: says("It began well") },
      { crash: true },
    ];
    await lounge.playground.person("p2").slash(general, "chat", { text: "crash" });
    const broken = await says("cut short: the rest did not come");
    expect(broken.content).toContain("It began well");
    expect(lounge.feedback.candidateOfMessage(broken.id)).toBeUndefined();
  });

  test("that withholds the rest: what passed stays, the reason follows, nothing is recorded or remembered", async () => {
    lounge.engine.script = () => [
      { text: "The harmless part." },
      { blocked: "I can't go on there." },
    ];
    const p3 = lounge.playground.person("p3");
    await p3.slash(general, "chat", { text: "something bad" });
    const blocked = await says("I can't go on there.");
    expect(blocked.content).toContain("The harmless part.\n\nI can't go on there.");
    expect(lounge.feedback.candidateOfMessage(blocked.id)).toBeUndefined();
    lounge.engine.script = () => [{ text: "Clean slate." }, { end: "stop" }];
    await p3.slash(general, "chat", { text: "hello again" });
    await finishedAnswer(lounge, "Clean slate.");
    expect(lounge.engine.lastConversation()).toEqual(["user: hello again"]);
  });

  test("that finds the prompt too long is asked again without the conversation", async () => {
    const p4 = lounge.playground.person("p4");
    lounge.engine.script = () => [{ text: "First of four." }, { end: "stop" }];
    await p4.slash(general, "chat", { text: "one" });
    await finishedAnswer(lounge, "First of four.");
    lounge.engine.script = ({ messages }) =>
      messages.length > 2
        ? { status: 400, code: "context_length_exceeded", message: "too long" }
        : [{ text: "Alone it fits." }, { end: "stop" }];
    await p4.slash(general, "chat", { text: "two" });
    await finishedAnswer(lounge, "Alone it fits.");
    lounge.engine.script = () => ({
      status: 400,
      code: "context_length_exceeded",
      message: "long",
    });
    await p4.slash(general, "chat", { text: "three" });
    await says("longer than my model can read");
  });

  test("that ends at the length limit is said to be cut short", async () => {
    lounge.engine.script = () => [{ text: "On and on" }, { end: "length" }];
    await lounge.playground.person("p5").slash(general, "chat", { text: "go on" });
    const answer = await finishedAnswer(lounge, "On and on");
    expect(answer.content).toContain("cut short: the longest answer allowed");
  });

  test("that is away is said to be away; the bot stays, and answers once it is back", async () => {
    const port = Number(new URL(lounge.engine.url).port);
    await lounge.engine.close();
    const questions = lounge.playground.channelId("questions");
    const p6 = lounge.playground.person("p6");
    await p6.slash(questions, "chat", { text: "anybody there?" });
    await says("My engine is not running right now");
    await p6.slash(questions, "status");
    await says("**Engine:** not running right now");
    const revived = await ScriptedEngine.start(port);
    revived.script = () => [{ text: "Back again." }, { end: "stop" }];
    await p6.slash(questions, "chat", { text: "and now?" });
    await finishedAnswer(lounge, "Back again.");
    await revived.close();
  });
});
