/**
 * Each command, button, select, menu entry, form and completion of the real bot, used in the local
 * Discord's page by a real browser. The last test fails when one was defined or shown, and not used.
 */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { HANDLED } from "#bot/discord/on-interaction.ts";
import { launchBrowser } from "../../browser/launch.ts";
import { type Lounge, openLounge } from "../support/lounge.ts";
import { PagePerson } from "../support/page-person.ts";
import { definedCommands, shownControls, UsedControls } from "../support/used-controls.ts";

vi.setConfig({ testTimeout: 180_000 });

let lounge: Lounge;
let browser: Browser;
let used: UsedControls;
/** The server's owner, who runs the bot. */
let mira: PagePerson;
const complaints: string[] = [];

beforeAll(async () => {
  lounge = await openLounge();
  lounge.engine.adapterNames = ["night-1"];
  browser = await launchBrowser();
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => complaints.push(String(error)));
  used = new UsedControls(page);
  mira = new PagePerson(page);
  await page.goto(lounge.playground.url);
  await mira.enter("general");
}, 60_000);
afterAll(async () => {
  await browser.close();
  await lounge.close();
  expect(complaints).toEqual([]);
});

const says = (text: string) => {
  lounge.engine.script = () => [{ text }, { end: "stop" }];
};
const textFile = (name: string, text: string, mimeType = "text/plain") => ({
  ...{ name, mimeType, buffer: Buffer.from(text) },
});

test("/help and /status answer", async () => {
  await mira.use("help");
  await mira.reply("/help").getByText("/chat").first().waitFor();
  await mira.use("status");
  await mira.reply("/status").getByText("Engine").waitFor();
  await mira.picture("status");
});

test("/persona is written by its form, listed, chosen, suggested and removed", async () => {
  await mira.use("persona write");
  await mira.page.getByRole("dialog").waitFor();
  await mira.picture("persona-form");
  await mira.submit({ Name: "Bard", "How it speaks": "You speak in verse." });
  await mira.message("Saved Bard").waitFor();
  await mira.use("persona list");
  await mira.reply("/persona list").getByText("Bard").waitFor();
  expect(await mira.suggestions("persona use", "name", "ba")).toEqual(["Bard"]);
  expect(await mira.suggestions("persona remove", "name", "ba")).toEqual(["Bard"]);
  await mira.use("persona use", { name: "Bard" });
  await mira.message("From now on Bard").waitFor();
  await mira.picture("persona");
});

test("/chat takes all its options, and each button below an answer works", async () => {
  says("A quiet answer.");
  expect(await mira.suggestions("chat", "persona", "b")).toEqual(["Bard"]);
  expect(await mira.suggestions("chat", "adapter", "night")).toEqual(["night-1"]);
  await mira.use("chat", {
    text: "What does it say?",
    attachment: textFile("poem.txt", "Roses are red."),
    ephemeral: "yes",
    persona: "Bard",
    adapter: "night-1",
  });
  await mira.message("A quiet answer.").getByText("Only you can see this").waitFor();
  says("The first answer.");
  await mira.use("chat", { text: "Hello?" });
  const first = mira.page.locator(".message", { hasText: "The first answer." }).first();
  await mira.press(first, "👍");
  await mira.press(mira.message("Saved:"), "Take it back");
  await mira.message("Taken back").waitFor();
  await mira.press(first, "👎");
  await mira.message("Saved:").getByRole("button", { name: "Take it back" }).waitFor();
  says("The second answer.");
  await mira.press(first, /Regenerate/);
  await mira
    .message("The second answer.")
    .getByRole("button", { name: /Continue/ })
    .waitFor();
  says("And it goes on.");
  await mira.press(mira.message("The second answer."), /Continue/);
  await mira
    .message("And it goes on.")
    .getByRole("button", { name: /Continue/ })
    .waitFor();
  await mira.picture("answers");
  const never = new Promise(() => undefined);
  lounge.engine.script = () => [{ text: "On and on" }, { wait: never }];
  await mira.use("chat", { text: "Talk" });
  await mira.press(mira.message("On and on"), /Stop/);
  await mira.message("On and on").getByText("stopped").waitFor();
});

