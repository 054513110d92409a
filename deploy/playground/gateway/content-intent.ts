/** Message content for bots that lack the MESSAGE_CONTENT intent. Pure. */
import { type APIMessage, GatewayIntentBits } from "discord-api-types/v10";

/**
 * Empties what people wrote, except in direct messages, own messages and mentions of the bot:
 * https://discord.com/developers/docs/events/gateway#message-content-intent
 */
export function withholdContent<T extends APIMessage>(
  message: T,
  viewer: { readonly botId: string; readonly intents: number; readonly isDirect: boolean },
): T {
  if (viewer.isDirect || (viewer.intents & GatewayIntentBits.MessageContent) !== 0) return message;
  const replied = message.referenced_message;
  const outer =
    replied == null
      ? message
      : { ...message, referenced_message: withholdContent(replied, viewer) };
  const isAddressed =
    message.author.id === viewer.botId || message.mentions.some((user) => user.id === viewer.botId);
  return isAddressed
    ? outer
    : { ...outer, content: "", embeds: [], attachments: [], components: [] };
}
