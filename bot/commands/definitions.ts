/**
 * The commands as Discord gets them, and the hash by which a change is noticed. Data only.
 * https://discord.com/developers/docs/interactions/application-commands
 */
import { createHash } from "node:crypto";
import {
  ApplicationCommandOptionType,
  ApplicationCommandType,
  ApplicationIntegrationType,
  InteractionContextType,
  PermissionFlagsBits,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";

/** Names of the commands. */
export const COMMAND = {
  chat: "chat",
  rate: "rate",
  rateMessage: "Rate this answer",
  help: "help",
  status: "status",
} as const;

/** Discord's limit on what a person writes into an option; ours for a comment. */
const QUESTION_CHARACTERS = 4_000;
/** A comment's longest length. */
export const COMMENT_CHARACTERS = 500;

/** In servers and in direct messages with the bot; for whoever may write there, until a server's admins change it. */
const PLACES = {
  integration_types: [ApplicationIntegrationType.GuildInstall],
  contexts: [InteractionContextType.Guild, InteractionContextType.BotDM],
  default_member_permissions: String(PermissionFlagsBits.SendMessages),
};

/** All commands. */
export const COMMANDS: readonly RESTPostAPIApplicationCommandsJSONBody[] = [
  {
    name: COMMAND.chat,
    description: "Ask a question, or go on with our conversation in this channel",
    ...PLACES,
    options: [
      {
        type: ApplicationCommandOptionType.String,
        name: "text",
        description: "What you want to say",
        required: true,
        max_length: QUESTION_CHARACTERS,
      },
      {
        type: ApplicationCommandOptionType.Boolean,
        name: "ephemeral",
        description: "Show the answer only to you",
      },
    ],
  },
  {
    name: COMMAND.rate,
    description: "Rate an answer from 1 to 5; the bot learns from it",
    ...PLACES,
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
  },
  { type: ApplicationCommandType.Message, name: COMMAND.rateMessage, ...PLACES },
  { name: COMMAND.help, description: "How to talk with this bot and how it learns", ...PLACES },
  {
    name: COMMAND.status,
    description: "Which model and adapter answers, and how busy it is",
    ...PLACES,
  },
];

/** Changes when any command does. */
export function commandsHash(commands: readonly RESTPostAPIApplicationCommandsJSONBody[]): string {
  return createHash("sha256").update(JSON.stringify(commands)).digest("hex");
}

/**
 * The message that a link (Copy Message Link) or a bare id names.
 * @returns undefined when it names none
 */
export function messageIdOfLink(link: string): string | undefined {
  return /^(?:https?:\/\/[^\s/]+\/channels\/(?:@me|\d{1,20})\/\d{1,20}\/)?(\d{15,20})\/?$/.exec(
    link.trim(),
  )?.[1];
}
