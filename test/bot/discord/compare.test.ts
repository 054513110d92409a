import type { APIMessage } from "discord-api-types/v10";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type RunningBot, startBot } from "#bot/discord/start-bot.ts";
import type { Person } from "#deploy/playground/people/person.ts";
import { systemClock } from "#engine/base/clock.ts";
import { createLog } from "#engine/base/log.ts";
import { ratedPrompts } from "#trainer/pairs/answers.ts";
import { compareAnswers } from "#trainer/pairs/compare.ts";
import { buttonId, type Lounge, openLounge } from "../support/lounge.ts";

let lounge: Lounge;
let bot: RunningBot;
let general: string;
let mira: Person;
let aheadMs = 0;

beforeAll(async () => {
  lounge = await openLounge();
  bot = lounge.bot;
  general = lounge.playground.channelId("general");
  mira = lounge.playground.person("mira");
  lounge.engine.adapterNames = ["night-1", "night-2"];
});
afterAll(async () => {
  await bot.stop(0);
  await lounge.close();
});
beforeEach(() => {
  // Each adapter has words of its own.
  lounge.engine.script = ({ model = "served", seed }) => [
    { text: model === "served" ? `Drawn with ${seed}.` : `Words of ${model}.` },
    { end: "stop" },
  ];
});

/** The last message of a new comparison. */
async function newComparison(options: Record<string, string | number>): Promise<APIMessage> {
  const text = `Which one, ${Math.random()}?`;
  await mira.slash(general, "compare", { text, ...options });
  const found = await lounge.playground.waitFor(
    (message) =>
      message.content.startsWith(`> ${text}`) && buttonId(message, "cmp:a:") !== undefined,
  );
  await expect
    .poll(async () => pressedBy("marker", found, "none"))
    .toMatchObject({ kind: "updated" });
  return found;
}

function pressedBy(name: string, message: APIMessage, choice: "a" | "b" | "none") {
  const id = buttonId(message, `cmp:${choice}:`) ?? "";
  return lounge.playground.person(name).press(message.id, id);
}

/** The button of the answer that the adapter gave. */
function sideOf(message: APIMessage, adapter: string): "a" | "b" {
  const [first] = message.content.split("**Answer B**");
  return first?.includes(adapter) === true ? "a" : "b";
}

const content = (message: APIMessage) => lounge.playground.message(message.id)?.content ?? "";
const restart = async () => {
  await bot.stop(0);
  const clock = {
    nowMs: () => systemClock.nowMs() + aheadMs,
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
  };
  bot = await startBot(lounge.config, createLog("bot", "silent"), { editIntervalMs: 100, clock });
};

describe("/compare", () => {
  test("shows both answers blind, counts votes without saying who leads, and reveals at the quorum", async () => {
    const shown = await newComparison({ first: "night-1", second: "base", votes: 2 });
    expect(shown.content).toContain("Words of nano:night-1.");
    expect(shown.content).toContain("0 of 2 votes");
    const better = sideOf(shown, "night-1");
    await pressedBy("aiko", shown, better === "a" ? "b" : "a");
    await pressedBy("aiko", shown, better);
    expect(content(shown)).toContain("1 of 2 votes");
    expect(content(shown)).not.toContain("adapter night-1");
    await pressedBy("sade", shown, better);
    await expect.poll(() => content(shown)).toContain("adapter night-1: 2 votes");
    expect(content(shown)).toContain(`the base weights: 0 votes`);
    expect(content(shown)).toContain(better === "a" ? "A won" : "B won");
    expect(lounge.playground.message(shown.id)?.components).toEqual([]);
    const { prompts } = ratedPrompts({
      exchanges: lounge.feedback.exchanges(),
      votes: lounge.feedback.standing(),
      refusal: () => undefined,
    });
    expect(compareAnswers(prompts).pairs).toMatchObject([
      { chosen: "Words of nano:night-1.", rejected: "Words of nano:base.", weight: 1 },
    ]);
  });

  test("puts either answer first, by chance", async () => {
    const firsts = new Set<string>();
    for (let n = 0; n < 12 && firsts.size < 2; n++) {
      firsts.add(sideOf(await newComparison({ first: "night-1", second: "night-2" }), "night-1"));
    }
    expect(firsts.size).toBe(2);
  });

  test("without adapters compares two samplings of the one that serves", async () => {
    const shown = await newComparison({});
    expect(shown.content.match(/Drawn with \d+\./g)).toHaveLength(2);
  });

  test("of answers that come out the same says so", async () => {
    lounge.engine.script = () => [{ text: "Same." }, { end: "stop" }];
    await mira.slash(general, "compare", { text: "Twins?" });
    await lounge.playground.waitFor((message) => message.content.includes("came out the same"));
  });

  test("suggests the adapters that there are", async () => {
    const outcome = await mira.autocomplete(
      general,
      "compare",
      { text: "x", first: "ni" },
      "first",
    );
    expect(outcome).toMatchObject({
      choices: [{ value: "night-1" }, { value: "night-2" }],
    });
  });
});

describe("an open comparison", () => {
  test("survives a restart, and closes when its time is over, though nobody votes", async () => {
    const shown = await newComparison({ first: "night-1", second: "base", minutes: 5 });
    await restart();
    await pressedBy("noor", shown, sideOf(shown, "night-1"));
    expect(content(shown)).toContain("1 of 5 votes");
    aheadMs += 6 * 60_000;
    await restart();
    await expect
      .poll(() => content(shown), { timeout: 8_000 })
      .toContain("adapter night-1: 1 vote");
  });

  test("that is being drawn when the bot ends is shown before it does, and is open at the next start", async () => {
    const rest = Promise.withResolvers<void>();
    lounge.engine.script = ({ seed }) => [
      { text: `Late words ${seed}.` },
      { wait: rest.promise },
      { end: "stop" },
    ];
    const asked = lounge.engine.asked.length;
    await mira.slash(general, "compare", { text: "Before the end?", votes: 1 });
    await expect.poll(() => lounge.engine.asked.length).toBe(asked + 2);
    const ending = bot.stop(5_000);
    rest.resolve();
    await ending;
    const shown = lounge.playground
      .messages(general)
      .find((message) => message.content.includes("Late words"));
    if (shown === undefined) throw new Error("not shown");
    await restart();
    await pressedBy("noor", shown, "a");
    await expect.poll(() => content(shown), { timeout: 8_000 }).toContain("A won");
  });
});
