/** The buttons below answers. What each needs to know is in the feedback log, by the id that it carries. */
import { type ButtonInteraction, MessageFlags, PermissionFlagsBits } from "discord.js";
import { candidateOfButton, thumbOfButton, unvoteButton } from "../../answer/controls.ts";
import type { Question } from "../../answer/question.ts";
import { CONTINUE_PROMPT, SMALL } from "../../answer/wording.ts";
import { notSavedReply, voteReply } from "../../commands/replies.ts";
import type { CandidateInExchange } from "../../feedback/capture.ts";
import type { Language } from "../../language/language.ts";
import { toRows } from "../payload.ts";
import { EPHEMERAL, replyPrivately } from "../private-reply.ts";
import { channelOf, placeOf, type Room } from "../room.ts";
import { interactionSurface, tidyWithdrawn } from "../surfaces.ts";
import { termsFor } from "../terms.ts";

/** Records a thumb, and offers to take it back. */
export async function vote(room: Room, interaction: ButtonInteraction): Promise<void> {
  const found = room.capture.answer(candidateOfButton(interaction.customId));
  if (found === undefined) return refuse(room, interaction);
  const language = room.languages.of(interaction.locale);
  const thumb = thumbOfButton(interaction.customId);
  const outcome = room.capture.vote(saidBy(room, interaction, found), thumb);
  if (outcome.kind === "not_saved") {
    return replyPrivately(interaction, notSavedReply(language, outcome.isDiskFull));
  }
  const content = voteReply(language, thumb, found.candidate.text);
  const components = toRows([unvoteButton(language, found.candidate.id)]);
  await interaction.reply({ content, components, ...EPHEMERAL });
}

/** Withdraws the person's vote, by whatever way it was given. */
export async function unvote(room: Room, interaction: ButtonInteraction): Promise<void> {
  const candidateId = candidateOfButton(interaction.customId);
  const stamp = room.stamps.ofInteraction(interaction);
  const outcome = room.capture.unvote({ candidateId, personId: interaction.user.id, stamp });
  const language = room.languages.of(interaction.locale);
  const content =
    outcome.kind === "not_saved"
      ? notSavedReply(language, outcome.isDiskFull)
      : language.say("feedback.taken_back");
  await interaction.update({ content, components: [] });
}

/** Ends an answer in the making. One that a crash left behind loses its button. */
export async function stop(room: Room, interaction: ButtonInteraction): Promise<void> {
  const candidateId = candidateOfButton(interaction.customId);
  const asker = room.desk.askerOf(candidateId);
  if (asker === undefined) return tidyOrphan(room, interaction, candidateId);
  if (asker !== room.pseudonymise(interaction.user.id) && !moderates(interaction)) {
    const language = room.languages.of(interaction.locale);
    return replyPrivately(interaction, language.say("stop.not_yours"));
  }
  await interaction.deferUpdate();
  room.desk.stop(candidateId);
}

/** Draws another answer to the same question. */
export async function again(room: Room, interaction: ButtonInteraction): Promise<void> {
  const found = room.capture.answer(candidateOfButton(interaction.customId));
  if (found === undefined || found.exchange.messages.length === 0) {
    return refuse(room, interaction);
  }
  const { exchange } = found;
  room.capture.regenerated(saidBy(room, interaction, found));
  await answerAnew(room, interaction, found, {
    messages: exchange.messages,
    again: { exchange, messageId: interaction.message.id },
  });
}

/** Goes on where an answer ended. */
export async function more(room: Room, interaction: ButtonInteraction): Promise<void> {
  const found = room.capture.answer(candidateOfButton(interaction.customId));
  if (found === undefined || found.exchange.messages.length === 0) {
    return refuse(room, interaction);
  }
  const { id, authorKey, participantKeys = [] } = found.exchange;
  await answerAnew(room, interaction, found, {
    about: {
      personKeys: [...new Set([authorKey, ...participantKeys])],
      messageIds: room.capture.messagesOf(id),
    },
    messages: [
      ...found.exchange.messages,
      { role: "assistant", content: found.candidate.text },
      { role: "user", content: CONTINUE_PROMPT },
    ],
  });
}

async function answerAnew(
  room: Room,
  interaction: ButtonInteraction,
  { exchange }: CandidateInExchange,
  asked: Pick<Question, "messages" | "again" | "about">,
): Promise<void> {
  const channel = await channelOf(room, interaction);
  const personKey = room.pseudonymise(interaction.user.id);
  const { member } = interaction;
  const { isAgeRestricted } = placeOf(interaction, channel);
  const { guildId, channelId, threadId } = exchange;
  const place = { guildId, channelId, threadId, isAgeRestricted };
  const offer = await termsFor(room, { place, channel, member, personKey });
  const own = room.languages.of(interaction.locale);
  if (offer.kind === "refused") return replyPrivately(interaction, own.say(offer.notice));
  await interaction.deferReply(isPrivate(interaction) ? EPHEMERAL : {});
  const conversation =
    (await room.memory.endingWith(interaction.message.id)) ?? `branch:${interaction.message.id}`;
  const question = {
    text: "",
    ...place,
    language: isPrivate(interaction) ? own : await languageHere(room, interaction),
    locale: interaction.locale,
    personKey,
    personName: interaction.user.displayName,
    ...offer.terms,
    conversation,
    ...asked,
  };
  const sendable = channel?.isSendable() === true ? channel : undefined;
  const outcome = await room.desk.answer(
    question,
    interactionSurface(interaction, sendable),
    interaction.channelId,
  );
  await tidyWithdrawn(interaction, outcome);
}

/** The answer ended, or the process that made it did: then nobody else would take the button away. */
async function tidyOrphan(
  room: Room,
  interaction: ButtonInteraction,
  candidateId: string,
): Promise<void> {
  if (room.capture.answer(candidateId) !== undefined) {
    await interaction.deferUpdate();
    return;
  }
  const language = isPrivate(interaction)
    ? room.languages.of(interaction.locale)
    : await languageHere(room, interaction);
  const content = `${interaction.message.content}\n${SMALL}${language.say("answer.orphaned")}`;
  await interaction.update({ content, components: [] });
}

function languageHere(room: Room, { guildId, locale }: ButtonInteraction): Promise<Language> {
  return room.languageOf(guildId, locale);
}

function refuse(room: Room, interaction: ButtonInteraction): Promise<void> {
  const language = room.languages.of(interaction.locale);
  return replyPrivately(interaction, language.say("feedback.no_such_answer"));
}

function saidBy(room: Room, interaction: ButtonInteraction, { candidate }: CandidateInExchange) {
  const stamp = room.stamps.ofInteraction(interaction);
  return { candidateId: candidate.id, personId: interaction.user.id, stamp };
}

function moderates(interaction: ButtonInteraction): boolean {
  return interaction.memberPermissions?.has(PermissionFlagsBits.ManageMessages) === true;
}

function isPrivate(interaction: ButtonInteraction): boolean {
  return interaction.message.flags.has(MessageFlags.Ephemeral);
}
