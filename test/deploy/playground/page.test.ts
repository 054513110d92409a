/** The page in a real browser, with a small scripted bot behind it. */
import {
  ApplicationCommandType,
  type Client,
  LabelBuilder,
  MessageFlags,
  ModalBuilder,
  TextInputBuilder,
  TextInputStyle,
} from "discord.js";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Playground } from "#deploy/playground/playground.ts";
import { launchBrowser } from "../../browser/launch.ts";
import { logIn, onInteraction, openPlayground } from "./arena.ts";

let browser: Browser;

beforeAll(async () => {
  browser = await launchBrowser();
});

afterAll(() => browser.close());

test("a person completes a command, sees the answer stream, reacts and withdraws", async () => {
  const { playground, page, client } = await openPage();
  const steps = answerInSteps(client, [
    "**First**",
    "**First** and then",
    "**First** and then `code`",
  ]);
  const composer = page.locator("#composer-input");
  await composer.fill("/");
  const options = page.locator("#completions [role=option]");
  await expect.poll(() => options.allInnerTexts()).toHaveLength(2);
  expect((await options.allInnerTexts()).join("\n")).toContain("Ask Zephyr something");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Tab");
  await page.keyboard.type("How do I cook rice?");
  await page.keyboard.press("Enter");
  const answer = page.locator(".message", { hasText: "used /chat" });
  await answer.getByText("Zephyr is thinking").waitFor();
  await steps.next();
  await answer.locator(".content", { hasText: "First" }).waitFor();
  await steps.next();
  await answer.getByText("First and then (edited)").waitFor();
  await steps.next();
  await answer.locator("code", { hasText: "code" }).waitFor();
  const thumb = answer.getByRole("button", { name: /^👍/ });
  await thumb.click();
  await answer.getByRole("button", { name: /^👍, 2/, pressed: true }).waitFor();
  await thumb.click();
  await answer.getByRole("button", { name: /^👍, 1/, pressed: false }).waitFor();
  const id = await answer.getAttribute("data-id");
  expect(playground.message(id ?? "")?.reactions?.map((each) => each.count)).toEqual([1, 1]);
});

test("the message menu opens by right click and by keyboard, and leads to a form", async () => {
  const { playground, page, client } = await openPage();
  onInteraction(client, async (interaction) => {
    if (interaction.isMessageContextMenuCommand()) {
      const score = new TextInputBuilder().setCustomId("score").setStyle(TextInputStyle.Short);
      const label = new LabelBuilder().setLabel("Score").setTextInputComponent(score);
      await interaction.showModal(
        new ModalBuilder({ customId: "rating", title: "Rate" }).addLabelComponents(label),
      );
    }
    if (interaction.isModalSubmit()) {
      const score = interaction.fields.getTextInputValue("score");
      await interaction.reply({ content: `Thanks for ${score}`, flags: MessageFlags.Ephemeral });
    }
  });
  playground.person("aiko").say(playground.channelId("general"), "rate me");
  const message = page.locator(".message", { hasText: "rate me" });
  await message.click({ button: "right" });
  expect(await page.getByRole("menuitem").allInnerTexts()).toEqual([
    "Reply",
    "Start thread",
    "Copy text",
    "Rate this answer",
  ]);
  await page.keyboard.press("Escape");
  await message.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Rate this answer" }).press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.type("5");
  await page.keyboard.press("Enter");
  const thanks = page.locator(".message.ephemeral", { hasText: "Thanks for 5" });
  await thanks.getByText("Only you can see this").waitFor();
  await thanks.getByRole("button", { name: "Dismiss message" }).click();
  await thanks.waitFor({ state: "detached" });
});

test("people are switched, reply to each other, and nothing that they write becomes HTML", async () => {
  const { playground, page } = await openPage();
  const composer = page.locator("#composer-input");
  await composer.fill("<img src=x onerror=alert(1)> **bold** [x](javascript:alert(1)) @Zephyr");
  await page.keyboard.press("Enter");
  const first = page.locator(".message", { hasText: "bold" });
  await first.locator("strong", { hasText: "bold" }).waitFor();
  expect(await first.locator("img, a").count()).toBe(0);
  expect(await first.locator(".mention").innerText()).toBe("@Zephyr");
  await page.getByRole("button", { name: "Become Tomas" }).click();
  await page.getByText("You are Tomas").waitFor();
  await first.hover();
  await first.getByRole("button", { name: "Reply" }).click();
  await page.keyboard.type("I agree");
  await page.keyboard.press("Enter");
  await page
    .locator(".message", { hasText: "I agree" })
    .locator(".origin", { hasText: "Mira" })
    .waitFor();
  expect(playground.messages(playground.channelId("general")).at(-1)).toMatchObject({
    content: "I agree",
    author: { username: "tomas" },
    referenced_message: { author: { username: "mira" } },
  });
});

