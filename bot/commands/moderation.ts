/** `/moderation` and the menu entry "Appeal this answer" as Discord gets them. Data only. */
import {
  ApplicationCommandType,
  ApplicationIntegrationType,
  ChannelType,
  InteractionContextType,
  ApplicationCommandOptionType as Option,
  PermissionFlagsBits,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { ENGLISH } from "../language/english.ts";
import { described } from "./described.ts";
import { ANYWHERE } from "./places.ts";

/** The subcommands' names. */
export const MODERATION = {
  setup: "setup",
  links: "links",
  cases: "cases",
  case: "case",
  note: "note",
} as const;

/** A note's longest length. */
export const NOTE_CHARACTERS = 500;

const caseNumber = {
  type: Option.Integer as const,
  name: "number",
  ...described("command.moderation.case.number"),
  required: true,
  min_value: 1,
  max_value: 1_000_000,
};

/** The command, for those who may manage messages until a server's admins change it. */
export const moderationCommand = {
  name: "moderation",
  ...described("command.moderation"),
  integration_types: [ApplicationIntegrationType.GuildInstall],
  contexts: [InteractionContextType.Guild],
  default_member_permissions: String(PermissionFlagsBits.ManageMessages),
  options: [
    {
      type: Option.Subcommand,
      name: MODERATION.setup,
      ...described("command.moderation.setup"),
      options: [
        {
          type: Option.Channel,
          name: "log",
          ...described("command.moderation.setup.log"),
          channel_types: [ChannelType.GuildText],
        },
        {
          type: Option.Channel,
          name: "alerts",
          ...described("command.moderation.setup.alerts"),
          channel_types: [ChannelType.GuildText],
        },
        {
          type: Option.Boolean,
          name: "dry-run",
          ...described("command.moderation.setup.dry-run"),
        },
      ],
    },
    {
      type: Option.Subcommand,
      name: MODERATION.links,
      ...described("command.moderation.links"),
      options: [
        {
          type: Option.String,
          name: "policy",
          ...described("command.moderation.links.policy"),
          required: true,
          choices: [
            { name: ENGLISH["command.moderation.links.policy.choice.all"], value: "all" },
            { name: ENGLISH["command.moderation.links.policy.choice.listed"], value: "listed" },
            { name: ENGLISH["command.moderation.links.policy.choice.unlisted"], value: "unlisted" },
            { name: ENGLISH["command.moderation.links.policy.choice.none"], value: "none" },
          ],
        },
        {
          type: Option.String,
          name: "domains",
          ...described("command.moderation.links.domains"),
          max_length: 2_000,
        },
        {
          type: Option.Boolean,
          name: "invites",
          ...described("command.moderation.links.invites"),
        },
      ],
    },
    { type: Option.Subcommand, name: MODERATION.cases, ...described("command.moderation.cases") },
    {
      type: Option.Subcommand,
      name: MODERATION.case,
      ...described("command.moderation.case"),
      options: [caseNumber],
    },
    {
      type: Option.Subcommand,
      name: MODERATION.note,
      ...described("command.moderation.note"),
      options: [
        caseNumber,
        {
          type: Option.String,
          name: "text",
          ...described("command.moderation.note.text"),
          required: true,
          max_length: NOTE_CHARACTERS,
        },
      ],
    },
  ],
} satisfies RESTPostAPIApplicationCommandsJSONBody;

/** For anybody who thinks that an answer was refused wrongly, or should have been. */
export const appealMessageCommand = {
  type: ApplicationCommandType.Message,
  name: ENGLISH["menu.appeal"],
  ...ANYWHERE,
} satisfies RESTPostAPIApplicationCommandsJSONBody;
