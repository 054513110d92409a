/** `/rate` and the menu entry that does the same, as Discord gets them. Data only. */
import {
  ApplicationCommandOptionType,
  ApplicationCommandType,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { ENGLISH } from "../language/english.ts";
import { described } from "./described.ts";
import { ANYWHERE } from "./places.ts";

/** A comment's longest length. */
export const COMMENT_CHARACTERS = 500;

/** `/rate`. */
export const rateCommand = {
  name: "rate",
  ...described("command.rate"),
  ...ANYWHERE,
  options: [
    {
      type: ApplicationCommandOptionType.Integer,
      name: "stars",
      ...described("command.rate.stars"),
      required: true,
      min_value: 1,
      max_value: 5,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "comment",
      ...described("command.rate.comment"),
      max_length: COMMENT_CHARACTERS,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "message",
      ...described("command.rate.message"),
      max_length: 200,
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;

/** The entry in a message's menu. */
export const rateMessageCommand = {
  type: ApplicationCommandType.Message,
  name: ENGLISH["menu.rate"],
  ...ANYWHERE,
} satisfies RESTPostAPIApplicationCommandsJSONBody;
