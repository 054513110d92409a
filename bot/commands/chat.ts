/** `/chat` as Discord gets it. Data only. */
import {
  ApplicationCommandOptionType,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { ANYWHERE } from "./places.ts";

/** Discord's limit on what a person writes into an option. */
const QUESTION_CHARACTERS = 4_000;

/** `/chat`. */
export const chatCommand = {
  name: "chat",
  description: "Ask a question, or go on with our conversation in this channel",
  ...ANYWHERE,
  options: [
    {
      type: ApplicationCommandOptionType.String,
      name: "text",
      description: "What you want to say",
      required: true,
      max_length: QUESTION_CHARACTERS,
    },
    {
      type: ApplicationCommandOptionType.Attachment,
      name: "attachment",
      description: "A text file that the question is about",
    },
    {
      type: ApplicationCommandOptionType.Boolean,
      name: "ephemeral",
      description: "Show the answer only to you",
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "persona",
      description: "Who answers, of this server's personas",
      max_length: 32,
      autocomplete: true,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "adapter",
      description: "Which adapter answers, or base; without it, the one that serves here",
      max_length: 64,
      autocomplete: true,
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;