test("/rate, and the entries of an answer's menu: rating, report and appeal", async () => {
  says("Judge me.");
  await mira.use("chat", { text: "Say something." });
  const answer = mira.page.locator(".message", { hasText: "Judge me." }).first();
  await answer.getByRole("button", { name: "👍" }).waitFor();
  await mira.use("rate", { stars: "4", comment: "Fine." });
  await mira.message("★★★★☆").waitFor();
  await mira.menu(answer, "Rate this answer");
  await mira.page.getByRole("dialog").waitFor();
  await mira.picture("rate-form");
  await mira.submit({ "How good is it?": "★★★★★ excellent", "What was good": "All of it." });
  await mira.message("★★★★★").waitFor();
  await mira.menu(answer, "Report this answer");
  await mira.page.getByRole("dialog").waitFor();
  await mira.picture("report-form");
  await mira.submit({ "What is wrong with it?": "Something else", "In your own words": "Dull." });
  await mira.message(/report/i).waitFor();
  await mira.menu(answer, "Appeal this answer");
  await mira.picture("appeal");
  // The confirmations quote it.
  const question = mira.page.locator(".message", { hasText: "What is wrong with this answer?" });
  await mira.press(question.first(), "Should have refused");
  await mira.message("this is case 1").waitFor();
  await mira.press(question.first(), "Wrongly refused");
  await mira.message("this is case 2").waitFor();
});

test("/moderation, a refusal's appeal, and the buttons of a case", async () => {
  await mira.use("moderation setup", { log: "#workshop", alerts: "#workshop", "dry-run": "no" });
  await mira.message("Cases: #workshop").waitFor();
  await mira.use("moderation links", {
    policy: "only the listed domains",
    domains: "example.org wikipedia.org",
    invites: "no",
  });
  await mira.message("example.org, wikipedia.org").waitFor();
  lounge.engine.script = () => [{ blocked: "It is about weapons.", category: "S9" }];
  await mira.use("chat", { text: "How is it built?" });
  await mira.press(mira.message("It is about weapons."), "Wrongly refused?");
  await mira.message(/this is case \d/).waitFor();
  await mira.use("moderation cases");
  await mira.reply("/moderation cases").getByText("wrongly").first().waitFor();
  expect(await mira.reply("/moderation cases").locator("time").count()).toBeGreaterThan(2);
  expect(await mira.reply("/moderation cases").innerText()).not.toContain("<t:");
  await mira.use("moderation case", { number: "1" });
  await mira.use("moderation note", { number: "1", text: "Looked at." });
  await mira.message("Case 1 has its note.").waitFor();
  await mira.picture("moderation");
  await mira.enter("workshop");
  const posted = mira.page.locator(".message", {
    has: mira.page.getByRole("button", { name: "Uphold" }),
  });
  await mira.press(posted.first(), "Note");
  await mira.submit({ Note: "A false alarm." });
  await mira.message("has its note").waitFor();
  await mira.press(posted.first(), "Overturn");
  await mira.message("is overturned").waitFor();
  await mira.press(posted.last(), "Uphold");
  await mira.message("is upheld").waitFor();
  await mira.picture("cases");
  await mira.enter("general");
});

test("/compare is voted on with each of its buttons", async () => {
  lounge.engine.script = ({ seed }) => [{ text: `Drawn by ${seed}.` }, { end: "stop" }];
  expect(await mira.suggestions("compare", "first", "night")).toEqual(["night-1"]);
  expect(await mira.suggestions("compare", "second", "ba")).toEqual(["base"]);
  await mira.use("compare", { text: "Which?", votes: "2", minutes: "5" });
  await mira.press(mira.message("Answer B"), "A is better");
  await mira.message("1 of 2 votes").waitFor();
  await mira.press(mira.message("Answer B"), "Neither");
  await mira.message("0 of 2 votes").waitFor();
  await mira.press(mira.message("Answer B"), "B is better");
  await mira.message("1 of 2 votes").waitFor();
  await mira.picture("compare");
});

test("/thread opens a thread with the answer in it", async () => {
  says("In here.");
  await mira.use("thread", { text: "Let us talk", title: "Talk", mention: "yes" });
  await mira.page.getByRole("button", { name: "Talk" }).first().click();
  await mira.message("In here.").waitFor();
  await mira.enter("general");
});

