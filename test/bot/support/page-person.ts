/** Somebody at the local Discord's page, in a real browser: uses commands, menus, buttons, selects and forms. */
import type { Locator, Page } from "playwright-core";

/** A file for a command's option. */
export type PageFile = {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
};

/** Acts at one page. */
export class PagePerson {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Goes to a channel by its name. */
  async enter(channel: string): Promise<void> {
    await this.page.getByRole("button", { name: channel }).click();
    await this.page.getByRole("heading", { name: channel, level: 2 }).waitFor();
  }

  /** The last message with this text. */
  message(text: string | RegExp): Locator {
    return this.page.locator(".message", { hasText: text }).last();
  }

  /** The last response to a command. */
  reply(command: string): Locator {
    const origin = this.page.locator(".origin", { hasText: new RegExp(`used ${command}$`) });
    return this.page.locator(".message").filter({ has: origin }).last();
  }

  /**
   * Uses a slash command by the composer.
   * @param values by option: a text, a number, a choice's label, or a file
   */
  async use(
    command: string,
    values: Readonly<Record<string, string | PageFile>> = {},
  ): Promise<void> {
    await this.page.locator("#composer-input").fill(`/${command} `);
    const form = this.page.getByRole("form", { name: `Command ${command}`, exact: true });
    await form.waitFor();
    for (const [name, value] of Object.entries(values)) await fillOption(form, name, value);
    await form.getByRole("button", { name: "Use the command" }).click();
    await form.waitFor({ state: "detached" });
  }

  /** Types the beginning of an option's value. @returns what the bot suggests for it */
  async suggestions(command: string, option: string, typed: string): Promise<readonly string[]> {
    await this.page.locator("#composer-input").fill(`/${command} `);
    const form = this.page.getByRole("form", { name: `Command ${command}`, exact: true });
    await form.waitFor();
    await fillOption(form, option, typed);
    const offered = form.locator(`#choices-${option} option`);
    await offered.first().waitFor({ state: "attached" });
    const values = await offered.evaluateAll((all) =>
      all.map((each) => each.getAttribute("value")),
    );
    await form.getByRole("button", { name: "Cancel the command" }).click();
    return values.map(String);
  }

  /** Uses an entry of a message's menu. */
  async menu(message: Locator, entry: string): Promise<void> {
    await message.hover();
    await message.getByRole("button", { name: "More" }).click();
    await this.page.getByRole("menuitem", { name: entry }).click();
  }

  /** Presses a message's button. */
  async press(message: Locator, label: string | RegExp): Promise<void> {
    await message.getByRole("button", { name: label }).click();
  }

  /** Fills in the form that is open and sends it. @param values by the fields' labels */
  async submit(values: Readonly<Record<string, string>>): Promise<void> {
    const dialog = this.page.getByRole("dialog");
    await dialog.waitFor();
    for (const [label, value] of Object.entries(values)) {
      const control = dialog.getByLabel(label);
      if (await isSelect(control)) await control.selectOption({ label: value });
      else await control.fill(value);
    }
    await dialog.getByRole("button", { name: "Submit" }).click();
    await dialog.waitFor({ state: "detached" });
  }

  /** Keeps a picture of the page in the folder PAGE_PICTURES, if it is set. */
  async picture(name: string): Promise<void> {
    const folder = process.env["PAGE_PICTURES"];
    if (folder !== undefined) await this.page.screenshot({ path: `${folder}/${name}.png` });
  }
}

async function fillOption(form: Locator, name: string, value: string | PageFile): Promise<void> {
  const control = form.locator(`[name="${name}"]`);
  if (!(await control.isVisible())) {
    await form.getByRole("button", { name: `+ ${name}`, exact: true }).click();
  }
  if (typeof value !== "string") await control.setInputFiles(value);
  else if (await isSelect(control)) await control.selectOption({ label: value });
  else await control.fill(value);
}

function isSelect(control: Locator): Promise<boolean> {
  return control.evaluate((element) => element.tagName === "SELECT");
}
