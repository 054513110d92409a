/** `/mydata` and the button that confirms forgetting. */
import { gzipSync } from "node:zlib";
import {
  ActionRowBuilder,
  AttachmentBuilder,
  ButtonBuilder,
  type ButtonInteraction,
  ButtonStyle,
  type ChatInputCommandInteraction,
} from "discord.js";
import { MYDATA } from "../../commands/mydata.ts";
import {
  consentReply,
  forgetQuestion,
  forgottenReply,
  summaryReply,
} from "../../privacy/replies.ts";
import { EPHEMERAL, replyPrivately } from "../private-reply.ts";
import type { Room } from "../room.ts";

/** An upload may have 10 MiB, with what is around the file. */
const PLAIN_BYTES = 9 * 1024 * 1024;
/** What stands before the first colon of the buttons' custom ids. */
export const MYDATA_BUTTON = "mydata";

/** Shows, exports, asks before forgetting, or takes a person's word. */
export async function mydata(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  switch (interaction.options.getSubcommand()) {
    case MYDATA.show:
      return show(room, interaction);
    case MYDATA.export:
      return exportAll(room, interaction);
    case MYDATA.consent:
      return consent(room, interaction);
    default:
      return askToForget(room, interaction);
  }
}

/** The button below the question whether to forget. */
export async function pressMydata(room: Room, interaction: ButtonInteraction): Promise<void> {
  const language = room.languages.of(interaction.locale);
  if (interaction.customId !== forgetId(interaction.user.id)) {
    await interaction.update({ content: language.say("forget.kept"), components: [] });
    return;
  }
  await interaction.deferUpdate();
  const forgotten = room.personalData.forget(interaction.user.id);
  await interaction.editReply({
    content: forgottenReply(language, forgotten, room.learning.trainAt),
    components: [],
  });
}

async function show(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  await interaction.deferReply(EPHEMERAL);
  const { user, guildId } = interaction;
  const summary = await room.personalData.summary(user.id, guildId);
  const language = room.languages.of(interaction.locale);
  await interaction.editReply({ content: summaryReply(language, summary, room.retentionDays) });
}

async function exportAll(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  await interaction.deferReply(EPHEMERAL);
  const data = await room.personalData.exported(interaction.user.id);
  await interaction.editReply({
    content: room.languages.of(interaction.locale).say("data.exported"),
    files: [fileOf(Buffer.from(`${JSON.stringify(data, null, 2)}\n`))],
  });
}

/** Discord takes no larger files; each question is kept with the conversation before it, so text repeats. */
function fileOf(json: Buffer): AttachmentBuilder {
  return json.byteLength <= PLAIN_BYTES
    ? new AttachmentBuilder(json, { name: "mydata.json" })
    : new AttachmentBuilder(gzipSync(json), { name: "mydata.json.gz" });
}

async function consent(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  const allows = interaction.options.getBoolean("learning", true);
  const adapters = room.personalData.setConsent(interaction.user.id, allows);
  const state = room.personalData.consentState(interaction.user.id, interaction.guildId);
  const language = room.languages.of(interaction.locale);
  await replyPrivately(interaction, consentReply(language, state, adapters));
}

async function askToForget(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  await interaction.deferReply(EPHEMERAL);
  const { user, guildId } = interaction;
  const summary = await room.personalData.summary(user.id, guildId);
  const language = room.languages.of(interaction.locale);
  const buttons = [
    new ButtonBuilder()
      .setCustomId(forgetId(user.id))
      .setStyle(ButtonStyle.Danger)
      .setLabel(language.say("button.forget")),
    new ButtonBuilder()
      .setCustomId(`${MYDATA_BUTTON}:keep`)
      .setStyle(ButtonStyle.Secondary)
      .setLabel(language.say("button.keep")),
  ];
  await interaction.editReply({
    content: forgetQuestion(language, summary),
    components: [new ActionRowBuilder<ButtonBuilder>().addComponents(buttons)],
  });
}

/** Nobody can press another person's button with effect. */
function forgetId(personId: string): string {
  return `${MYDATA_BUTTON}:forget:${personId}`;
}
