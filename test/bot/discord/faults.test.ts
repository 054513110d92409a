import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startBot } from "#bot/discord/start-bot.ts";
import { createLog } from "#engine/base/log.ts";
import { finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

const BOT = "<@1200000000000000002>";
let lounge: Lounge;
let general: string;
let count = 0;

beforeAll(async () => {
  lounge = await openLounge();
  general = lounge.playground.channelId("general");
});
afterAll(() => lounge.close());
afterEach(() => lounge.playground.faults.gateway({}));

/** Asks, and resolves with the finished answer. */
async function ask() {
  count += 1;
  const text = `Answer ${count}.`;
  lounge.engine.script = () => [{ text }, { end: "stop" }];
  lounge.playground.person("mira").say(general, `${BOT} question ${count}`);
  return await finishedAnswer(lounge, text);
}

const answersSaying = (text: string) =>
  lounge.playground.messages(general).filter(({ content }) => content.includes(text)).length;
const votesOn = (messageId: string) => {
  const id = lounge.feedback.candidateOfMessage(messageId)?.candidate.id;
  return lounge.feedback.standing().filter(({ candidateId }) => candidateId === id).length;
};

describe("a REST request that goes wrong", () => {
  test.each([500, 502, 503])(
    "with %d when the answer is created is tried again",
    async (status) => {
      lounge.playground.faults.rest({ kind: "status", status, method: "POST", path: "/messages" });
      const answer = await ask();
      expect(answersSaying(`Answer ${count}.`)).toBe(1);
      expect(votesOn(answer.id)).toBe(0);
    },
  );

  test("whose answer is lost makes no second message: what was sent is found again", async () => {
    lounge.playground.faults.rest({ kind: "lost", method: "POST", path: `${general}/messages` });
    await ask();
    expect(answersSaying(`Answer ${count}.`)).toBe(1);
  });

  test("with 502 when the last edit is made leaves no unfinished answer", async () => {
    const { faults } = lounge.playground;
    faults.rest({ kind: "status", status: 502, method: "PATCH", path: "/messages/", times: 2 });
    await ask();
  });

  test("by dawdling delays only itself: others are answered meanwhile", async () => {
    const { faults, person, channelId } = bound();
    faults.rest({ kind: "slow", delayMs: 3_000, method: "POST", path: `${general}/messages` });
    lounge.engine.script = ({ messages }) => [
      { text: `About the ${messages.at(-1)?.content}.` },
      { end: "stop" },
    ];
    person("mira").say(general, `${BOT} slow one`);
    const cooking = channelId("cooking");
    person("aiko").say(cooking, `${BOT} quick one`);
    const began = performance.now();
    await finishedAnswer(lounge, "About the quick one.");
    const quickMs = performance.now() - began;
    await finishedAnswer(lounge, "About the slow one.");
    expect(performance.now() - began).toBeGreaterThan(2_900);
    expect(quickMs).toBeLessThan(2_900);
  });

  test("with 429 for a slash command's response is waited out", async () => {
    const { playground } = lounge;
    playground.limitNext({
      method: "PATCH",
      path: "/webhooks/",
      retryAfterMs: 500,
      scope: "user",
    });
    lounge.engine.script = () => [{ text: "After the limit." }, { end: "stop" }];
    await playground.person("sade").slash(general, "chat", { text: "limited?" });
    await finishedAnswer(lounge, "After the limit.");
  });
});

/** The playground's methods without their object. */
function bound() {
  const { playground } = lounge;
  return {
    faults: playground.faults,
    person: (name: string) => playground.person(name),
    channelId: (name: string) => playground.channelId(name),
  };
}

describe("gateway events that go wrong", () => {
  test("come twice: each question is answered once, each vote counts once", async () => {
    lounge.playground.faults.gateway({ duplicate: true });
    const asked = lounge.engine.asked.length;
    const answer = await ask();
    lounge.playground.person("aiko").react(answer.id, "👍");
    lounge.playground.person("noor").react(answer.id, "👍");
    lounge.playground.person("noor").unreact(answer.id, "👍");
    await expect.poll(() => votesOn(answer.id)).toBe(1);
    await ask();
    expect(lounge.engine.asked.length).toBe(asked + 2);
    expect(votesOn(answer.id)).toBe(1);
    expect(answersSaying(`Answer ${count - 1}.`)).toBe(1);
  });

  test("come in reverse: questions are answered and votes of several people stand", async () => {
    lounge.playground.faults.gateway({ reverse: 3 });
    const answer = await ask();
    for (const name of ["aiko", "noor", "sade", "jonas"])
      lounge.playground.person(name).react(answer.id, "👍");
    await expect.poll(() => votesOn(answer.id)).toBe(4);
  });
});

describe("a connection that goes wrong", () => {
  test("by a dropped socket is resumed, and no IDENTIFY is spent", async () => {
    const before = lounge.playground.identifyCount;
    for (let drops = 0; drops < 3; drops++) {
      lounge.playground.dropSockets();
      await ask();
    }
    expect(lounge.playground.identifyCount).toBe(before);
  });

  test("by opcode 7 is resumed", async () => {
    const before = lounge.playground.identifyCount;
    lounge.playground.requestReconnect();
    await ask();
    expect(lounge.playground.identifyCount).toBe(before);
  });

  test("by an invalid session that may resume is resumed; by one that may not identifies once", async () => {
    const before = lounge.playground.identifyCount;
    lounge.playground.invalidateSessions(true);
    await ask();
    expect(lounge.playground.identifyCount).toBe(before);
    lounge.playground.invalidateSessions(false);
    await lounge.playground.waitUntil(
      () => (lounge.playground.identifyCount === before + 1 ? true : undefined),
      { timeoutMs: 20_000 },
    );
    await ask();
    expect(lounge.playground.identifyCount).toBe(before + 1);
  });
});

test("a bot whose budget of IDENTIFYs is used up waits instead of connecting", async () => {
  const second = await openLounge();
  await second.bot.stop(0);
  const before = second.playground.identifyCount;
  const now = Date.now();
  const identifiedAtMs = Array.from({ length: 500 }, () => now);
  writeFileSync(join(second.config.DATA_DIR, "identify.json"), JSON.stringify({ identifiedAtMs }));
  let isUp = false;
  void startBot(second.config, createLog("bot", "silent")).then(
    () => {
      isUp = true;
    },
    () => undefined,
  );
  await expect
    .poll(() => second.tap.sent.length + second.playground.requestCount, { timeout: 5_000 })
    .toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(isUp).toBe(false);
  expect(second.playground.identifyCount).toBe(before);
  second.feedback.close();
  await Promise.all([second.tap.close(), second.engine.close(), second.playground.close()]);
});

test("a bot that is asked to stop while it begins a session stops", async () => {
  const own = await openLounge();
  const before = own.playground.identifyCount;
  own.playground.invalidateSessions(false);
  const hasBegun = () => (own.playground.identifyCount > before ? true : undefined);
  await own.playground.waitUntil(hasBegun, { timeoutMs: 20_000 });
  await own.bot.stop(0);
  expect(own.playground.isBotConnected).toBe(false);
  own.feedback.close();
  await Promise.all([own.tap.close(), own.engine.close(), own.playground.close()]);
});
