import {
  ActionRowBuilder,
  ApplicationCommandType,
  ButtonBuilder,
  ButtonStyle,
  type Client,
  LabelBuilder,
  MessageFlags,
  ModalBuilder,
  StringSelectMenuBuilder,
  TextInputBuilder,
  TextInputStyle,
} from "discord.js";
import { describe, expect, test } from "vitest";
import type { Playground } from "#deploy/playground/playground.ts";
import { logIn, makeClient, onInteraction, openPlayground } from "./arena.ts";

describe("logging in", () => {
  test("the real client gets ready and knows guild, channels and itself", async () => {
    const playground = await openPlayground();
    const client = await logIn(playground);
    const guild = client.guilds.cache.first();
    expect(client.user.username).toBe("Zephyr");
    expect(guild?.channels.cache.map((channel) => channel.name)).toContain("general");
    expect(guild?.members.me?.permissions.has("AddReactions")).toBe(true);
    expect(playground.isBotConnected).toBe(true);
  });

  test("a wrong token is told as such", async () => {
    const playground = await openPlayground();
    const client = makeClient(playground);
    await expect(client.login("wrong.token.here")).rejects.toThrow(
      "An invalid token was provided.",
    );
  });
});

describe("slash commands", () => {
  test("a deferred answer streams by edits and ends as one message", async () => {
    const { playground, client } = await withCommands();
    onInteraction(client, async (interaction) => {
      if (!interaction.isChatInputCommand()) return;
      await interaction.deferReply();
      for (let words = 1; words <= 5; words += 1)
        await interaction.editReply("word ".repeat(words));
      await (await interaction.fetchReply()).react("👍");
    });
    const mira = playground.person("mira");
    const outcome = await mira.slash(playground.channelId("general"), "chat", { message: "hi" });
    if (outcome.kind !== "message") throw new Error(`Expected a message, got ${outcome.kind}.`);
    expect(outcome.message.flags).toBe(MessageFlags.Loading);
    const done = await playground.waitFor((message) => message.reactions?.length === 1);
    expect(done).toMatchObject({
      id: outcome.message.id,
      content: "word word word word word",
      flags: 0,
      edited_timestamp: expect.any(String),
      interaction_metadata: { user: { id: mira.id } },
    });
  });

  test("options arrive typed, and wrong ones are refused before they are sent", async () => {
    const { playground, client } = await withCommands();
    const seen: unknown[] = [];
    onInteraction(client, async (interaction) => {
      if (!interaction.isChatInputCommand()) return;
      seen.push(
        interaction.options.getInteger("score"),
        interaction.options.getUser("who")?.username,
      );
      await interaction.reply({ content: "thanks", flags: MessageFlags.Ephemeral });
    });
    const mira = playground.person("mira");
    const general = playground.channelId("general");
    const outcome = await mira.slash(general, "rate", {
      score: 4,
      who: playground.person("aiko").id,
    });
    expect(seen).toEqual([4, "aiko"]);
    expect(outcome).toMatchObject({
      kind: "message",
      message: { content: "thanks", flags: MessageFlags.Ephemeral },
    });
    expect(mira.messages(general)).toHaveLength(1);
    expect(playground.person("aiko").messages(general)).toHaveLength(0);
    await expect(mira.slash(general, "rate", { score: 9 })).rejects.toMatchObject({ code: 50035 });
    await expect(mira.slash(general, "rate", {})).rejects.toMatchObject({ code: 50035 });
    await expect(mira.slash(general, "nothing", {})).rejects.toMatchObject({ code: 10063 });
  });

  test("an option's choices are completed by the bot", async () => {
    const { playground, client } = await withCommands();
    onInteraction(client, async (interaction) => {
      if (!interaction.isAutocomplete()) return;
      await interaction.respond([{ name: `${interaction.options.getFocused()}!`, value: "x" }]);
    });
    const mira = playground.person("mira");
    const outcome = await mira.autocomplete(
      playground.channelId("general"),
      "topic",
      { name: "ri" },
      "name",
    );
    expect(outcome).toEqual({ kind: "choices", choices: [{ name: "ri!", value: "x" }] });
  });
});

