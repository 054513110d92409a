/** `/settings`: a panel that only its user sees, and the same settings as a file. */
import {
  type AnySelectMenuInteraction,
  type ButtonInteraction,
  type ChatInputCommandInteraction,
  LabelBuilder,
  ModalBuilder,
  type ModalSubmitInteraction,
  PermissionFlagsBits,
  type RepliableInteraction,
  RoleSelectMenuBuilder,
  TextInputBuilder,
  TextInputStyle,
} from "discord.js";
import type { Language } from "../../language/language.ts";
import { type GuildSettings, onlyLocal, PROMPT_CHARACTERS } from "../../settings/guild-settings.ts";
import {
  changeOf,
  PANEL,
  type PanelFacts,
  type PanelPage,
  panelRows,
  panelText,
} from "../../settings/panel.ts";
import { readAttachment } from "../attachments.ts";
import { EPHEMERAL, replyPrivately } from "../private-reply.ts";
import type { Room } from "../room.ts";

const FIELD = { text: "text", role: "role", count: "count" } as const;
const LARGEST_LIMIT = 600;

/** Shows the panel, gives the file, or takes one. */
export async function settings(
  room: Room,
  interaction: ChatInputCommandInteraction,
): Promise<void> {
  const { guildId } = interaction;
  if (guildId === null) return refuse(room, interaction);
  await interaction.deferReply(EPHEMERAL);
  switch (interaction.options.getSubcommand()) {
    case "export":
      return exportFile(room, interaction, guildId);
    case "import":
      return importFile(room, interaction, guildId);
    default:
      await interaction.editReply(await panel(room, interaction, guildId, "who"));
  }
}

/** A choice in one of the panel's selects. */
export async function chooseSetting(
  room: Room,
  interaction: AnySelectMenuInteraction,
): Promise<void> {
  const { guildId } = interaction;
  if (guildId === null || !manages(interaction)) return refuse(room, interaction);
  const field = interaction.customId.slice(PANEL.select.length + 1);
  const change = changeOf(field, interaction.values);
  if (change !== undefined) await room.settings.change(guildId, () => change);
  const isFirst = ["channelIds", "roleIds", "persona", "adapter"].includes(field);
  await interaction.update(await panel(room, interaction, guildId, isFirst ? "who" : "how"));
}

/** One of the panel's buttons. */
export async function pressSetting(room: Room, interaction: ButtonInteraction): Promise<void> {
  const { guildId } = interaction;
  if (guildId === null || !manages(interaction)) return refuse(room, interaction);
  const action = interaction.customId.slice(PANEL.button.length + 1);
  const language = room.languages.of(interaction.locale);
  switch (action) {
    case "prompt":
      await interaction.showModal(promptForm(language, await room.settings.of(guildId)));
      return;
    case "limit":
      await interaction.showModal(limitForm(language));
      return;
    case "learn:on":
    case "learn:off":
      room.consent.setGuild(guildId, action === "learn:on", room.pseudonymise(interaction.user.id));
      await interaction.update(await panel(room, interaction, guildId, "who"));
      return;
    default:
      await interaction.update(
        await panel(room, interaction, guildId, action === "page:how" ? "how" : "who"),
      );
  }
}

/** One of the panel's forms. */
export async function submitSetting(
  room: Room,
  interaction: ModalSubmitInteraction,
): Promise<void> {
  const { guildId } = interaction;
  if (guildId === null || !manages(interaction)) return refuse(room, interaction);
  if (interaction.customId === `${PANEL.form}:prompt`) {
    return changeAddition(room, interaction, guildId);
  }
  const problem = await changeLimit(room, interaction, guildId);
  if (problem !== undefined) return replyPrivately(interaction, problem);
  const content = await panel(room, interaction, guildId, "how");
  if (interaction.isFromMessage()) await interaction.update(content);
  else await interaction.reply({ ...content, ...EPHEMERAL });
}

/** The check of what was written may take longer than Discord waits. */
async function changeAddition(
  room: Room,
  interaction: ModalSubmitInteraction,
  guildId: string,
): Promise<void> {
  if (interaction.isFromMessage()) await interaction.deferUpdate();
  else await interaction.deferReply(EPHEMERAL);
  const language = room.languages.of(interaction.locale);
  const promptAddition = interaction.fields.getTextInputValue(FIELD.text).trim();
  const reason = await room.instructions.problem(language, [promptAddition]);
  if (reason === undefined) await room.settings.change(guildId, () => ({ promptAddition }));
  await interaction.editReply(await panel(room, interaction, guildId, "who"));
  if (reason === undefined) return;
  const content = language.say("instructions.refused", { reason });
  await interaction.followUp({ content, ...EPHEMERAL });
}

