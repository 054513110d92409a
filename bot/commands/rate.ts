/** `/rate` and the menu entry that does the same, as Discord gets them. Data only. */
import {
  ApplicationCommandOptionType,
  ApplicationCommandType,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { ANYWHERE } from "./places.ts";

/** A comment's longest length. */
export const COMMENT_CHARACTERS = 500;

/** `/rate`. */
export const rateCommand = {
  name: "rate",
  description: "Rate an answer from 1 to 5; the bot learns from it",
  ...ANYWHERE,
  options: [
    {
      type: ApplicationCommandOptionType.Integer,
      name: "stars",
      description: "1 is bad, 5 is excellent",
      required: true,
      min_value: 1,
      max_value: 5,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "comment",
      description: "What was good or bad about it",
      max_length: COMMENT_CHARACTERS,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "message",
      description: "Link of the answer; without it, the last answer in this channel",
      max_length: 200,
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;

/** The entry in a message's menu. */
export const rateMessageCommand = {
  type: ApplicationCommandType.Message,
  name: "Rate this answer",
  ...ANYWHERE,
} satisfies RESTPostAPIApplicationCommandsJSONBody;
