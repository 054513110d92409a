/** The real bot's buttons, menus, selects and forms, used in the local Discord's page by a real browser. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../../browser/launch.ts";
import { type Lounge, openLounge } from "../support/lounge.ts";

let lounge: Lounge;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  lounge = await openLounge();
  lounge.engine.adapterNames = ["night-1"];
  browser = await launchBrowser();
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(lounge.playground.url);
  await page.locator("#channel-name", { hasText: "general" }).waitFor();
}, 60_000);
afterAll(async () => {
  await browser.close();
  await lounge.close();
});

/** Uses a command by the composer, its first option filled in. */
async function use(command: string, text?: string): Promise<void> {
  await page.locator("#composer-input").fill(`/${command} `);
  const form = page.getByRole("form", { name: `Command ${command}` });
  await form.waitFor();
  if (text !== undefined) await form.locator('[name="text"]').fill(text);
  await form.getByRole("button", { name: "Use the command" }).click();
}

const message = (text: string) => page.locator(".message", { hasText: text }).last();
const picture = async (name: string) => {
  const folder = process.env["PAGE_PICTURES"];
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png` });
};

describe("at the page", () => {
  test("an answer is voted on, drawn again and continued by its buttons", async () => {
    lounge.engine.script = () => [{ text: "The first answer." }, { end: "stop" }];
    await use("chat", "Hello?");
    // The confirmations below quote it.
    const first = page.locator(".message", { hasText: "The first answer." }).first();
    await first.getByRole("button", { name: "👍" }).click();
    await message("Saved:").waitFor();
    await message("Saved:").getByRole("button", { name: "Take it back" }).click();
    await message("Taken back").waitFor();
    lounge.engine.script = () => [{ text: "The second answer." }, { end: "stop" }];
    await first.getByRole("button", { name: /Regenerate/ }).click();
    await message("The second answer.")
      .getByRole("button", { name: /Continue/ })
      .waitFor();
    await picture("answers");
  });

  test("an answer in the making is stopped", async () => {
    const never = new Promise(() => undefined);
    lounge.engine.script = () => [{ text: "On and on" }, { wait: never }];
    await use("chat", "Talk");
    await message("On and on").getByRole("button", { name: /Stop/ }).click();
    await message("On and on").getByText("stopped").waitFor();
  });

  test("two answers are compared and revealed", async () => {
    lounge.engine.script = ({ seed }) => [{ text: `Drawn by ${seed}.` }, { end: "stop" }];
    await page.locator("#composer-input").fill("/compare ");
    const form = page.getByRole("form", { name: "Command compare" });
    await form.locator('[name="text"]').fill("Which?");
    await form.getByRole("button", { name: "+ votes" }).click();
    await form.locator('[name="votes"]').fill("1");
    await form.getByRole("button", { name: "Use the command" }).click();
    await message("Answer B").getByRole("button", { name: "A is better" }).click();
    await message("A won").waitFor();
    await picture("compare");
  });

  test("the settings' selects of channels, roles, personas and adapters are there and count", async () => {
    await use("settings show");
    const panel = message("Settings of this server");
    const general = panel
      .getByRole("group", { name: /Channels/ })
      .getByRole("checkbox", { name: "#general" });
    await general.check();
    expect(await panel.getByRole("group", { name: /Roles/ }).innerText()).toContain("Zephyr");
    await panel.locator("select").nth(1).selectOption({ label: "Adapter: night-1" });
    await panel
      .getByText("Adapter: night-1 ·")
      .or(panel.getByText(/· Adapter: night-1/))
      .first()
      .waitFor();
    // Drawn again by what was saved.
    expect(await general.isChecked()).toBe(true);
    await picture("settings");
    await panel.getByRole("button", { name: /Prompt addition/ }).click();
    const dialog = page.getByRole("dialog");
    await dialog.locator("textarea").fill("Be brief.");
    await dialog.getByRole("button", { name: "Submit" }).click();
    await panel.getByText("“Be brief.”").waitFor();
    await panel.getByRole("button", { name: "Next page" }).click();
    await panel.getByRole("button", { name: /Limit of a role/ }).click();
    await dialog.locator("select").selectOption({ label: "Zephyr" });
    await dialog.locator("input").fill("9");
    await picture("limit");
    await dialog.getByRole("button", { name: "Submit" }).click();
    await panel.getByText(/Questions a minute: .* 9/).waitFor();
  });
});
