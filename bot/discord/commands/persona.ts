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
import type { Language } from "../../language/language.ts";
import {
  type GuildSettings,
  PERSONA_LIMIT,
  PROMPT_CHARACTERS,
  personaName,
} from "../../settings/guild-settings.ts";
import { EPHEMERAL, replyPrivately } from "../private-reply.ts";
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
  const language = room.languages.of(interaction.locale);
  const at = { guildId, language };
  switch (options.getSubcommand()) {
    case "write":
      await interaction.showModal(form(language));
      return;
    case "use":
      return replyPrivately(interaction, await use(room, at, name));
    case "remove":
      return replyPrivately(interaction, await remove(room, at, name ?? ""));
    default:
      return replyPrivately(interaction, await list(room, at));
  }
}

/** Takes the form. */
export async function submitPersona(
  room: Room,
  interaction: ModalSubmitInteraction,
): Promise<void> {
  const { guildId } = interaction;
  const mayManage = interaction.memberPermissions?.has(PermissionFlagsBits.ManageGuild) === true;
  const language = room.languages.of(interaction.locale);
  if (guildId === null || !mayManage) {
    return replyPrivately(interaction, language.say("settings.not_allowed"));
  }
  const name = interaction.fields.getTextInputValue(FIELD.name).trim();
  const text = interaction.fields.getTextInputValue(FIELD.text).trim();
  if (!personaName.safeParse(name).success || text === "") {
    return replyPrivately(interaction, language.say("persona.name_wrong"));
  }
  // The check may take longer than Discord waits.
  await interaction.deferReply(EPHEMERAL);
  const content = await save(room, { guildId, language }, { name, text });
  await interaction.editReply({ content });
}

async function save(
  room: Room,
  { guildId, language }: At,
  written: GuildSettings["personas"][number],
): Promise<string> {
  const { personas } = await room.settings.of(guildId);
  const others = personas.filter((each) => each.name !== written.name);
  if (others.length >= PERSONA_LIMIT) {
    return language.say("persona.too_many", { most: PERSONA_LIMIT });
  }
  const problem = await room.instructions.problem(language, [written.text]);
  if (problem !== undefined) return language.say("instructions.refused", { reason: problem });
  await room.settings.change(guildId, () => ({ personas: [...others, written] }));
  return language.say("persona.saved", { name: written.name });
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

type At = { readonly guildId: string; readonly language: Language };

async function use(room: Room, { guildId, language }: At, name: string | null): Promise<string> {
  const { personas } = await room.settings.of(guildId);
  if (name !== null && !personas.some((each) => each.name === name)) return unknown(language, name);
  await room.settings.change(guildId, () => ({ persona: name }));
  return name === null ? language.say("persona.neutral") : language.say("persona.used", { name });
}

async function remove(room: Room, { guildId, language }: At, name: string): Promise<string> {
  const { personas } = await room.settings.of(guildId);
  if (!personas.some((each) => each.name === name)) return unknown(language, name);
  await room.settings.change(guildId, ({ persona: current }) => ({
    personas: personas.filter((each) => each.name !== name),
    persona: current === name ? null : current,
  }));
  return language.say("persona.removed", { name });
}

async function list(room: Room, { guildId, language }: At): Promise<string> {
  const settings = await room.settings.of(guildId);
  const { personas, persona: current } = settings;
  if (personas.length === 0) return language.say("persona.none");
  const leftOut = await room.instructions.leftOut(settings);
  const note = (text: string) =>
    leftOut.has(text) ? ` (${language.say("instructions.left_out")})` : "";
  return personas
    .map(
      ({ name, text }) =>
        `${name === current ? "▶ " : ""}**${name}**${note(text)}: ${text.slice(0, 60)}`,
    )
    .join("\n");
}

function unknown(language: Language, name: string): string {
  return language.say("persona.unknown", { name: name.replaceAll(/[^\p{L}\p{N} _-]/gu, "") });
}

function form(language: Language): ModalBuilder {
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
    .setTitle(language.say("title.persona"))
    .addLabelComponents(
      new LabelBuilder().setLabel(language.say("label.persona.name")).setTextInputComponent(name),
      new LabelBuilder()
        .setLabel(language.say("label.persona.text"))
        .setDescription(language.say("hint.below_rules"))
        .setTextInputComponent(text),
    );
}
