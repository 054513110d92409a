/** The commands of a server's managers as Discord gets them. Data only. */
import {
  ApplicationCommandOptionType as Option,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { described } from "./described.ts";
import { FOR_MANAGERS } from "./places.ts";

/** `/settings`. */
export const settingsCommand = {
  name: "settings",
  ...described("command.settings"),
  ...FOR_MANAGERS,
  options: [
    { type: Option.Subcommand, name: "show", ...described("command.settings.show") },
    { type: Option.Subcommand, name: "export", ...described("command.settings.export") },
    {
      type: Option.Subcommand,
      name: "import",
      ...described("command.settings.import"),
      options: [
        {
          type: Option.Attachment,
          name: "file",
          ...described("command.settings.import.file"),
          required: true,
        },
      ],
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;

/** `/persona`. */
export const personaCommand = {
  name: "persona",
  ...described("command.persona"),
  ...FOR_MANAGERS,
  options: [
    { type: Option.Subcommand, name: "list", ...described("command.persona.list") },
    { type: Option.Subcommand, name: "write", ...described("command.persona.write") },
    {
      type: Option.Subcommand,
      name: "use",
      ...described("command.persona.use"),
      options: [
        {
          type: Option.String,
          name: "name",
          ...described("command.persona.use.name"),
          max_length: 32,
          autocomplete: true,
        },
      ],
    },
    {
      type: Option.Subcommand,
      name: "remove",
      ...described("command.persona.remove"),
      options: [
        {
          type: Option.String,
          name: "name",
          ...described("command.persona.remove.name"),
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
  ...described("command.adapter.canary.name"),
  required: true,
  max_length: 64,
  autocomplete: true,
} as const;

/** `/adapter`. */
export const adapterCommand = {
  name: "adapter",
  ...described("command.adapter"),
  ...FOR_MANAGERS,
  options: [
    { type: Option.Subcommand, name: "list", ...described("command.adapter.list") },
    {
      type: Option.Subcommand,
      name: "canary",
      ...described("command.adapter.canary"),
      options: [
        adapterName,
        {
          type: Option.Integer,
          name: "percent",
          ...described("command.adapter.canary.percent"),
          min_value: 1,
          max_value: 99,
        },
      ],
    },
    {
      type: Option.Subcommand,
      name: "promote",
      ...described("command.adapter.promote"),
      options: [adapterName],
    },
    {
      type: Option.Subcommand,
      name: "rollback",
      ...described("command.adapter.rollback"),
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;

/** `/learning`. */
export const learningCommand = {
  name: "learning",
  ...described("command.learning"),
  ...FOR_MANAGERS,
  options: [
    { type: Option.Subcommand, name: "status", ...described("command.learning.status") },
    { type: Option.Subcommand, name: "run", ...described("command.learning.run") },
    {
      type: Option.Subcommand,
      name: "pause",
      ...described("command.learning.pause"),
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;
