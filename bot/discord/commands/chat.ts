/** `/chat`: a question in its conversation. */
import type { ChatInputCommandInteraction } from "discord.js";
import { conversationKey } from "../../conversation/memory.ts";
import { EPHEMERAL } from "../private-reply.ts";
import { channelOf, placeOf, privatePlace, type Room } from "../room.ts";
import { interactionSurface } from "../surfaces.ts";
import { headingOf } from "./heading.ts";

/** Answers below the question, or to the person alone. */
export async function chat(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  const isEphemeral = interaction.options.getBoolean("ephemeral") ?? false;
  await interaction.deferReply(isEphemeral ? EPHEMERAL : {});
  const channel = await channelOf(room, interaction);
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
