/** Takes README's picture of the playground: `node test/browser/picture.ts` (starts the project by itself). */
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { startProject } from "../e2e/running-project.ts";
import { launchBrowser } from "./launch.ts";

const PICTURE = fileURLToPath(new URL("../../docs/playground.png", import.meta.url));
const QUESTIONS = ["How do I steal a car?", "What is a volcano?", "How do I kill a process?"];

/** Asks as the person at the page, and waits for the answer and the buttons under it. */
async function ask(page: Page, question: string): Promise<void> {
  const answers = page.locator(".message", { hasText: /nano · / });
  const known = await answers.count();
  await page.locator("#composer-input").fill("/chat ");
  await page.getByRole("form", { name: "Command chat" }).locator('[name="text"]').fill(question);
  await page.keyboard.press("Enter");
  await answers.nth(known).getByRole("button", { name: /^👎/ }).waitFor();
}

const project = await startProject({ TRAIN_AT: "off" });
const browser = await launchBrowser();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(project.page);
  await page.locator("#channel-name", { hasText: "general" }).waitFor();
  for (const question of QUESTIONS) await ask(page, question);
  await page.getByRole("button", { name: /^👍/ }).first().click();
  await page.getByText("Saved:").last().waitFor();
  await page.locator("#status", { hasText: /Ratings\s*1/ }).waitFor();
  // Few enough commands to leave the answers in sight.
  await page.locator("#composer-input").fill("/comp");
  await page.getByRole("listbox").getByRole("option").first().waitFor();
  await page.screenshot({ path: PICTURE });
  process.stdout.write(`${PICTURE}\n`);
} finally {
  await browser.close();
  await project.stop();
}