test("Markdown is shown as Discord shows it", async () => {
  const { playground, page } = await openPage();
  const text =
    "1. one\n2. two\nplain 👍 `👎`\n> quoted\nnot quoted\n-# small\n__under__ ||hidden||\n```js\n-# code\n```";
  playground.person("aiko").say(playground.channelId("general"), text);
  const content = page.locator(".message .content", { hasText: "quoted" });
  await content.waitFor();
  expect(await content.locator("li").allInnerTexts()).toEqual(["one", "two"]);
  expect(await content.locator("blockquote").innerText()).toBe("quoted");
  expect(await content.locator(".subtext").innerText()).toBe("small");
  expect(await content.locator("u").innerText()).toBe("under");
  expect((await content.locator("pre").innerText()).trim()).toBe("-# code");
  expect(await content.getByRole("img", { name: "👍" }).count()).toBe(1);
  expect(await content.locator("p code").innerText()).toBe("👎");
  await content.locator(".spoiler").click();
  await content.getByText("hidden").waitFor();
});

test("a link to a message leads to it, in the channel where it stands", async () => {
  const { playground, page } = await openPage();
  const [from, to] = [playground.channelId("general"), playground.channelId("cooking")];
  const aiko = playground.person("aiko");
  const target = aiko.say(to, "the soup is ready");
  aiko.say(from, `look: https://discord.com/channels/1/${to}/${target.id}`);
  await page.getByRole("link", { name: "discord.com/channels" }).click();
  await page.getByRole("heading", { name: "cooking", level: 2 }).waitFor();
  await page.locator(".message.found", { hasText: "the soup is ready" }).waitFor();
  expect(page.context().pages()).toHaveLength(1);
});

test("a command that nobody answers is told as such, and the strip shows that the bot left", async () => {
  const { page, client } = await openPage();
  await page.locator(".status-item", { hasText: "online" }).waitFor();
  const composer = page.locator("#composer-input");
  await composer.fill("/chat hello");
  await page.keyboard.press("Enter");
  await page.getByText("The application did not respond").waitFor();
  await client.destroy();
  await page.locator(".status-item", { hasText: "offline" }).waitFor();
});

test("on a phone's width nothing is cut off, and the channels slide in", async () => {
  const { page } = await openPage({ width: 320, height: 640 });
  const isWide = await page.evaluate(
    () => document.documentElement.scrollWidth > window.innerWidth,
  );
  expect(isWide).toBe(false);
  expect(await page.getByRole("button", { name: "cooking" }).isVisible()).toBe(false);
  await page.getByRole("button", { name: "Show channels" }).click();
  await page.getByRole("button", { name: "cooking" }).click();
  await page.getByRole("heading", { name: "cooking", level: 2 }).waitFor();
});

test("a form that a button opens gives the focus back to the button when it is left", async () => {
  const { playground, page, client } = await openPage();
  onInteraction(client, async (interaction) => {
    if (!interaction.isButton()) return;
    const input = new TextInputBuilder().setCustomId("note").setStyle(TextInputStyle.Short);
    const label = new LabelBuilder().setLabel("Note").setTextInputComponent(input);
    await interaction.showModal(
      new ModalBuilder({ customId: "note", title: "Case" }).addLabelComponents(label),
    );
  });
  const channel = await client.channels.fetch(playground.channelId("general"));
  if (!channel?.isSendable()) throw new Error("expected a channel to write in");
  const button = { type: 2, style: 2, label: "Note", custom_id: "note" } as const;
  await channel.send({ content: "A case", components: [{ type: 1, components: [button] }] });
  const note = page.getByRole("button", { name: "Note" });
  await note.press("Enter");
  await page.getByRole("dialog").getByLabel("Note").waitFor();
  await page.keyboard.press("Escape");
  await expect
    .poll(() => note.evaluate((element) => element === document.activeElement))
    .toBe(true);
});

test("by keyboard the channels open with the focus on the one that is shown, and close by Escape", async () => {
  const { page } = await openPage({ width: 320, height: 640 });
  const opener = page.getByRole("button", { name: "Show channels" });
  await opener.press("Enter");
  const isFocused = (element: Element) => element === document.activeElement;
  const shown = page.locator("#channels [aria-current]");
  await expect.poll(() => shown.evaluate(isFocused)).toBe(true);
  await page.keyboard.press("Escape");
  await expect.poll(() => opener.evaluate(isFocused)).toBe(true);
  await page.locator("#composer-input").fill("The chat takes words again.");
});

