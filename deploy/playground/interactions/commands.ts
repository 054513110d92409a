/** The application's commands: definition, listing, and a person's options turned into Discord's form. */
import {
  type APIAttachment,
  ApplicationCommandType as CommandType,
  ApplicationCommandOptionType as OptionType,
  PermissionFlagsBits,
} from "discord-api-types/v10";
import { z } from "zod";
import { DiscordError, fieldError } from "../world/discord-error.ts";
import type { ResolvedIds } from "../world/events.ts";
import { isRecord, parseBody } from "../world/message-input.ts";
import { storeUpload } from "../world/posting.ts";
import type { CommandRecord } from "../world/records.ts";
import { BOT_ID } from "../world/seed.ts";
import type { World } from "../world/world.ts";
import { choiceName, description, inLanguages, menuName, slashName } from "./localizations.ts";

/** Commands of one scope, by type: slash, user menu, message menu. */
const LIMITS: Readonly<Record<number, number>> = { 1: 100, 2: 15, 3: 15 };

const choice = z.object({
  name: choiceName,
  name_localizations: inLanguages(choiceName),
  value: z.union([z.string().max(100), z.number()]),
});

const leaf = {
  name: slashName,
  name_localizations: inLanguages(slashName),
  description,
  description_localizations: inLanguages(description),
  type: z.int().min(1).max(11),
  required: z.boolean().optional(),
  choices: z.array(choice).max(25).nullish(),
  min_value: z.number().optional(),
  max_value: z.number().optional(),
  min_length: z.int().min(0).max(6000).optional(),
  max_length: z.int().min(1).max(6000).optional(),
  autocomplete: z.boolean().optional(),
  channel_types: z.array(z.int()).optional(),
};
const plainOption = z.looseObject(leaf);
const subcommand = z.looseObject({ ...leaf, options: z.array(plainOption).max(25).optional() });
const option = z.looseObject({ ...leaf, options: z.array(subcommand).max(25).optional() });

const shared = {
  default_member_permissions: z.string().regex(/^\d+$/).nullish(),
  dm_permission: z.boolean().nullish(),
  contexts: z.array(z.int().min(0).max(2)).nullish(),
  integration_types: z.array(z.int().min(0).max(1)).nullish(),
  nsfw: z.boolean().nullish(),
};
const slashCommand = z.object({
  ...shared,
  type: z.literal(CommandType.ChatInput),
  name: slashName,
  name_localizations: inLanguages(slashName),
  description,
  description_localizations: inLanguages(description),
  options: z.array(option).max(25).nullish(),
});
const menuCommand = z.object({
  ...shared,
  type: z.union([z.literal(CommandType.User), z.literal(CommandType.Message)]),
  name: menuName,
  name_localizations: inLanguages(menuName),
  description: z.literal("").nullish(),
  description_localizations: z.null().optional(),
});
const commandInput = z.preprocess(
  (value) => (isRecord(value) ? { ...value, type: value["type"] ?? 1 } : value),
  z.discriminatedUnion("type", [slashCommand, menuCommand]),
);
/** A command's definition as an application sends it. */
export type CommandInput = z.infer<typeof commandInput>;

/** One option of a command or subcommand, as registered. */
type CommandOption = z.infer<typeof option>;

/** Checks one definition. @throws DiscordError 50035 */
export function parseCommand(given: unknown): CommandInput {
  return parseBody(commandInput, given);
}

/** Replaces all commands of a scope; a command of the same name and type keeps its id. @throws DiscordError */
export function replaceCommands(
  world: World,
  guildId: string | null,
  given: unknown,
): CommandRecord[] {
  const inputs = parseBody(z.array(commandInput), given);
  const names = inputs.map((input) => `${input.type} ${input.name}`);
  const repeated = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (repeated >= 0) {
    throw fieldError(
      [repeated, "name"],
      "APPLICATION_COMMANDS_DUPLICATE_NAME",
      "Application command names must be unique",
    );
  }
  for (const [type, limit] of Object.entries(LIMITS)) {
    if (inputs.filter((input) => input.type === Number(type)).length > limit)
      throw new DiscordError("tooManyCommands");
  }
  return world.store.atomically(() => {
    const before = commandsOf(world, guildId);
    const after = inputs.map((input) => saveCommand(world, guildId, input));
    for (const old of before) {
      if (!after.some((each) => each.id === old.id)) world.store.deleteCommand(old.id);
    }
    world.bus.emit({ type: "commandsChanged" });
    return after;
  });
}

