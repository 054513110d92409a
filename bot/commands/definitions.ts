/**
 * The table of all commands as Discord gets them, and the hash by which a change is noticed. A command
 * is one file beside this one and a line here; what it does is a line in bot/discord/on-interaction.ts.
 * https://discord.com/developers/docs/interactions/application-commands
 */
import { createHash } from "node:crypto";
import type { RESTPostAPIApplicationCommandsJSONBody } from "discord-api-types/v10";
import { helpCommand, statusCommand } from "./about.ts";
import { chatCommand } from "./chat.ts";
import { compareCommand } from "./compare.ts";
import { adapterCommand, learningCommand, personaCommand, settingsCommand } from "./managing.ts";
import { appealMessageCommand, moderationCommand } from "./moderation.ts";
import { mydataCommand } from "./mydata.ts";
import { rateCommand, rateMessageCommand } from "./rate.ts";
import { reportMessageCommand } from "./report.ts";
import { threadCommand } from "./thread.ts";

/** All commands. */
export const COMMANDS: readonly RESTPostAPIApplicationCommandsJSONBody[] = [
  chatCommand,
  threadCommand,
  compareCommand,
  rateCommand,
  rateMessageCommand,
  reportMessageCommand,
  helpCommand,
  statusCommand,
  mydataCommand,
  settingsCommand,
  personaCommand,
  adapterCommand,
  learningCommand,
  moderationCommand,
  appealMessageCommand,
];

/** Changes when any command does. */
export function commandsHash(commands: readonly RESTPostAPIApplicationCommandsJSONBody[]): string {
  return createHash("sha256").update(JSON.stringify(commands)).digest("hex");
}
