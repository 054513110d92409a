/** Commands as a person chooses them, in their language: subcommands flattened, filtered by what was typed. */
import type { Command, CommandOption, Worded } from "./types.ts";

/** Option types that hold further options. */
const SUBCOMMAND = 1;
const SUBCOMMAND_GROUP = 2;
/**
 * What people may anyhow: to see a channel, write, read what was written, use commands, open threads and write in them.
 * https://discord.com/developers/docs/topics/permissions#permissions-bitwise-permission-flags
 */
const EVERYDAY = [10n, 11n, 16n, 31n, 35n, 38n].reduce((bits, bit) => bits | (1n << bit), 0n);

/** A command or subcommand that can be used as it is. */
export type SlashEntry = {
  /** "rate", or "learning status": to the application */
  readonly name: string;
  /** The same as the person sees and types it. */
  readonly label: string;
  readonly description: string;
  readonly options: readonly CommandOption[];
};

/** What something is called in the person's language. */
export function labelOf({ name, name_localized }: Pick<Worded, "name" | "name_localized">): string {
  return name_localized ?? name;
}

/** What it is, in the person's language. */
export function descriptionOf({ description, description_localized }: Worded): string {
  return description_localized ?? description;
}

/** Every slash command, one entry for each subcommand: first what anybody may use, then what managers may. */
export function slashEntries(commands: readonly Command[]): SlashEntry[] {
  const slash = commands.filter((command) => command.type === 1);
  const entriesOf = (some: readonly Command[]) =>
    some
      .flatMap((command) => flatten(command, [], command.options ?? []))
      .sort((a, b) => a.label.localeCompare(b.label));
  return [
    ...entriesOf(slash.filter((command) => !isForManagers(command))),
    ...entriesOf(slash.filter(isForManagers)),
  ];
}

function isForManagers({ default_member_permissions: needed }: Command): boolean {
  return typeof needed === "string" && (BigInt(needed) & ~EVERYDAY) !== 0n;
}

/** Those that fit what stands after the slash, in either language: first those that begin with it. */
export function matchEntries(entries: readonly SlashEntry[], typed: string): SlashEntry[] {
  const wanted = typed.toLowerCase();
  const starts = entries.filter((entry) => namesOf(entry).some((name) => name.startsWith(wanted)));
  const holds = entries.filter(
    (entry) => !starts.includes(entry) && namesOf(entry).some((name) => name.includes(wanted)),
  );
  return [...starts, ...holds];
}

/** The entry that a text names whole, with what is written behind its name. */
export function entryTyped(
  entries: readonly SlashEntry[],
  typed: string,
): { readonly entry: SlashEntry; readonly rest: string } | undefined {
  return entries
    .flatMap((entry) => namesOf(entry).map((name) => ({ entry, name })))
    .sort((a, b) => b.name.length - a.name.length)
    .filter(({ name }) => typed.startsWith(`${name} `))
    .map(({ entry, name }) => ({ entry, rest: typed.slice(name.length + 1) }))[0];
}

/** The commands in a message's menu. */
export function messageCommands(
  commands: readonly Command[],
): readonly { readonly name: string; readonly label: string }[] {
  return commands
    .filter((command) => command.type === 3)
    .map((command) => ({ name: command.name, label: labelOf(command) }));
}

function namesOf({ name, label }: SlashEntry): readonly string[] {
  return name === label ? [name] : [label, name];
}

function flatten(
  node: Worded,
  above: readonly Worded[],
  options: readonly CommandOption[],
): SlashEntry[] {
  const path = [...above, node];
  const nested = options.filter(
    (each) => each.type === SUBCOMMAND || each.type === SUBCOMMAND_GROUP,
  );
  if (nested.length > 0) return nested.flatMap((each) => flatten(each, path, each.options ?? []));
  return [
    {
      name: path.map(({ name }) => name).join(" "),
      label: path.map(labelOf).join(" "),
      description: descriptionOf(node),
      options,
    },
  ];
}
