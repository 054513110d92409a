/** `/chat` as Discord gets it. Data only. */
import {
  ApplicationCommandOptionType,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { described } from "./described.ts";
import { ANYWHERE } from "./places.ts";

/** Discord's limit on what a person writes into an option. */
const QUESTION_CHARACTERS = 4_000;

/** `/chat`. */
export const chatCommand = {
  name: "chat",
  ...described("command.chat"),
  ...ANYWHERE,
  options: [
    {
      type: ApplicationCommandOptionType.String,
      name: "text",
      ...described("command.chat.text"),
      required: true,
      max_length: QUESTION_CHARACTERS,
    },
    {
      type: ApplicationCommandOptionType.Attachment,
      name: "attachment",
      ...described("command.chat.attachment"),
    },
    {
      type: ApplicationCommandOptionType.Boolean,
      name: "ephemeral",
      ...described("command.chat.ephemeral"),
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "persona",
      ...described("command.chat.persona"),
      max_length: 32,
      autocomplete: true,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "adapter",
      ...described("command.chat.adapter"),
      max_length: 64,
      autocomplete: true,
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;