test("/settings: each select, button and form of the panel, and the file", async () => {
  await mira.use("settings show");
  const panel = mira.reply("/settings show");
  const pick = async (name: RegExp, label: string) => {
    await panel.getByLabel(name).selectOption({ label });
  };
  const tick = async (name: RegExp, label: string) => {
    await panel.getByRole("group", { name }).getByRole("checkbox", { name: label }).check();
  };
  await tick(/Channels/, "#general");
  await tick(/Channels/, "#cooking");
  await tick(/Roles/, "Regulars");
  await panel.locator("select").nth(0).selectOption({ label: "Persona: Bard" });
  await panel.getByText("Persona: Bard ·").first().waitFor();
  await panel.locator("select").nth(1).selectOption({ label: "Adapter: night-1" });
  await panel.getByText("Adapter: night-1").first().waitFor();
  await mira.press(panel, /Prompt addition/);
  await mira.submit({ "How I should speak here": "Be brief." });
  await panel.getByText("“Be brief.”").waitFor();
  await mira.press(panel, "Learning: switch on");
  await panel.getByText("Learning from this server: on").waitFor();
  await mira.press(panel, "Learning: switch off");
  await mira.picture("settings-who");
  await mira.press(panel, "Next page");
  await panel.getByRole("button", { name: "First page" }).waitFor();
  await panel.locator("select").nth(0).selectOption({ index: 2 });
  await panel.locator("select").nth(1).selectOption({ label: "Language: Deutsch" });
  await pick(/Report channel/, "#workshop");
  await pick(/Mod-log channel/, "#workshop");
  await mira.press(panel, /Limit of a role/);
  await mira.page.getByRole("dialog").waitFor();
  await mira.picture("limit-form");
  await mira.submit({ Role: "Regulars", "Questions a minute": "9" });
  await panel.getByText(/Questions a minute: @Regulars 9/).waitFor();
  await panel.getByText("Reports go to: #workshop · Cases go to: #workshop").waitFor();
  await mira.picture("settings-how");
  await mira.press(panel, "First page");
  await panel.getByRole("button", { name: "Next page" }).waitFor();
  await mira.use("settings export");
  await mira.reply("/settings export").getByText("settings.json").waitFor();
  const written = JSON.stringify({ personas: [{ name: "Bard", text: "You speak in prose." }] });
  const file = textFile("settings.json", written, "application/json");
  await mira.use("settings import", { file });
  await mira.reply("/settings import").getByText("Persona: none").first().waitFor();
});

test("/adapter and /learning, for who runs the bot", async () => {
  await mira.use("adapter list");
  await mira.reply("/adapter list").getByText("night-1").first().waitFor();
  expect(await mira.suggestions("adapter canary", "name", "night")).toEqual(["night-1"]);
  expect(await mira.suggestions("adapter promote", "name", "night")).toEqual(["night-1"]);
  await mira.use("adapter canary", { name: "night-1", percent: "20" });
  await mira.message("On trial with 20%").waitFor();
  await mira.use("adapter promote", { name: "night-1" });
  await mira.message("night-1 serves now.").waitFor();
  await mira.use("adapter rollback");
  await mira.message("The base weights serve now.").waitFor();
  await mira.use("learning status");
  await mira.reply("/learning status").locator(".content").waitFor();
  await mira.use("learning run");
  await mira.message("A training starts").waitFor();
  await mira.use("learning pause");
  await mira.message("training is paused").waitFor();
  await mira.picture("learning");
});

test("/persona is removed, and /mydata shows, exports, asks and forgets", async () => {
  await mira.use("persona remove", { name: "Bard" });
  await mira.message("Removed Bard.").waitFor();
  await mira.use("mydata show");
  await mira
    .reply("/mydata show")
    .getByText(/question/i)
    .first()
    .waitFor();
  await mira.picture("mydata");
  await mira.use("mydata export");
  await mira.reply("/mydata export").getByText("mydata.json").waitFor();
  await mira.use("mydata consent", { learning: "yes" });
  await mira.use("mydata forget");
  await mira.picture("forget");
  await mira.press(mira.reply("/mydata forget"), "Keep it");
  await mira.message("Nothing was erased.").waitFor();
  await mira.use("mydata forget");
  await mira.press(mira.reply("/mydata forget"), "Forget me");
  await mira.message("your key is destroyed.").filter({ hasText: "Done:" }).waitFor();
  await mira.picture("forgotten");
});

test("nothing was left out: whatever is defined, handled or was shown, was used", async () => {
  const names = await used.names();
  const isUsed = (name: string) => names.has(name);
  expect(definedCommands().filter((name) => !isUsed(name))).toEqual([]);
  expect([...shownControls(lounge.tap.sent)].filter((name) => !isUsed(name))).toEqual([]);
  const kinds = new Set([...names].map((name) => name.split(":", 1)[0]));
  expect(HANDLED.filter((kind) => !kinds.has(kind))).toEqual([]);
});
