/** Replies that only the person sees who used a command, button or form. */
import { MessageFlags, type RepliableInteraction } from "discord.js";

/** For replies and deferrals that nobody else sees. */
export const EPHEMERAL = { flags: MessageFlags.Ephemeral } as const;

/** Says something to the person alone. */
export async function replyPrivately(
  interaction: RepliableInteraction,
  content: string,
): Promise<void> {
  await interaction.reply({ content, ...EPHEMERAL });
}
