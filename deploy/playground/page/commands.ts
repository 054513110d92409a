/** Slash commands as a person chooses them: subcommands flattened, filtered by what was typed. */
import type { Command, CommandOption } from "./types.ts";

/** Option types that hold further options. */
const SUBCOMMAND = 1;
const SUBCOMMAND_GROUP = 2;

/** A command or subcommand that can be used as it is. */
export type SlashEntry = {
  /** "rate", or "learning status" */
  readonly name: string;
  readonly description: string;
  readonly options: readonly CommandOption[];
};

/** Every slash command, one entry for each subcommand. */
export function slashEntries(commands: readonly Command[]): SlashEntry[] {
  return commands
    .filter((command) => command.type === 1)
    .flatMap((command) => flatten(command.name, command.description, command.options ?? []))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** Those that fit what stands after the slash: first those that begin with it. */
export function matchEntries(entries: readonly SlashEntry[], typed: string): SlashEntry[] {
  const wanted = typed.toLowerCase();
  const starts = entries.filter((entry) => entry.name.startsWith(wanted));
  const holds = entries.filter(
    (entry) => !entry.name.startsWith(wanted) && entry.name.includes(wanted),
  );
  return [...starts, ...holds];
}

/** Names of the commands in a message's menu. */
export function messageCommandNames(commands: readonly Command[]): string[] {
  return commands.filter((command) => command.type === 3).map((command) => command.name);
}

function flatten(
  name: string,
  description: string,
  options: readonly CommandOption[],
): SlashEntry[] {
  const nested = options.filter(
    (each) => each.type === SUBCOMMAND || each.type === SUBCOMMAND_GROUP,
  );
  if (nested.length === 0) return [{ name, description, options }];
  return nested.flatMap((each) =>
    flatten(`${name} ${each.name}`, each.description, each.options ?? []),
  );
}
