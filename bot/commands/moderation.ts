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
  description: "The case's number",
  required: true,
  min_value: 1,
  max_value: 1_000_000,
};

/** The command, for those who may manage messages until a server's admins change it. */
export const moderationCommand = {
  name: "moderation",
  description: "Cases, alerts, and the rules that my answers keep in this server",
  integration_types: [ApplicationIntegrationType.GuildInstall],
  contexts: [InteractionContextType.Guild],
  default_member_permissions: String(PermissionFlagsBits.ManageMessages),
  options: [
    {
      type: Option.Subcommand,
      name: MODERATION.setup,
      description: "Where cases and quiet alerts go, and whether rules are only tried out",
      options: [
        {
          type: Option.Channel,
          name: "log",
          description: "The channel for numbered cases",
          channel_types: [ChannelType.GuildText],
        },
        {
          type: Option.Channel,
          name: "alerts",
          description: "The channel for quiet alerts when someone may need help",
          channel_types: [ChannelType.GuildText],
        },
        {
          type: Option.Boolean,
          name: "dry-run",
          description: "True: rules of this server are only logged, not enforced",
        },
      ],
    },
    {
      type: Option.Subcommand,
      name: MODERATION.links,
      description: "Which links my answers may hold",
      options: [
        {
          type: Option.String,
          name: "policy",
          description: "Which links may stand",
          required: true,
          choices: [
            { name: "all links", value: "all" },
            { name: "only the listed domains", value: "listed" },
            { name: "all but the listed domains", value: "unlisted" },
            { name: "no links", value: "none" },
          ],
        },
        {
          type: Option.String,
          name: "domains",
          description: "Domains, parted by spaces: example.org wikipedia.org",
          max_length: 2_000,
        },
        {
          type: Option.Boolean,
          name: "invites",
          description: "Whether invitations to other servers may stand",
        },
      ],
    },
    { type: Option.Subcommand, name: MODERATION.cases, description: "The newest cases" },
    {
      type: Option.Subcommand,
      name: MODERATION.case,
      description: "One case",
      options: [caseNumber],
    },
    {
      type: Option.Subcommand,
      name: MODERATION.note,
      description: "Write or replace a case's note",
      options: [
        caseNumber,
        {
          type: Option.String,
          name: "text",
          description: "The note",
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
  name: "Appeal this answer",
  ...ANYWHERE,
} satisfies RESTPostAPIApplicationCommandsJSONBody;