/** Creates a command, or overwrites the one of the same name and type. */
export function upsertCommand(
  world: World,
  guildId: string | null,
  input: CommandInput,
): CommandRecord {
  const saved = saveCommand(world, guildId, input);
  world.bus.emit({ type: "commandsChanged" });
  return saved;
}

/** Commands of one scope: a guild's, or the global ones for null. */
export function commandsOf(world: World, guildId: string | null): CommandRecord[] {
  return world.store.commands().filter((command) => command.guildId === guildId);
}

/** The command object of Discord's API. */
export function presentCommand(
  command: CommandRecord,
): Record<string, unknown> & { id: string; name: string; type: number } {
  return {
    description: "",
    name_localizations: null,
    description_localizations: null,
    default_member_permissions: null,
    contexts: command.guildId === null ? [0, 1, 2] : null,
    integration_types: [0],
    nsfw: false,
    ...command.body,
    id: command.id,
    application_id: BOT_ID,
    version: command.version,
    type: command.type,
    name: command.name,
    ...(command.guildId === null ? { dm_permission: true } : { guild_id: command.guildId }),
  };
}

/** Commands that a person may use in a channel; a guild's hides a global one of its name. */
export function usableCommands(world: World, userId: string, channelId: string): CommandRecord[] {
  const channel = world.channel(channelId);
  const permissions = world.permissions(userId, channel);
  const local = channel.guildId === null ? [] : commandsOf(world, channel.guildId);
  const global = commandsOf(world, null).filter(
    (each) => !local.some((other) => other.name === each.name && other.type === each.type),
  );
  return [...local, ...global].filter((command) => {
    const needed = command.body["default_member_permissions"];
    const contexts = command.body["contexts"];
    const inContext =
      !Array.isArray(contexts) || contexts.includes(channel.guildId === null ? 1 : 0);
    if (!inContext || (channel.guildId === null && command.body["dm_permission"] === false))
      return false;
    if (typeof needed !== "string" || channel.guildId === null) return true;
    // "0" means: only those with every permission.
    return BigInt(needed) === 0n
      ? (permissions & PermissionFlagsBits.Administrator) !== 0n
      : (permissions & BigInt(needed)) === BigInt(needed);
  });
}

/** A file that a person chose for an option. */
type GivenFile = {
  readonly name: string;
  readonly contentType: string;
  readonly base64: string;
};

/** What a person typed: a flat record by option name. */
export type GivenOptions = Readonly<Record<string, string | number | boolean | GivenFile>>;

type PlainOptions = Readonly<Record<string, string | number | boolean>>;

/**
 * Builds an interaction's `data` for a slash command.
 * @param path command, and subcommand group and subcommand if it has them, parted by spaces
 * @param focused the option being completed, for autocomplete only
 * @throws DiscordError 10063 or 50035 naming the option
 */
export function commandData(
  world: World,
  command: CommandRecord,
  path: readonly string[],
  typed: GivenOptions,
  focused: string | null,
): { data: object; resolves: ResolvedIds; fullName: string } {
  const nest = descend(optionsOf(command.body), path.slice(1));
  const { given, attachments } = storeFiles(world, typed);
  const leaves = nest.leaves.flatMap((each) => leafOf(world, each, given, focused));
  for (const name of Object.keys(given)) {
    if (!nest.leaves.some((each) => each.name === name)) {
      throw fieldError([name], "UNKNOWN_OPTION", `/${path.join(" ")} has no option of this name`);
    }
  }
  const options = nest.path.reduceRight<object[]>(
    (inner, each) => [{ ...each, options: inner }],
    leaves,
  );
  return {
    fullName: path.join(" "),
    data: {
      id: command.id,
      name: command.name,
      type: command.type,
      ...(command.guildId === null ? {} : { guild_id: command.guildId }),
      ...(options.length === 0 ? {} : { options }),
    },
    resolves: { ...resolvedOf(nest.leaves, given), attachments },
  };
}

/** Files are kept, and named by their ids from then on. */
function storeFiles(
  world: World,
  typed: GivenOptions,
): { readonly given: PlainOptions; readonly attachments: readonly APIAttachment[] } {
  const given: Record<string, string | number | boolean> = {};
  const attachments: APIAttachment[] = [];
  for (const [option, value] of Object.entries(typed)) {
    if (typeof value !== "object") {
      given[option] = value;
      continue;
    }
    const { name, contentType, base64 } = value;
    const bytes = Buffer.from(base64, "base64");
    const attachment = storeUpload(world, { index: "0", name, contentType, bytes }, {});
    attachments.push(attachment);
    given[option] = attachment.id;
  }
  return { given, attachments };
}

