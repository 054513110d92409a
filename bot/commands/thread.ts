/** `/thread` as Discord gets it. Data only. */
import {
  ApplicationCommandOptionType,
  ApplicationIntegrationType,
  InteractionContextType,
  PermissionFlagsBits,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";

/** `/thread`. */
export const threadCommand = {
  name: "thread",
  description: "Open a thread in which I answer without being mentioned",
  integration_types: [ApplicationIntegrationType.GuildInstall],
  contexts: [InteractionContextType.Guild],
  default_member_permissions: String(PermissionFlagsBits.CreatePublicThreads),
  options: [
    {
      type: ApplicationCommandOptionType.String,
      name: "text",
      description: "Your first question",
      required: true,
      max_length: 4_000,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "title",
      description: "The thread's name; without it, the question's beginning",
      max_length: 100,
    },
    {
      type: ApplicationCommandOptionType.Boolean,
      name: "mention",
      description: "Answer only when mentioned there",
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;
