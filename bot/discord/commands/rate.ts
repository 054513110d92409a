/** `/rate`, the menu entry "Rate this answer" and its form. */
import {
  ChannelType,
  type ChatInputCommandInteraction,
  type MessageContextMenuCommandInteraction,
  type ModalSubmitInteraction,
  PermissionFlagsBits,
  type RepliableInteraction,
} from "discord.js";
import type { Exchange } from "#trainer/feedback/records.ts";
import { messageIdOfLink } from "../../commands/message-link.ts";
import { ratingReply } from "../../commands/replies.ts";
import { replyPrivately } from "../private-reply.ts";
import { candidateOfForm, ratingForm, readForm } from "../rating-form.ts";
import { placeOf, privatePlace, type Room } from "../room.ts";

/** Rates the answer that a link names, or the last one here. */
export async function rate(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  const link = interaction.options.getString("message");
  const place = placeOf(interaction, interaction.channel);
  const personKey = room.pseudonymise(interaction.user.id);
  const places = [place.channelId, privatePlace(place, personKey).channelId];
  const messageId = link === null ? undefined : (messageIdOfLink(link) ?? "");
  const found =
    messageId === undefined
      ? room.capture.lastAnswer(places)
      : room.capture.answerOfMessage(messageId);
  if (found === undefined || !(await maySee(room, interaction, found.exchange))) {
    await refuse(room, interaction);
    return;
  }
  const stars = interaction.options.getInteger("stars", true);
  const comment = interaction.options.getString("comment") ?? undefined;
  await record(room, interaction, found.candidate, { stars, comment });
}

/**
 * Whether a person sees the place where an answer stands: a link may lead anywhere, and what is said of it
 * quotes the answer.
 */
async function maySee(
  room: Room,
  { guildId, channelId, user }: ChatInputCommandInteraction,
  { guildId: where, channelId: place, threadId }: Exchange,
): Promise<boolean> {
  if (where !== guildId) return false;
  const [shownIn, only] = place.split(":only:");
  if (only !== undefined) return only === room.pseudonymise(user.id);
  if (shownIn === channelId || threadId === channelId) return true;
  const channel = await room.client.channels.fetch(threadId ?? place).catch(() => null);
  if (channel === null || channel.isDMBased() || channel.type === ChannelType.PrivateThread) {
    return false;
  }
  return channel.permissionsFor(user)?.has(PermissionFlagsBits.ViewChannel) === true;
}

/** Opens the form for the message whose menu was used. */
export async function openRating(
  room: Room,
  interaction: MessageContextMenuCommandInteraction,
): Promise<void> {
  const found = room.capture.answerOfMessage(interaction.targetId);
  if (found === undefined) await refuse(room, interaction);
  else {
    const language = room.languages.of(interaction.locale);
    await interaction.showModal(ratingForm(language, found.candidate.id));
  }
}

/** Takes the form. */
export async function submitRating(room: Room, interaction: ModalSubmitInteraction): Promise<void> {
  const candidateId = candidateOfForm(interaction.customId);
  const candidate = candidateId === undefined ? undefined : room.capture.answer(candidateId);
  if (candidate === undefined) await refuse(room, interaction);
  else await record(room, interaction, candidate.candidate, readForm(interaction));
}

function refuse(room: Room, interaction: RepliableInteraction): Promise<void> {
  const language = room.languages.of(interaction.locale);
  return replyPrivately(interaction, language.say("feedback.no_such_answer"));
}

async function record(
  room: Room,
  interaction: ChatInputCommandInteraction | ModalSubmitInteraction,
  candidate: { readonly id: string; readonly text: string },
  given: { readonly stars: number; readonly comment: string | undefined },
): Promise<void> {
  const { stars, comment } = given;
  const outcome = room.capture.rate({
    candidateId: candidate.id,
    personId: interaction.user.id,
    stamp: room.stamps.ofInteraction(interaction),
    stars,
    ...(comment === undefined ? {} : { comment }),
  });
  const language = room.languages.of(interaction.locale);
  await replyPrivately(interaction, ratingReply(language, outcome, stars, candidate.text));
}
