/** Registers the commands with Discord, only when they are not there as they are. */
import type { Client } from "discord.js";
import type { Keyv } from "keyv";
import { COMMANDS, commandsHash } from "../commands/definitions.ts";
import { localised } from "../commands/localise.ts";
import type { Languages } from "../language/languages.ts";

/**
 * Replaces the application's commands when ours, in any language, changed since they were last registered there, or
 * when Discord has not as many (Discord allows 200 creations a day).
 * @returns whether they were replaced
 */
export async function registerCommands(
  client: Client<true>,
  settings: Keyv,
  languages: Languages,
): Promise<boolean> {
  const key = `commands:${client.options.rest?.api}:${client.application.id}`;
  const commands = localised(COMMANDS, languages);
  const hash = commandsHash(commands);
  const registered = await client.application.commands.fetch();
  if (registered.size === COMMANDS.length && (await settings.get(key)) === hash) return false;
  await client.application.commands.set(commands);
  await settings.set(key, hash);
  return true;
}