/** The options of a command's or subcommand's body. */
function optionsOf(body: Readonly<Record<string, unknown>>): CommandOption[] {
  const parsed = z.array(option).safeParse(body["options"] ?? []);
  return parsed.success ? parsed.data : [];
}

function descend(
  options: CommandOption[],
  path: readonly string[],
): { leaves: CommandOption[]; path: { name: string; type: number }[] } {
  const nested = options.some((each) => each.type <= OptionType.SubcommandGroup);
  const [head, ...rest] = path;
  if (!nested && head === undefined) return { leaves: options, path: [] };
  const found = options.find(
    (each) => each.name === head && each.type <= OptionType.SubcommandGroup,
  );
  if (found === undefined) throw new DiscordError("unknownCommand");
  const inner = descend(optionsOf(found), rest);
  return { leaves: inner.leaves, path: [{ name: found.name, type: found.type }, ...inner.path] };
}

function leafOf(
  world: World,
  each: CommandOption,
  given: PlainOptions,
  focused: string | null,
): object[] {
  const value = given[each.name];
  if (focused === each.name)
    return [{ name: each.name, type: each.type, value: value ?? "", focused: true }];
  if (value === undefined || value === "") {
    if (each.required === true && focused === null)
      throw fieldError([each.name], "BASE_TYPE_REQUIRED", "This field is required");
    return [];
  }
  return [{ name: each.name, type: each.type, value: checkValue(world, each, value) }];
}

function checkValue(
  world: World,
  each: CommandOption,
  value: string | number | boolean,
): string | number | boolean {
  const offered = each.choices ?? [];
  if (offered.length > 0 && !offered.some((one) => one.value === value)) {
    throw refusal(each, `Expected one of: ${offered.map((one) => one.name).join(", ")}`);
  }
  switch (each.type) {
    case OptionType.String:
      return checkText(each, value);
    case OptionType.Integer:
    case OptionType.Number:
      return checkNumber(each, value);
    case OptionType.Boolean:
      if (typeof value !== "boolean") throw refusal(each, "Expected true or false");
      return value;
    case OptionType.User:
      if (world.store.user(String(value)) === undefined) throw refusal(each, "Expected a member");
      return value;
    case OptionType.Channel:
      if (world.store.channel(String(value)) === undefined) {
        throw refusal(each, "Expected a channel");
      }
      return value;
    default:
      return value;
  }
}

function refusal(each: CommandOption, message: string): DiscordError {
  return fieldError([each.name], "OPTION_VALUE_INVALID", message);
}

function checkText(each: CommandOption, value: unknown): string {
  if (typeof value !== "string") throw refusal(each, "Expected text");
  const [least, most] = [each.min_length ?? 0, each.max_length ?? 6_000];
  if (value.length < least) throw refusal(each, `Must be ${least} or more in length.`);
  if (value.length > most) throw refusal(each, `Must be ${most} or fewer in length.`);
  return value;
}

function checkNumber(each: CommandOption, value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw refusal(each, "Expected a number");
  }
  if (each.type === OptionType.Integer && !Number.isInteger(value)) {
    throw refusal(each, "Expected a whole number");
  }
  const [least, most] = [each.min_value ?? -(2 ** 53), each.max_value ?? 2 ** 53];
  if (value < least || value > most) {
    throw refusal(each, `Expected a number from ${least} to ${most}`);
  }
  return value;
}

function resolvedOf(leaves: readonly CommandOption[], given: PlainOptions): ResolvedIds {
  const ids = (type: number) =>
    leaves
      .filter((each) => each.type === type && given[each.name] !== undefined)
      .map((each) => String(given[each.name]));
  return { users: ids(OptionType.User), channels: ids(OptionType.Channel) };
}

function saveCommand(world: World, guildId: string | null, input: CommandInput): CommandRecord {
  const known = commandsOf(world, guildId).find(
    (each) => each.name === input.name && each.type === input.type,
  );
  const { type, name, ...body } = input;
  const command = {
    id: known?.id ?? world.ids.next(),
    version: world.ids.next(),
    guildId,
    type,
    name,
    body,
  };
  world.store.saveCommand(command);
  return command;
}
