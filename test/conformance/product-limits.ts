/**
 * What Discord's product refuses and its published document lets pass, and what this bot has promised
 * of its requests. Pure. Figures: https://discord.com/developers/docs/resources/message and
 * /components/reference, /interactions/application-commands.
 */
import type { RecordedRequest } from "#deploy/playground/rest/record.ts";

type Json = Readonly<Record<string, unknown>>;

/** Longest texts, by the field's name wherever it stands, in UTF-16 units (never fewer than characters). */
const LONGEST: Readonly<Record<string, number>> = {
  content: 2_000,
  custom_id: 100,
  placeholder: 150,
};
const EMBED_TOTAL = 6_000;
const EPHEMERAL = 64;
const COMPONENTS_V2 = 32_768;
const V2_COMPONENTS = 40;
const V2_TEXT = 4_000;
const ROWS = 5;
const BUTTONS_IN_A_ROW = 5;
const AUDIT_REASON = 512;
const FILES = 10;
const FILE_BYTES = 10 * 1024 * 1024;
const CHAT_COMMANDS = 100;
const MENU_COMMANDS = 15;
const COMMAND_CHARACTERS = 8_000;
const TYPE = { row: 1, button: 2, text: 10, deferred: 5, deferredUpdate: 6, message: 4, update: 7 };
const COMMAND_NAME = /^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$/u;

/** What a request has against Discord's product or this bot's promises. */
export function productProblems(request: RecordedRequest): readonly string[] {
  const { body, files, auditLogReason } = request;
  return [
    ...everyRecord(body).flatMap(longTexts),
    ...(auditLogReason !== undefined && auditLogReason.length > AUDIT_REASON
      ? [`an audit log reason of ${auditLogReason.length} characters`]
      : []),
    ...(files.length > FILES ? [`${files.length} files`] : []),
    ...files.filter(({ bytes }) => bytes > FILE_BYTES).map(({ field }) => `${field} is too large`),
    ...messageOf(request).flatMap((message) => messageProblems(request, message)),
    ...callbackProblems(request),
    ...commandProblems(request),
  ];
}

function longTexts(record: Json): string[] {
  return Object.entries(LONGEST).flatMap(([field, most]) => {
    const value = record[field];
    return typeof value === "string" && value.length > most
      ? [`${field} has ${value.length} characters, at most ${most} are taken`]
      : [];
  });
}

/** The message that a request sends or changes, if it does. */
function messageOf({ method, path, body }: RecordedRequest): readonly Json[] {
  if (!isRecord(body) || (method !== "POST" && method !== "PATCH")) return [];
  if (path.endsWith("/callback")) {
    const carries = body["type"] === TYPE.message || body["type"] === TYPE.update;
    return carries && isRecord(body["data"]) ? [body["data"]] : [];
  }
  const isMessage = /^\/(channels\/\d+|webhooks\/\d+\/[^/]+)(\/messages(\/[^/]+)?)?$/.test(path);
  return isMessage && !/^\/channels\/\d+$/.test(path) ? [body] : [];
}

function messageProblems(request: RecordedRequest, message: Json): string[] {
  const flags = Number(message["flags"] ?? 0);
  const isV2 = (flags & COMPONENTS_V2) !== 0;
  const components = listOf(message["components"]);
  const all = components.flatMap(everyRecord).filter((one) => typeof one["type"] === "number");
  return [
    ...mentionProblems(message),
    ...(request.method === "POST" && isEmpty(message, request)
      ? ["a message without anything"]
      : []),
    ...embedProblems(message),
    ...repeated(all.flatMap(({ custom_id: id }) => (typeof id === "string" ? [id] : []))).map(
      (id) => `custom_id ${id} stands twice`,
    ),
    ...(isV2 ? v2Problems(message, all) : rowProblems(components)),
  ];
}

/** The bot's own promise: no message pings anyone. */
function mentionProblems(message: Json): string[] {
  if (message["content"] === undefined && message["components"] === undefined) return [];
  const mentions = message["allowed_mentions"];
  const isSilent =
    isRecord(mentions) && Array.isArray(mentions["parse"]) && mentions["parse"].length === 0;
  return isSilent ? [] : ["allowed_mentions does not forbid mentions"];
}

function isEmpty(message: Json, { files }: RecordedRequest): boolean {
  const text = message["content"];
  const hasText = typeof text === "string" && text.trim() !== "";
  const carriers = ["embeds", "components", "sticker_ids", "attachments"];
  return (
    !hasText &&
    files.length === 0 &&
    !isRecord(message["poll"]) &&
    carriers.every((field) => listOf(message[field]).length === 0)
  );
}

function embedProblems(message: Json): string[] {
  const texts = listOf(message["embeds"])
    .flatMap(everyRecord)
    .flatMap((part) =>
      ["title", "description", "name", "value", "text"].map((field) => part[field]),
    );
  const total = texts.reduce<number>(
    (sum, text) => sum + (typeof text === "string" ? text.length : 0),
    0,
  );
  return total > EMBED_TOTAL ? [`embeds of ${total} characters`] : [];
}