describe("menus, components and forms", () => {
  test("a message-menu command carries its message's content, and opens a form that is answered", async () => {
    const { playground, client } = await withCommands();
    onInteraction(client, async (interaction) => {
      if (interaction.isMessageContextMenuCommand()) {
        const score = new TextInputBuilder().setCustomId("score").setStyle(TextInputStyle.Short);
        const label = new LabelBuilder().setLabel("Score").setTextInputComponent(score);
        const title = interaction.targetMessage.content;
        await interaction.showModal(
          new ModalBuilder({ customId: "rating", title }).addLabelComponents(label),
        );
      } else if (interaction.isModalSubmit()) {
        await interaction.reply(`score ${interaction.fields.getTextInputValue("score")}`);
      }
    });
    const message = playground
      .person("aiko")
      .say(playground.channelId("general"), "no intent needed");
    const mira = playground.person("mira");
    const outcome = await mira.messageCommand("Rate this answer", message.id);
    expect(outcome).toMatchObject({
      kind: "modal",
      modal: { title: "no intent needed", custom_id: "rating" },
    });
    await expect(mira.submitModal({ score: "" })).rejects.toMatchObject({ code: 50035 });
    const answered = await mira.submitModal({ score: "5" });
    expect(answered).toMatchObject({ kind: "message", message: { content: "score 5" } });
    await expect(mira.submitModal({ score: "5" })).rejects.toMatchObject({ code: 10062 });
  });

  test("buttons update their message, selects give their values, disabled ones cannot be used", async () => {
    const { playground, client } = await withCommands();
    onInteraction(client, async (interaction) => {
      if (interaction.isButton())
        await interaction.update({ content: `pressed ${interaction.customId}` });
      if (interaction.isStringSelectMenu()) {
        await interaction.deferUpdate();
        await interaction.followUp(`picked ${interaction.values.join("+")}`);
      }
    });
    const general = playground.channelId("general");
    const channel = await client.channels.fetch(general);
    if (channel?.isSendable() !== true) throw new Error("Expected a text channel.");
    const button = (id: string) =>
      new ButtonBuilder().setCustomId(id).setLabel(id).setStyle(ButtonStyle.Primary);
    const select = new StringSelectMenuBuilder()
      .setCustomId("taste")
      .setMaxValues(2)
      .addOptions(["salt", "rice"].map((name) => ({ label: name, value: name })));
    const { id } = await channel.send({
      content: "choose",
      components: [
        new ActionRowBuilder<ButtonBuilder>().addComponents(
          button("yes"),
          button("no").setDisabled(true),
        ),
        new ActionRowBuilder<StringSelectMenuBuilder>().addComponents(select),
      ],
    });
    const mira = playground.person("mira");
    expect(await mira.press(id, "yes")).toMatchObject({
      kind: "updated",
      message: { content: "pressed yes" },
    });
    await expect(mira.press(id, "no")).rejects.toMatchObject({ code: 50035 });
    expect(await mira.select(id, "taste", ["salt", "rice"])).toEqual({ kind: "acknowledged" });
    const followUp = await playground.waitFor((message) => message.content === "picked salt+rice");
    expect(followUp.message_reference?.message_id).toBe(id);
    await expect(mira.select(id, "taste", ["sand"])).rejects.toMatchObject({ code: 50035 });
  });
});

