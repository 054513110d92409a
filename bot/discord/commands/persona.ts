/** `/persona`: who speaks in a server. */
import {
  type AutocompleteInteraction,
  type ChatInputCommandInteraction,
  LabelBuilder,
  ModalBuilder,
  type ModalSubmitInteraction,
  PermissionFlagsBits,
  TextInputBuilder,
  TextInputStyle,
} from "discord.js";
import {
  type GuildSettings,
  PERSONA_LIMIT,
  PROMPT_CHARACTERS,
  personaName,
} from "../../settings/guild-settings.ts";
import { replyPrivately } from "../private-reply.ts";
import type { Room } from "../room.ts";

/** The kind of form, before the colon of its custom id. */
export const PERSONA_FORM = "persona";
const FIELD = { name: "name", text: "text" } as const;
const NAME_CHARACTERS = 32;

/** Lists, writes, chooses or removes personas. */
export async function persona(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  const { guildId, options } = interaction;
  if (guildId === null) return;
  const name = options.getString("name");
  switch (options.getSubcommand()) {
    case "write":
      await interaction.showModal(form());
      return;
    case "use":
      return replyPrivately(interaction, await use(room, guildId, name));
    case "remove":
      return replyPrivately(interaction, await remove(room, guildId, name ?? ""));
    default:
      return replyPrivately(interaction, list(await room.settings.of(guildId)));
  }
}

/** Takes the form. */
export async function submitPersona(
  room: Room,
  interaction: ModalSubmitInteraction,
): Promise<void> {
  const { guildId } = interaction;
  const mayManage = interaction.memberPermissions?.has(PermissionFlagsBits.ManageGuild) === true;
  if (guildId === null || !mayManage) return;
  const name = interaction.fields.getTextInputValue(FIELD.name).trim();
  const text = interaction.fields.getTextInputValue(FIELD.text).trim();
  if (!personaName.safeParse(name).success || text === "") {
    return replyPrivately(
      interaction,
      "A name takes letters, digits, spaces, _ and -; a text is needed.",
    );
  }
  const { personas } = await room.settings.of(guildId);
  const others = personas.filter((each) => each.name !== name);
  if (others.length >= PERSONA_LIMIT) {
    return replyPrivately(interaction, `There are ${PERSONA_LIMIT} already. Remove one first.`);
  }
  await room.settings.change(guildId, () => ({ personas: [...others, { name, text }] }));
  await replyPrivately(interaction, `Saved **${name}**. \`/persona use\` lets it speak here.`);
}

/** The personas that there are. */
export async function suggestPersonas(
  room: Room,
  interaction: AutocompleteInteraction,
): Promise<void> {
  const typed = interaction.options.getFocused().toLowerCase();
  const { personas } = await room.settings.of(interaction.guildId);
  const fitting = personas.filter(({ name }) => name.toLowerCase().includes(typed));
  await interaction.respond(fitting.map(({ name }) => ({ name, value: name })));
}

async function use(room: Room, guildId: string, name: string | null): Promise<string> {
  const { personas } = await room.settings.of(guildId);
  if (name !== null && !personas.some((each) => each.name === name)) return unknown(name);
  await room.settings.change(guildId, () => ({ persona: name }));
  return name === null ? "I speak as myself again." : `From now on **${name}** speaks here.`;
}

async function remove(room: Room, guildId: string, name: string): Promise<string> {
  const { personas } = await room.settings.of(guildId);
  if (!personas.some((each) => each.name === name)) return unknown(name);
  await room.settings.change(guildId, ({ persona: current }) => ({
    personas: personas.filter((each) => each.name !== name),
    persona: current === name ? null : current,
  }));
  return `Removed **${name}**.`;
}

function list({ personas, persona: current }: GuildSettings): string {
  if (personas.length === 0) return "There is none yet. `/persona write` makes one.";
  return personas
    .map(({ name, text }) => `${name === current ? "▶ " : ""}**${name}**: ${text.slice(0, 60)}`)
    .join("\n");
}

function unknown(name: string): string {
  return `There is no persona named ${name.replaceAll(/[^\p{L}\p{N} _-]/gu, "")}.`;
}

function form(): ModalBuilder {
  const name = new TextInputBuilder()
    .setCustomId(FIELD.name)
    .setStyle(TextInputStyle.Short)
    .setMaxLength(NAME_CHARACTERS);
  const text = new TextInputBuilder()
    .setCustomId(FIELD.text)
    .setStyle(TextInputStyle.Paragraph)
    .setMaxLength(PROMPT_CHARACTERS);
  return new ModalBuilder()
    .setCustomId(`${PERSONA_FORM}:write`)
    .setTitle("A persona")
    .addLabelComponents(
      new LabelBuilder().setLabel("Name").setTextInputComponent(name),
      new LabelBuilder()
        .setLabel("How it speaks")
        .setDescription("It stands below the rules of what I refuse, and can't change them.")
        .setTextInputComponent(text),
    );
}