test("a form that lacks what is needed says which field, goes there, and asks the bot nothing", async () => {
  const { playground, page, client } = await openPage();
  const sent: string[] = [];
  onInteraction(client, async (interaction) => {
    if (interaction.isModalSubmit()) {
      sent.push(interaction.fields.getTextInputValue("score"));
      await interaction.reply({ content: "Thanks", flags: MessageFlags.Ephemeral });
    }
    if (!interaction.isMessageContextMenuCommand()) return;
    const inputs = ["score", "words"].map((name) => {
      const input = new TextInputBuilder().setCustomId(name).setStyle(TextInputStyle.Short);
      const label = new LabelBuilder().setLabel(`Your ${name}`);
      return label.setTextInputComponent(input.setRequired(name === "score"));
    });
    await interaction.showModal(
      new ModalBuilder({ customId: "rating", title: "Rate" }).addLabelComponents(...inputs),
    );
  });
  playground.person("aiko").say(playground.channelId("general"), "rate me");
  await page.locator(".message", { hasText: "rate me" }).click({ button: "right" });
  await page.getByRole("menuitem", { name: "Rate this answer" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Your words").fill("well done");
  await form.getByRole("button", { name: "Submit" }).click();
  await form.getByRole("alert").getByText("“Your score” is needed.").waitFor();
  const score = form.getByLabel("Your score");
  expect(await score.evaluate((field) => document.activeElement === field)).toBe(true);
  expect(await score.getAttribute("aria-invalid")).toBe("true");
  expect(sent).toEqual([]);
  await page.keyboard.type("5");
  await page.keyboard.press("Enter");
  await page.getByText("Only you can see this").waitFor();
  expect(sent).toEqual(["5"]);
});

test.each([360, 800, 1280])(
  "an adapter on trial and its reach are shown, and nothing overflows, at a width of %i",
  async (width) => {
    const { page } = await openPage({ width, height: 740 });
    const name = "an-adapter-with-a-name-as-long-as-names-may-be-0123456789-abcdef";
    const status = {
      bot: "connected",
      engine: "up",
      model: "zephyr-7b-beta.Q4_K_M",
      ratings: 12345,
    };
    const trial = { name, percent: 25, isHere: true };
    await page.route("**/local/status", (route) =>
      route.fulfill({ json: { ...status, adapter: name, trial } }),
    );
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    const item = page.locator(".status-item", { hasText: "On trial here" });
    await expect.poll(() => item.innerText()).toContain(`25% · ${name}`);
    expect(await item.getAttribute("title")).toContain("this one included");
    const ends = await page
      .locator(".status-item, #channel-name")
      .evaluateAll((items) => items.map((each) => each.getBoundingClientRect().right));
    expect(Math.max(...ends)).toBeLessThanOrEqual(width);
  },
);

async function openPage(
  viewport = { width: 1280, height: 800 },
): Promise<{ playground: Playground; page: Page; client: Client<true> }> {
  const playground = await openPlayground();
  const client = await logIn(playground);
  await client.application.commands.set([
    {
      name: "chat",
      description: "Ask Zephyr something",
      options: [{ name: "message", description: "m", type: 3, required: true }],
    },
    { name: "help", description: "What Zephyr can do" },
    { name: "Rate this answer", type: ApplicationCommandType.Message },
  ]);
  const page = await browser.newPage({ viewport });
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  onTestFinished(async () => {
    await page.close();
    expect(complaints).toEqual([]);
  });
  await page.goto(playground.url);
  await page.locator(".beginning").waitFor();
  return { playground, page, client };
}

/** Answers /chat; each `next` makes one edit and resolves when it is done. */
function answerInSteps(client: Client, texts: readonly string[]): { next: () => Promise<void> } {
  const edits: (() => Promise<unknown>)[] = [];
  const deferred = new Promise<void>((resolve) => {
    onInteraction(client, async (interaction) => {
      if (!interaction.isChatInputCommand()) return;
      const answer = await interaction.deferReply({ withResponse: true });
      const message = answer.resource?.message;
      edits.push(...texts.map((text) => () => interaction.editReply(text)));
      const last = edits.at(-1);
      edits[edits.length - 1] = async () => {
        await last?.();
        await message?.react("👍");
        await message?.react("👎");
      };
      resolve();
    });
  });
  return {
    next: async () => {
      await deferred;
      await edits.shift()?.();
    },
  };
}
