/**
 * The whole loop on real parts: `npm start`, a browser, thirty people, one training run, the gate, a
 * swap while eight chats run. Nothing is replaced by a double.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { EngineClient } from "#engine/client/engine-client.ts";
import { loadCorpus } from "#trainer/nano/corpus/corpus.ts";
import { launchBrowser } from "../browser/launch.ts";
import { askAndVote, type CrowdReport } from "./brevity-lovers.ts";
import { chatThrough, type FinishedChat } from "./chats-under-swap.ts";
import { LocalCommunity } from "./local-person.ts";
import { type Measured, measureAnswers } from "./measured-answers.ts";
import { type RunningProject, runZephyr, startProject } from "./running-project.ts";

const PEOPLE = 30;
const QUESTIONS = 90;
const CHATS = 8;
const MINUTE_MS = 60_000;
/** The gate's own allowance: about two standard errors of the difference on 366 sampled answers. */
const REFUSAL_NOISE = 0.02;

const trained = z.looseObject({ status: z.string(), adapter: z.string() });

let project: RunningProject;
let browser: Browser;
let page: Page;
let engine: EngineClient;
let adapter: string;
let before: Measured;

beforeAll(async () => {
  project = await startProject({
    TRAIN_AT: "off",
    PERSON_REQUESTS_PER_MINUTE: "60",
    GUILD_CONCURRENT_REQUESTS: "8",
  });
  engine = new EngineClient({ url: project.engine });
  browser = await launchBrowser();
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(project.page);
}, 2 * MINUTE_MS);

afterAll(async () => {
  await browser?.close();
  await project?.stop();
}, MINUTE_MS);

test("a person chats by a slash command and sees the answer arrive piece by piece", async () => {
  const texts = await chatOnPage(page, "Explain volcanoes in detail.");
  expect(texts.at(-1)).toContain("nano · base weights");
  const shown = texts.filter((text) => text !== "" && !text.includes("nano ·"));
  expect(shown.length).toBeGreaterThan(0);
});

test("the person reacts and rates, and both count", async () => {
  const answer = lastAnswer(page);
  await answer.hover();
  await answer.getByRole("button", { name: "Add reaction" }).click();
  await page.getByRole("menuitem", { name: "👍", exact: true }).click();
  await answer.locator(".reaction.mine").waitFor();
  // The same opinion again, which counts once.
  await answer.getByRole("button", { name: "👍", exact: true }).click();
  await page.getByText("Saved:").last().waitFor();
  await useCommand(page, "rate", { stars: "5" });
  await page.getByText("Only you can see this").last().waitFor();
  await expect.poll(() => ratings(project.page), { timeout: 10_000 }).toBe(2);
});

test(
  "thirty people ask, and vote for answers that are short",
  async () => {
    const report = await crowdVotes(project.page);
    expect(report.answers).toBe(QUESTIONS * 4);
    // A model that always answers at one length would give nobody anything to choose from.
    expect(report.liked).toBeGreaterThan(report.answers * 0.1);
    expect(report.liked).toBeLessThan(report.answers * 0.9);
    await expect.poll(() => ratings(project.page), { timeout: 30_000 }).toBe(report.votes + 2);
  },
  5 * MINUTE_MS,
);

test(
  "one training run turns their votes into an adapter that the gate admits",
  async () => {
    before = await measureAnswers(engine, "nano:base");
    const { code, result, log } = await runZephyr(["train", "--no-activate"], project.environment);
    expect(code, log).toBe(0);
    adapter = trained.parse(result).adapter;
    expect((await engine.health()).adapter).toBeNull();
  },
  10 * MINUTE_MS,
);

test(
  "the adapter is swapped in while eight chats run, and none fails or mixes adapters",
  async () => {
    const chats = await chatThrough(engine, CHATS, async () => {
      const outcome = await runZephyr(["adapters", "activate", adapter], project.environment);
      expect(outcome.code, outcome.log).toBe(0);
    });
    const bySide = Map.groupBy(chats, (chat) => chat.adapter);
    expect([...bySide.keys()].sort()).toEqual([adapter, null].sort());
    expect(bySide.get(null)?.length).toBeGreaterThanOrEqual(CHATS);
    expect(bySide.get(adapter)?.length).toBeGreaterThanOrEqual(CHATS);
    for (const chat of chats) await expectUnmixed(engine, chat);
  },
  3 * MINUTE_MS,
);

