/** `/compare` as Discord gets it. Data only. */
import {
  ApplicationCommandOptionType,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { described } from "./described.ts";
import { ANYWHERE } from "./places.ts";

/** Votes that end a comparison when nothing else is said. */
export const DEFAULT_QUORUM = 5;
/** Minutes after which it ends when nothing else is said. */
export const DEFAULT_MINUTES = 60;

/** `/compare`. */
export const compareCommand = {
  name: "compare",
  ...described("command.compare"),
  ...ANYWHERE,
  options: [
    {
      type: ApplicationCommandOptionType.String,
      name: "text",
      ...described("command.compare.text"),
      required: true,
      max_length: 1_000,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "first",
      ...described("command.compare.first"),
      max_length: 64,
      autocomplete: true,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "second",
      ...described("command.compare.second"),
      max_length: 64,
      autocomplete: true,
    },
    {
      type: ApplicationCommandOptionType.Integer,
      name: "votes",
      ...described("command.compare.votes"),
      min_value: 1,
      max_value: 100,
    },
    {
      type: ApplicationCommandOptionType.Integer,
      name: "minutes",
      ...described("command.compare.minutes"),
      min_value: 1,
      max_value: 10_080,
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;
