/** "Report this answer": a form, an event in the feedback log, a message in the report channel. */
import type {
  MessageContextMenuCommandInteraction,
  ModalBuilder,
  ModalSubmitInteraction,
} from "discord.js";
import { notSavedReply, reportedReply, reportNotice } from "../../commands/replies.ts";
import { REPORT_CATEGORIES, REPORT_CHARACTERS } from "../../commands/report.ts";
import type { Language } from "../../language/language.ts";
import { choiceForm } from "../choice-form.ts";
import { ownChannel } from "../moderation/mod-log.ts";
import { replyPrivately } from "../private-reply.ts";
import type { Room } from "../room.ts";

/** The kind of form, before the colon of its custom id. */
export const REPORT_FORM = "report";
const FIELD = { category: "category", reason: "reason" } as const;

/** Opens the form for the message whose menu was used. */
export async function openReport(
  room: Room,
  interaction: MessageContextMenuCommandInteraction,
): Promise<void> {
  const language = room.languages.of(interaction.locale);
  const found = room.capture.answerOfMessage(interaction.targetId);
  if (found === undefined) {
    return replyPrivately(interaction, language.say("feedback.no_such_answer"));
  }
  await interaction.showModal(form(language, found.candidate.id, interaction.targetId));
}

/** Records the report, and tells the moderators where there is a channel for it. */
export async function submitReport(room: Room, interaction: ModalSubmitInteraction): Promise<void> {
  const [, candidateId = "", messageId = ""] = interaction.customId.split(":");
  const language = room.languages.of(interaction.locale);
  const found = room.capture.answer(candidateId);
  if (found === undefined) {
    return replyPrivately(interaction, language.say("feedback.no_such_answer"));
  }
  const [chosen] = interaction.fields.getStringSelectValues(FIELD.category);
  const category = REPORT_CATEGORIES.find((each) => each === chosen) ?? "other";
  const words = interaction.fields.getTextInputValue(FIELD.reason).trim();
  const stamp = room.stamps.ofInteraction(interaction);
  const said = { candidateId, personId: interaction.user.id, stamp };
  const outcome = room.capture.reported(said, `${category}: ${words}`);
  if (outcome.kind === "not_saved") {
    return replyPrivately(interaction, notSavedReply(language, outcome.isDiskFull));
  }
  await interaction.deferReply({ flags: "Ephemeral" });
  const url = `https://discord.com/channels/${interaction.guildId ?? "@me"}/${interaction.channelId}/${messageId}`;
  const isTold = await tellModerators(
    room,
    interaction,
    reportNotice(await room.languageOf(interaction.guildId), {
      category,
      words,
      url,
      answer: found.candidate.text,
      by: interaction.user.displayName,
    }),
  );
  await interaction.editReply({ content: reportedReply(language, isTold) });
}

async function tellModerators(
  room: Room,
  interaction: ModalSubmitInteraction,
  content: string,
): Promise<boolean> {
  const { guildId } = interaction;
  if (guildId === null) return false;
  const { reportChannelId } = await room.settings.of(guildId);
  const channel = await ownChannel(room.client, guildId, reportChannelId);
  if (channel === undefined) return false;
  return channel.send({ content }).then(
    () => true,
    () => false,
  );
}

function form(language: Language, candidateId: string, messageId: string): ModalBuilder {
  return choiceForm({
    customId: `${REPORT_FORM}:${candidateId}:${messageId}`,
    title: language.say("title.report"),
    choice: {
      field: FIELD.category,
      label: language.say("label.report.category"),
      options: REPORT_CATEGORIES.map((value) => ({
        label: language.say(`option.report.${value}`),
        value,
      })),
    },
    words: {
      field: FIELD.reason,
      label: language.say("label.report.reason"),
      mostCharacters: REPORT_CHARACTERS,
    },
  });
}
