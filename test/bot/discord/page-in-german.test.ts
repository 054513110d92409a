/** A German person at the local Discord's page: commands, menus, forms and replies in their language. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../../browser/launch.ts";
import { type Lounge, openLounge } from "../support/lounge.ts";

let lounge: Lounge;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  lounge = await openLounge();
  browser = await launchBrowser();
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(lounge.playground.url);
  await page.locator("#channel-name", { hasText: "general" }).waitFor();
  await page.getByRole("combobox", { name: "Your language" }).selectOption("de");
}, 60_000);
afterAll(async () => {
  await browser.close();
  await lounge.close();
});

const composer = () => page.locator("#composer-input");
const message = (text: string) => page.locator(".message", { hasText: text }).last();
const picture = async (name: string) => {
  const folder = process.env["PAGE_PICTURES"];
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png` });
};

describe("a German person at the page", () => {
  test("finds the commands by their German names, with German descriptions", async () => {
    await composer().fill("/");
    const list = page.getByRole("listbox", { name: "Suggestions" });
    await list.getByText("/vergleichen").waitFor();
    expect(await list.innerText()).toContain("Stell eine Frage oder setz unser Gespräch");
    expect(await list.innerText()).toContain("/meinedaten anzeigen");
    await picture("german-commands");
    await composer().fill("/moderation links ");
    const form = page.getByRole("form", { name: "Command moderation links" });
    const policy = form.getByRole("combobox", { name: /^regel: Welche Links stehen bleiben/ });
    expect(await policy.innerText()).toContain("nur die genannten Domains");
    await page.keyboard.press("Escape");
  });

  test("uses one by its German name, and is answered in German", async () => {
    await composer().fill("/meinedaten anzeigen ");
    const form = page.getByRole("form", { name: "Command meinedaten anzeigen" });
    await form.getByRole("button", { name: "Use the command" }).click();
    await message("Was ich über dich aufbewahre").waitFor();
  });

  test("may use the English name as well, and gets options, buttons and footer in German", async () => {
    lounge.engine.script = () => [{ text: "Eine Antwort." }, { end: "stop" }];
    await composer().fill("/chat ");
    const form = page.getByRole("form", { name: "Command chat" });
    await form.getByRole("textbox", { name: "text: Was du sagen möchtest" }).fill("Hallo?");
    await form.getByRole("button", { name: "+ nur-für-mich" }).click();
    await form.locator('[name="ephemeral"]').selectOption("true");
    await form.getByRole("button", { name: "Use the command" }).click();
    const answer = message("Eine Antwort.");
    await answer.getByRole("button", { name: /Neu erzeugen/ }).waitFor();
    await answer.getByText("Basisgewichte").waitFor();
  });

  test("rates by the message's menu and its form, both in German", async () => {
    lounge.engine.script = () => [{ text: "Für alle." }, { end: "stop" }];
    await composer().fill("@Zephyr Und du?");
    await page.keyboard.press("Enter");
    const answer = message("Für alle.");
    // The server is English: what all see is, too.
    await answer.getByRole("button", { name: /Regenerate/ }).waitFor();
    await answer.locator(".content").first().click({ button: "right" });
    await page.getByRole("menuitem", { name: "Antwort bewerten" }).click();
    const dialog = page.getByRole("dialog", { name: "Antwort bewerten" });
    await dialog.getByText("Wie gut ist sie?").waitFor();
    await picture("german-form");
    await dialog.locator("select").selectOption("5");
    await dialog.getByRole("button", { name: "Submit" }).click();
    await message("Gespeichert: ★★★★★").waitFor();
  });

  test("keeps the language when the page is loaded again", async () => {
    await page.reload();
    const select = page.getByRole("combobox", { name: "Your language" });
    await expect.poll(() => select.inputValue(), { timeout: 20_000 }).toBe("de");
  });
});
