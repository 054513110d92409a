import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBot } from "#bot/discord/start-bot.ts";
import { systemClock } from "#engine/base/clock.ts";
import { createLog } from "#engine/base/log.ts";
import { finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

let lounge: Lounge;
let general: string;
let aheadMs = 0;
/** The local Discord's clock, which a test may put forward. */
const clock = {
  nowMs: () => systemClock.nowMs() + aheadMs,
  monotonicMs: () => systemClock.monotonicMs() + aheadMs,
};

beforeAll(async () => {
  lounge = await openLounge({}, clock);
  general = lounge.playground.channelId("general");
});
afterAll(() => lounge.close());

/** An answer that stops after its first words until `go` is called. */
function twoHalves() {
  const { promise, resolve } = Promise.withResolvers<void>();
  lounge.engine.script = () => [
    { text: "One half" },
    { wait: promise },
    { text: " and another." },
    { end: "stop" },
  ];
  return { go: resolve };
}

describe("Discord in trouble", () => {
  test("a 429 is waited out, and the answer still ends as it should", async () => {
    const { playground } = lounge;
    const { go } = twoHalves();
    playground.limitNext({ method: "PATCH", path: "/webhooks/", retryAfterMs: 300, scope: "user" });
    await playground.person("mira").slash(general, "chat", { text: "hurry" });
    go();
    await finishedAnswer(lounge, "> hurry\nOne half and another.");
  });

  test("an interaction whose token is over goes on as the bot itself", async () => {
    const { go } = twoHalves();
    await lounge.playground.person("mira").slash(general, "chat", { text: "take your time" });
    await lounge.playground.waitFor(({ content }) => content === "> take your time\nOne half");
    aheadMs += 16 * 60_000;
    go();
    await finishedAnswer(lounge, "> take your time\nOne half and another.");
  });

  test("a lost connection is resumed: what was written meanwhile is answered, once", async () => {
    const before = lounge.engine.asked.length;
    lounge.engine.script = () => [{ text: "Here I am again." }, { end: "stop" }];
    lounge.playground.dropSockets();
    lounge.playground.person("aiko").say(general, "<@1200000000000000002> are you there?");
    await finishedAnswer(lounge, "Here I am again.");
    expect(lounge.engine.asked.length).toBe(before + 1);
  });

  test("an answer whose message a moderator deletes is given up, and the engine is told to stop", async () => {
    const { playground } = lounge;
    twoHalves();
    playground.person("aiko").say(general, "<@1200000000000000002> delete me");
    const half = await playground.waitFor(({ content }) => content === "One half");
    playground.person("mira").delete(half.id);
    lounge.engine.script = () => [{ text: "Next one." }, { end: "stop" }];
    playground.person("aiko").say(general, "<@1200000000000000002> next");
    await finishedAnswer(lounge, "Next one.");
    expect(playground.message(half.id)).toBeUndefined();
  });
});

describe("stopping", () => {
  test("lets an answer finish, refuses what is asked meanwhile, then leaves", async () => {
    const { playground, bot } = lounge;
    const { go } = twoHalves();
    await playground.person("sade").slash(general, "chat", { text: "last words" });
    await playground.waitFor(({ content }) => content === "> last words\nOne half");
    const stopped = bot.stop(20_000);
    await playground.person("noor").slash(general, "chat", { text: "too late" });
    await playground.waitFor(({ content }) => content.includes("I am being restarted"));
    go();
    await stopped;
    const answer = await finishedAnswer(lounge, "> last words\nOne half and another.");
    expect(lounge.feedback.candidateOfMessage(answer.id)?.candidate.text).toBe(
      "One half and another.",
    );
    expect(playground.isBotConnected).toBe(false);
  });

  test("forgets nothing: a bot started again records votes on old answers and goes on with conversations", async () => {
    const { playground, engine, config, feedback } = lounge;
    const old = await finishedAnswer(lounge, "> last words\nOne half and another.");
    const again = await startBot(config, createLog("bot", "silent"), { editIntervalMs: 100 });
    playground.person("aiko").react(old.id, "👎");
    const id = feedback.candidateOfMessage(old.id)?.candidate.id ?? "";
    // Told by the gateway, and maybe found as well by the bot, which reads again what it missed.
    const values = () => new Set(feedback.eventsOf(id).map(({ value }) => value));
    await expect.poll(values).toEqual(new Set([-1]));
    playground.person("aiko").unreact(old.id, "👎");
    await expect.poll(() => feedback.eventsOf(id).at(-1)?.action).toBe("withdrawn");
    engine.script = () => [{ text: "I remember." }, { end: "stop" }];
    playground.person("sade").say(general, "<@1200000000000000002> and then?");
    await finishedAnswer(lounge, "I remember.");
    expect(engine.lastConversation()).toEqual([
      "user: last words",
      "assistant: One half and another.",
      "user: and then?",
    ]);
    await again.stop(0);
  });

  test("ends an answer that takes too long with what there is, and says why", async () => {
    const second = await openLounge();
    second.engine.script = () => [{ text: "Endless" }, { wait: new Promise(() => undefined) }];
    const place = second.playground.channelId("general");
    await second.playground.person("sade").slash(place, "chat", { text: "endless" });
    await second.playground.waitFor(({ content }) => content.endsWith("Endless"));
    await second.bot.stop(50);
    await second.playground.waitFor(({ content }) =>
      content.includes("cut short: the bot is being"),
    );
    await second.close();
  });
});
