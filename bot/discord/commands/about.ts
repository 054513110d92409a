/** `/help` and `/status`. */
import type { ChatInputCommandInteraction } from "discord.js";
import { helpReply } from "../../commands/replies.ts";
import { EPHEMERAL, replyPrivately } from "../private-reply.ts";
import type { Room } from "../room.ts";

/** How to use the bot. */
export async function help(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  const language = room.languages.of(interaction.locale);
  await replyPrivately(
    interaction,
    helpReply(language, room.client.user.displayName, room.learning),
  );
}

/** What serves, and how busy it is. */
export async function status(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  await interaction.deferReply(EPHEMERAL);
  const language = room.languages.of(interaction.locale);
  await interaction.editReply({ content: await room.status(language) });
}
