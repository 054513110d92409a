/** `/thread` as Discord gets it. Data only. */
import {
  ApplicationCommandOptionType,
  ApplicationIntegrationType,
  InteractionContextType,
  PermissionFlagsBits,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { described } from "./described.ts";

/** `/thread`. */
export const threadCommand = {
  name: "thread",
  ...described("command.thread"),
  integration_types: [ApplicationIntegrationType.GuildInstall],
  contexts: [InteractionContextType.Guild],
  default_member_permissions: String(PermissionFlagsBits.CreatePublicThreads),
  options: [
    {
      type: ApplicationCommandOptionType.String,
      name: "text",
      ...described("command.thread.text"),
      required: true,
      max_length: 4_000,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "title",
      ...described("command.thread.title"),
      max_length: 100,
    },
    {
      type: ApplicationCommandOptionType.Boolean,
      name: "mention",
      ...described("command.thread.mention"),
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;
