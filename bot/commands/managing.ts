/** The commands of a server's managers as Discord gets them. Data only. */
import {
  ApplicationCommandOptionType as Option,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { FOR_MANAGERS } from "./places.ts";

/** `/settings`. */
export const settingsCommand = {
  name: "settings",
  description: "What I do in this server: channels, roles, persona, memory, limits, learning",
  ...FOR_MANAGERS,
  options: [
    { type: Option.Subcommand, name: "show", description: "See and change the settings" },
    { type: Option.Subcommand, name: "export", description: "Get the settings as a file" },
    {
      type: Option.Subcommand,
      name: "import",
      description: "Take the settings from a file that was exported",
      options: [
        {
          type: Option.Attachment,
          name: "file",
          description: "settings.json",
          required: true,
        },
      ],
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;

/** `/persona`. */
export const personaCommand = {
  name: "persona",
  description: "Who I am in this server: write, choose and remove personas",
  ...FOR_MANAGERS,
  options: [
    { type: Option.Subcommand, name: "list", description: "See this server's personas" },
    { type: Option.Subcommand, name: "write", description: "Write a new persona, or another text" },
    {
      type: Option.Subcommand,
      name: "use",
      description: "Choose who answers in this server",
      options: [
        {
          type: Option.String,
          name: "name",
          description: "Its name; without one, I speak as myself",
          max_length: 32,
          autocomplete: true,
        },
      ],
    },
    {
      type: Option.Subcommand,
      name: "remove",
      description: "Remove a persona",
      options: [
        {
          type: Option.String,
          name: "name",
          description: "Its name",
          required: true,
          max_length: 32,
          autocomplete: true,
        },
      ],
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;

const adapterName = {
  type: Option.String,
  name: "name",
  description: "The adapter",
  required: true,
  max_length: 64,
  autocomplete: true,
} as const;

/** `/adapter`. */
export const adapterCommand = {
  name: "adapter",
  description: "What was learnt, and which of it answers; changes are for the bot's operators",
  ...FOR_MANAGERS,
  options: [
    { type: Option.Subcommand, name: "list", description: "See the adapters and which one serves" },
    {
      type: Option.Subcommand,
      name: "canary",
      description: "Try an adapter on a share of the servers",
      options: [
        adapterName,
        {
          type: Option.Integer,
          name: "percent",
          description: "Of the servers (10)",
          min_value: 1,
          max_value: 99,
        },
      ],
    },
    {
      type: Option.Subcommand,
      name: "promote",
      description: "Let an adapter answer everywhere",
      options: [adapterName],
    },
    {
      type: Option.Subcommand,
      name: "rollback",
      description: "End a trial; or go back to the adapter before, or the base weights",
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;

/** `/learning`. */
export const learningCommand = {
  name: "learning",
  description: "Whether and when I learn from feedback",
  ...FOR_MANAGERS,
  options: [
    { type: Option.Subcommand, name: "status", description: "See what I learn from, and when" },
    { type: Option.Subcommand, name: "run", description: "Train now (for the bot's operators)" },
    {
      type: Option.Subcommand,
      name: "pause",
      description: "Pause the nightly training, or go on (for the bot's operators)",
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;
