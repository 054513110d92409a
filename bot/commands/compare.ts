/** `/compare` as Discord gets it. Data only. */
import {
  ApplicationCommandOptionType,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { ANYWHERE } from "./places.ts";

/** Votes that end a comparison when nothing else is said. */
export const DEFAULT_QUORUM = 5;
/** Minutes after which it ends when nothing else is said. */
export const DEFAULT_MINUTES = 60;

/** `/compare`. */
export const compareCommand = {
  name: "compare",
  description: "Two answers to one question, side by side and blind: which is better?",
  ...ANYWHERE,
  options: [
    {
      type: ApplicationCommandOptionType.String,
      name: "text",
      description: "The question that both answer",
      required: true,
      max_length: 1_000,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "first",
      description: "An adapter, or base; without it, the one that serves",
      max_length: 64,
      autocomplete: true,
    },
    {
      type: ApplicationCommandOptionType.String,
      name: "second",
      description: "Another adapter; without it, the first one draws twice",
      max_length: 64,
      autocomplete: true,
    },
    {
      type: ApplicationCommandOptionType.Integer,
      name: "votes",
      description: `Ends after so many votes (${DEFAULT_QUORUM})`,
      min_value: 1,
      max_value: 100,
    },
    {
      type: ApplicationCommandOptionType.Integer,
      name: "minutes",
      description: `Ends after so long (${DEFAULT_MINUTES})`,
      min_value: 1,
      max_value: 10_080,
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;
