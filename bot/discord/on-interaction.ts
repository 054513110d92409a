/** A command, menu entry or form was used. Each gets its first response within three seconds. */
import {
  type ChatInputCommandInteraction,
  type Interaction,
  type MessageContextMenuCommandInteraction,
  MessageFlags,
  type ModalSubmitInteraction,
} from "discord.js";
import { COMMAND, messageIdOfLink } from "../commands/definitions.ts";
import { helpReply, NO_SUCH_ANSWER, ratingReply } from "../commands/replies.ts";
import { conversationKey } from "../conversation/memory.ts";
import { candidateOfForm, ratingForm, readForm } from "./rating-form.ts";
import { placeOf, privatePlace, type Room } from "./room.ts";
import { interactionSurface } from "./surfaces.ts";

const EPHEMERAL = { flags: MessageFlags.Ephemeral } as const;
const HEADING_CHARACTERS = 200;

/** Does what was asked for. */
export async function onInteraction(room: Room, interaction: Interaction): Promise<void> {
  if (!room.seen.isNew(interaction.id)) return;
  if (interaction.isChatInputCommand()) return onCommand(room, interaction);
  if (interaction.isMessageContextMenuCommand()) return openRating(room, interaction);
  if (interaction.isModalSubmit()) return submitRating(room, interaction);
}

async function onCommand(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  switch (interaction.commandName) {
    case COMMAND.chat:
      return chat(room, interaction);
    case COMMAND.rate:
      return rate(room, interaction);
    case COMMAND.help:
      await reply(interaction, helpReply(room.client.user.displayName, room.learning));
      return;
    case COMMAND.status:
      await interaction.deferReply(EPHEMERAL);
      await interaction.editReply({ content: await room.status() });
      return;
    default:
      await reply(interaction, "I no longer know that command. Please try another one.");
  }
}

async function chat(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  const isEphemeral = interaction.options.getBoolean("ephemeral") ?? false;
  await interaction.deferReply(isEphemeral ? EPHEMERAL : {});
  const channel =
    interaction.channel ??
    (await room.client.channels.fetch(interaction.channelId).catch(() => null));
  const personKey = room.pseudonymise(interaction.user.id);
  const open = placeOf(interaction, channel);
  const place = isEphemeral ? privatePlace(open, personKey) : open;
  if (place.threadId !== null) await room.memory.joinThread(place.threadId);
  const text = interaction.options.getString("text", true);
  const question = {
    text,
    ...place,
    personKey,
    personName: interaction.user.displayName,
    conversation: conversationKey({ ...place, personKey }),
    // Others see who used the command, but not what was asked.
    ...(isEphemeral ? {} : { heading: headingOf(text) }),
  };
  const sendable = channel?.isSendable() === true ? channel : undefined;
  const surface = interactionSurface(interaction, sendable);
  await room.desk.answer(question, surface, interaction.channelId);
}

/** The question as a quotation of one line. */
function headingOf(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").replaceAll("`", "'").trim();
  const short = [...line].slice(0, HEADING_CHARACTERS).join("");
  return `> ${short}${short.length < line.length ? "…" : ""}`;
}

async function rate(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  const link = interaction.options.getString("message");
  const place = placeOf(interaction, interaction.channel);
  const personKey = room.pseudonymise(interaction.user.id);
  const places = [place.channelId, privatePlace(place, personKey).channelId];
  const messageId = link === null ? undefined : (messageIdOfLink(link) ?? "");
  const found =
    messageId === undefined
      ? room.capture.lastAnswer(places)
      : room.capture.answerOfMessage(messageId);
  if (found === undefined || found.exchange.guildId !== interaction.guildId) {
    await reply(interaction, NO_SUCH_ANSWER);
    return;
  }
  const stars = interaction.options.getInteger("stars", true);
  const comment = interaction.options.getString("comment") ?? undefined;
  await record(room, interaction, found.candidate, { stars, comment });
}

async function openRating(
  room: Room,
  interaction: MessageContextMenuCommandInteraction,
): Promise<void> {
  const found = room.capture.answerOfMessage(interaction.targetId);
  if (found === undefined) await reply(interaction, NO_SUCH_ANSWER);
  else await interaction.showModal(ratingForm(found.candidate.id));
}

async function submitRating(room: Room, interaction: ModalSubmitInteraction): Promise<void> {
  const candidateId = candidateOfForm(interaction.customId);
  const candidate = candidateId === undefined ? undefined : room.capture.answer(candidateId);
  if (candidate === undefined) await reply(interaction, NO_SUCH_ANSWER);
  else await record(room, interaction, candidate.candidate, readForm(interaction));
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
    interactionId: interaction.id,
    stars,
    ...(comment === undefined ? {} : { comment }),
  });
  await reply(interaction, ratingReply(outcome, stars, candidate.text));
}

async function reply(
  interaction:
    | ChatInputCommandInteraction
    | MessageContextMenuCommandInteraction
    | ModalSubmitInteraction,
  content: string,
): Promise<void> {
  await interaction.reply({ content, ...EPHEMERAL });
}