test(
  "answers to held-out questions are a third shorter, and refusals are no worse",
  async () => {
    const after = await measureAnswers(engine, `nano:${adapter}`);
    expect(after.meanWords).toBeLessThanOrEqual(before.meanWords * 0.7);
    expect(after.refused).toBeGreaterThanOrEqual(before.refused - REFUSAL_NOISE);
  },
  3 * MINUTE_MS,
);

test("the page shows which adapter answered", async () => {
  const texts = await chatOnPage(page, "What is a glacier?");
  expect(texts.at(-1)).toContain(`nano · adapter ${adapter}`);
  await page.locator("#status").getByText(adapter).waitFor();
});

async function crowdVotes(pageUrl: string): Promise<CrowdReport> {
  const names = Array.from({ length: PEOPLE }, (_, index) => `Voter ${index + 1}`);
  const people = await Promise.all(names.map((name) => LocalCommunity.join(pageUrl, name)));
  const [watcher = ""] = people;
  await using community = await LocalCommunity.watch(pageUrl, watcher);
  const channels = [...(await community.channels(watcher)).values()].slice(0, 4);
  await forgetQuestions(community, pageUrl, channels[0] ?? "");
  const questions = loadCorpus()
    .topics.filter(({ kind, domain }) => kind === "thing" && domain !== "lookalikes")
    .slice(0, QUESTIONS)
    .map(({ about }) => `Tell me about ${about}.`);
  // Awaited here: `using` would close the community before a promise handed on had settled.
  return await askAndVote(community, { people, channels, questions, lanes: CHATS });
}

/** The server's owner has each question stand for itself, or else those that a person asked before change it. */
async function forgetQuestions(
  community: LocalCommunity,
  pageUrl: string,
  channel: string,
): Promise<void> {
  const owner = await LocalCommunity.join(pageUrl, "Mira");
  const file = {
    name: "settings.json",
    contentType: "application/json",
    base64: Buffer.from(JSON.stringify({ memory: "off" })).toString("base64"),
  };
  await community.slash(owner, channel, "settings import", { file });
}

/** The same request asked alone of the adapter that it reports must give the same text. */
async function expectUnmixed(engine: EngineClient, chat: FinishedChat): Promise<void> {
  const alone = await engine.complete({
    ...chat.request,
    model: `nano:${chat.adapter ?? "base"}`,
  });
  expect(alone.answers[0]?.text).toBe(chat.text);
}

async function ratings(pageUrl: string): Promise<number> {
  const response = await fetch(new URL("/local/status", pageUrl));
  return z.looseObject({ ratings: z.number() }).parse(await response.json()).ratings;
}

/** Asks by `/chat` and gives every state of the answer's text that the page showed. */
async function chatOnPage(page: Page, text: string): Promise<string[]> {
  const known = await page.locator(".message").count();
  await useCommand(page, "chat", { text });
  const states: string[] = [];
  await expect
    .poll(
      async () => {
        const count = await page.locator(".message").count();
        const shown = count > known ? await lastAnswer(page).innerText() : "";
        if (shown !== states.at(-1)) states.push(shown);
        return shown;
      },
      { timeout: 30_000, interval: 20 },
    )
    .toContain("nano · ");
  return states;
}

async function useCommand(
  page: Page,
  name: string,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  await page.locator("#composer-input").fill(`/${name}`);
  await page
    .getByRole("option", { name: `/${name}` })
    .first()
    .waitFor();
  await page.keyboard.press("Tab");
  const form = page.getByRole("form", { name: `Command ${name}` });
  for (const [option, value] of Object.entries(values)) {
    await form.locator(`[name="${option}"]`).fill(value);
  }
  await form.locator("[name]").first().press("Enter");
}

function lastAnswer(page: Page): ReturnType<Page["locator"]> {
  return page.locator(".message").last();
}