async function panel(
  room: Room,
  { locale }: { readonly locale: string },
  guildId: string,
  page: PanelPage,
) {
  const language = room.languages.of(locale);
  const current = await room.settings.of(guildId);
  const [adapterNames, leftOut] = await Promise.all([
    room.adapterNames(),
    room.instructions.leftOut(current),
  ]);
  const isLearning = room.consent.guild(guildId)?.allows === true;
  const facts: PanelFacts = {
    ...{ adapterNames, isLearning, leftOut },
    isLocal: room.learning.source !== "discord",
    languageCodes: room.languages.codes,
  };
  return {
    content: panelText(language, current, facts),
    components: panelRows(language, current, page, facts),
  };
}

async function exportFile(
  room: Room,
  interaction: ChatInputCommandInteraction,
  guildId: string,
): Promise<void> {
  const text = `${JSON.stringify(await room.settings.of(guildId), null, 2)}\n`;
  await interaction.editReply({
    content: room.languages.of(interaction.locale).say("settings.exported"),
    files: [{ name: "settings.json", attachment: Buffer.from(text) }],
  });
}

async function importFile(
  room: Room,
  interaction: ChatInputCommandInteraction,
  guildId: string,
): Promise<void> {
  const language = room.languages.of(interaction.locale);
  const read = await readAttachment(
    room,
    language,
    interaction.options.getAttachment("file", true),
  );
  if (read.kind !== "read") {
    const content = language.say("settings.unchanged", { reason: read.reason });
    await interaction.editReply({ content });
    return;
  }
  let leftOut = 0;
  const problem = await room.settings.import(
    guildId,
    read.text,
    language,
    (...judged) => room.instructions.problem(...judged),
    (given) => {
      const local = onlyLocal(given, ownIds(interaction));
      leftOut = local.leftOut;
      return local.settings;
    },
  );
  if (problem !== undefined) {
    const content = language.say("settings.unchanged", { reason: problem });
    await interaction.editReply({ content });
    return;
  }
  await interaction.editReply(await panel(room, interaction, guildId, "who"));
  if (leftOut === 0) return;
  const content = language.say("settings.foreign", { count: leftOut });
  await interaction.followUp({ content, ...EPHEMERAL });
}

function ownIds({ guild }: ChatInputCommandInteraction): Parameters<typeof onlyLocal>[1] {
  return {
    isChannel: (id) => guild?.channels.cache.has(id) === true,
    isRole: (id) => guild?.roles.cache.has(id) === true,
  };
}

async function changeLimit(
  room: Room,
  interaction: ModalSubmitInteraction,
  guildId: string,
): Promise<string | undefined> {
  const roleId = interaction.fields.getSelectedRoles(FIELD.role)?.firstKey();
  const typed = interaction.fields.getTextInputValue(FIELD.count).trim();
  const perMinute = Number(typed);
  const language = room.languages.of(interaction.locale);
  if (roleId === undefined) return language.say("settings.no_role");
  const isCount = Number.isInteger(perMinute) && perMinute >= 1 && perMinute <= LARGEST_LIMIT;
  if (typed !== "" && !isCount) {
    return language.say("settings.not_a_count", { most: LARGEST_LIMIT });
  }
  await room.settings.change(guildId, ({ roleLimits }) => ({
    roleLimits: [
      ...roleLimits.filter((limit) => limit.roleId !== roleId),
      ...(typed === "" ? [] : [{ roleId, perMinute }]),
    ],
  }));
  return undefined;
}

function promptForm(language: Language, { promptAddition }: GuildSettings): ModalBuilder {
  const text = new TextInputBuilder()
    .setCustomId(FIELD.text)
    .setStyle(TextInputStyle.Paragraph)
    .setMaxLength(PROMPT_CHARACTERS)
    .setRequired(false)
    .setValue(promptAddition);
  return new ModalBuilder()
    .setCustomId(`${PANEL.form}:prompt`)
    .setTitle(language.say("title.settings.prompt"))
    .addLabelComponents(
      new LabelBuilder()
        .setLabel(language.say("label.settings.prompt"))
        .setDescription(language.say("hint.below_rules"))
        .setTextInputComponent(text),
    );
}

function limitForm(language: Language): ModalBuilder {
  const role = new RoleSelectMenuBuilder().setCustomId(FIELD.role).setMaxValues(1);
  const count = new TextInputBuilder()
    .setCustomId(FIELD.count)
    .setStyle(TextInputStyle.Short)
    .setMaxLength(3)
    .setRequired(false);
  return new ModalBuilder()
    .setCustomId(`${PANEL.form}:limit`)
    .setTitle(language.say("title.settings.limit"))
    .addLabelComponents(
      new LabelBuilder()
        .setLabel(language.say("label.settings.role"))
        .setRoleSelectMenuComponent(role),
      new LabelBuilder()
        .setLabel(language.say("label.settings.count"))
        .setDescription(language.say("hint.settings.count"))
        .setTextInputComponent(count),
    );
}

function refuse(room: Room, interaction: RepliableInteraction): Promise<void> {
  const language = room.languages.of(interaction.locale);
  return replyPrivately(interaction, language.say("settings.not_allowed"));
}

function manages(interaction: {
  readonly memberPermissions: { has(permission: bigint): boolean } | null;
}): boolean {
  return interaction.memberPermissions?.has(PermissionFlagsBits.ManageGuild) === true;
}