describe("reactions and threads", () => {
  test("a reaction on a message that the client never saw arrives as a partial that can be fetched", async () => {
    const playground = await openPlayground();
    const general = playground.channelId("general");
    const mira = playground.person("mira");
    const old = mira.say(general, "from before");
    const client = await logIn(playground);
    const added = new Promise<unknown[]>((resolve) =>
      client.once("messageReactionAdd", async (reaction, user) => {
        const wasPartial = reaction.message.partial;
        const whole = await reaction.fetch();
        resolve([wasPartial, whole.count, whole.emoji.name, user.id]);
      }),
    );
    const removed = new Promise<string | null>((resolve) =>
      client.once("messageReactionRemove", (reaction) => resolve(reaction.emoji.name)),
    );
    mira.react(old.id, "👎");
    expect(await added).toEqual([true, 1, "👎", mira.id]);
    mira.unreact(old.id, "👎");
    expect(await removed).toBe("👎");
  });

  test("a thread that a person starts is announced, and the bot answers in it", async () => {
    const playground = await openPlayground();
    const client = await logIn(playground);
    client.on("threadCreate", (thread, isNew) => void (isNew && thread.send("welcome")));
    const mira = playground.person("mira");
    const message = mira.say(playground.channelId("general"), "let us talk");
    const threadId = mira.startThread(playground.channelId("general"), "Talk", message.id);
    expect(threadId).toBe(message.id);
    await playground.waitFor((each) => each.content === "welcome", { channelId: threadId });
    expect(playground.message(message.id)).toMatchObject({
      flags: MessageFlags.HasThread,
      thread: { name: "Talk", message_count: 1 },
    });
    expect(() => mira.startThread(playground.channelId("general"), "Again", message.id)).toThrow(
      "A thread has already been created for this message",
    );
  });
});

describe("trouble", () => {
  test("a 429 is waited out and the request repeated", async () => {
    const playground = await openPlayground();
    const client = await logIn(playground);
    const limited: number[] = [];
    client.rest.on("rateLimited", (info) => limited.push(info.timeToReset));
    const general = await client.channels.fetch(playground.channelId("general"));
    if (general?.isSendable() !== true) throw new Error("Expected a text channel.");
    playground.limitNext({ method: "POST", path: "/messages", retryAfterMs: 50, scope: "shared" });
    expect((await general.send("after the wait")).content).toBe("after the wait");
    expect(limited).toHaveLength(1);
    expect(playground.messages(general.id).map((message) => message.content)).toEqual([
      "after the wait",
    ]);
  });

  test.each([
    ["a lost socket", (playground: Playground) => playground.dropSockets()],
    ["a request to reconnect", (playground: Playground) => playground.requestReconnect()],
  ])("after %s the client resumes and misses nothing", async (_, disturb) => {
    const playground = await openPlayground();
    const client = await logIn(playground);
    const seen: string[] = [];
    client.on("messageCreate", (message) => seen.push(message.id));
    const resumed = new Promise((resolve) => client.once("shardResume", resolve));
    const mira = playground.person("mira");
    const general = playground.channelId("general");
    const before = mira.say(general, "before");
    disturb(playground);
    const during = mira.say(general, "during");
    await resumed;
    const after = mira.say(general, "after");
    await new Promise<void>((resolve) => {
      if (seen.includes(after.id)) resolve();
      client.on("messageCreate", (message) => message.id === after.id && resolve());
    });
    expect(seen).toEqual([before.id, during.id, after.id]);
  });
});

async function withCommands(): Promise<{ playground: Playground; client: Client<true> }> {
  const playground = await openPlayground();
  const client = await logIn(playground);
  await client.application.commands.set([
    {
      name: "chat",
      description: "Talk",
      options: [{ name: "message", description: "m", type: 3, required: true }],
    },
    {
      name: "rate",
      description: "Rate",
      options: [
        { name: "score", description: "s", type: 4, required: true, minValue: 1, maxValue: 5 },
        { name: "who", description: "w", type: 6 },
      ],
    },
    {
      name: "topic",
      description: "Choose",
      options: [{ name: "name", description: "n", type: 3, autocomplete: true }],
    },
    { name: "Rate this answer", type: ApplicationCommandType.Message },
  ]);
  return { playground, client };
}
