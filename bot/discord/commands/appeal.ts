/** "Appeal this answer", and the buttons by which people appeal. Works for as long as the message stands. */
import type { ButtonInteraction, MessageContextMenuCommandInteraction } from "discord.js";
import { askedIn } from "../../answer/asked-text.ts";
import type { Button } from "../../answer/draft.ts";
import { APPEAL } from "../../moderation/appeal-button.ts";
import { comparedQuestion } from "../../moderation/decided-questions.ts";
import { toRows } from "../payload.ts";
import { EPHEMERAL, replyPrivately } from "../private-reply.ts";
import type { Room } from "../room.ts";

/** Asks which way the answer is wrong. */
export async function openAppeal(
  room: Room,
  interaction: MessageContextMenuCommandInteraction,
): Promise<void> {
  const language = room.languages.of(interaction.locale);
  if (interaction.targetMessage.author.id !== room.client.user.id) {
    return replyPrivately(interaction, language.say("appeal.not_mine"));
  }
  const id = interaction.targetId;
  const buttons: readonly Button[] = [
    {
      id: `${APPEAL}:wrongly_refused:${id}`,
      label: language.say("button.appeal.wrongly_refused"),
      style: "primary",
    },
    {
      id: `${APPEAL}:should_have_refused:${id}`,
      label: language.say("button.appeal.should_have_refused"),
      style: "danger",
    },
  ];
  await interaction.reply({
    content: language.say("appeal.question"),
    components: toRows(buttons),
    ...EPHEMERAL,
  });
}

/** Opens a case. */
export async function pressAppeal(room: Room, interaction: ButtonInteraction): Promise<void> {
  const [, which, named] = interaction.customId.split(":");
  const messageId = named ?? interaction.message.id;
  const { guildId, channelId } = interaction;
  const language = room.languages.of(interaction.locale);
  if (guildId === null) return replyPrivately(interaction, language.say("appeal.no_moderators"));
  await interaction.deferReply(EPHEMERAL);
  const answered = room.capture.answerOfMessage(messageId);
  // A refusal is in no log; the case of the refusal itself knows its question.
  const asked = askedIn(answered?.exchange.messages ?? []) || messageId;
  const opened = await room.modLog.open(
    {
      guildId,
      kind: which === "should_have_refused" ? "should_have_refused" : "wrongly_refused",
      sourceId: answered?.candidate.id ?? messageId,
      subjectKey: room.pseudonymise(interaction.user.id),
      actorKey: room.pseudonymise(interaction.user.id),
      reason: "",
      evidence: comparedQuestion(asked),
      place: `https://discord.com/channels/${guildId}/${channelId}/${messageId}`,
      isDryRun: false,
    },
    interaction.user.id,
  );
  await interaction.editReply({
    content:
      opened === undefined
        ? language.say("appeal.before")
        : language.say("appeal.opened", { number: String(opened.number) }),
  });
}