function v2Problems(message: Json, all: readonly Json[]): string[] {
  const mixed = ["content", "embeds", "poll"].filter((field) => {
    const value = message[field];
    return value !== undefined && value !== null && listOf(value).length + String(value).length > 0;
  });
  const text = all
    .filter(({ type }) => type === TYPE.text)
    .reduce((sum, { content }) => sum + String(content ?? "").length, 0);
  return [
    ...mixed.map((field) => `${field} beside Components V2`),
    ...(all.length > V2_COMPONENTS ? [`${all.length} components`] : []),
    ...(text > V2_TEXT ? [`${text} characters of text in components`] : []),
  ];
}

function rowProblems(components: readonly unknown[]): string[] {
  const rows = components.filter(isRecord);
  const wide = rows.filter((row) => {
    const inside = listOf(row["components"]).filter(isRecord);
    const buttons = inside.filter(({ type }) => type === TYPE.button).length;
    return buttons > BUTTONS_IN_A_ROW || (buttons < inside.length && inside.length > 1);
  });
  return [
    ...(rows.length > ROWS ? [`${rows.length} rows of components`] : []),
    ...rows
      .filter(({ type }) => type !== TYPE.row)
      .map(({ type }) => `a component of type ${String(type)} outside a row`),
    ...wide.map(() => "a row with more than five buttons, or with a select and something else"),
  ];
}

/** https://discord.com/developers/docs/interactions/receiving-and-responding: a deferral takes one flag. */
function callbackProblems({ path, body }: RecordedRequest): string[] {
  if (!path.endsWith("/callback") || !isRecord(body) || !isRecord(body["data"])) return [];
  const { type, data } = body;
  if (type !== TYPE.deferred && type !== TYPE.deferredUpdate) return [];
  const flags = Number(data["flags"] ?? 0);
  return (flags & ~EPHEMERAL) === 0 ? [] : [`a deferred reply with flags ${flags}`];
}

function commandProblems({ method, path, body }: RecordedRequest): string[] {
  if (!path.endsWith("/commands") || (method !== "PUT" && method !== "POST")) return [];
  const commands = listOf(Array.isArray(body) ? body : [body]).filter(isRecord);
  const chat = commands.filter(({ type }) => (type ?? 1) === 1);
  return [
    ...(chat.length > CHAT_COMMANDS ? [`${chat.length} slash commands`] : []),
    ...(commands.filter(({ type }) => type === 3).length > MENU_COMMANDS
      ? ["too many menu commands"]
      : []),
    ...chat.flatMap(chatCommandProblems),
  ];
}

function chatCommandProblems(command: Json): string[] {
  const parts = everyRecord(command).filter(
    (one) => typeof one["name"] === "string" && one["value"] === undefined,
  );
  const badNames = parts.flatMap((part) =>
    [
      part["name"],
      ...Object.values(isRecord(part["name_localizations"]) ? part["name_localizations"] : {}),
    ]
      .map(String)
      .filter((name) => !COMMAND_NAME.test(name) || name !== name.toLowerCase()),
  );
  const late = parts.filter((part) => {
    const options = listOf(part["options"]).filter(isRecord);
    const firstOptional = options.findIndex(
      ({ required, type }) => required !== true && Number(type) > 2,
    );
    return (
      firstOptional !== -1 && options.slice(firstOptional).some(({ required }) => required === true)
    );
  });
  const characters = charactersOf(command);
  return [
    ...badNames.map((name) => `command or option name ${name}`),
    ...late.map(({ name }) => `${String(name)}: a required option behind an optional one`),
    ...(characters > COMMAND_CHARACTERS
      ? [`${String(command["name"])} has ${characters} characters`]
      : []),
  ];
}

/** Names, descriptions and choices' values together; of translations the longest counts. */
function charactersOf(command: Json): number {
  return everyRecord(command)
    .filter((one) => typeof one["name"] === "string")
    .reduce((sum, one) => {
      const longest = (field: string) => {
        const translated = one[`${field}_localizations`];
        const texts = [one[field], ...(isRecord(translated) ? Object.values(translated) : [])];
        return Math.max(...texts.map((text) => (typeof text === "string" ? text.length : 0)));
      };
      const value = typeof one["value"] === "string" ? one["value"].length : 0;
      return sum + longest("name") + longest("description") + value;
    }, 0);
}

/** Every object in a JSON value, outermost first. */
function everyRecord(value: unknown): readonly Json[] {
  if (Array.isArray(value)) return value.flatMap(everyRecord);
  if (!isRecord(value)) return [];
  return [value, ...Object.values(value).flatMap(everyRecord)];
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function repeated(values: readonly string[]): string[] {
  return [...new Set(values.filter((value, index) => values.indexOf(value) !== index))];
}

function isRecord(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
