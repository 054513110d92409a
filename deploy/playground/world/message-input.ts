/** What may be sent as a message, with Discord's limits and its wording of each complaint. */
import { MessageFlags } from "discord-api-types/v10";
import { z } from "zod";
import { classicComponents, layoutComponents } from "./component-input.ts";
import { DiscordError, fieldError, nestErrors } from "./discord-error.ts";

/** Characters of a message; the published schema says 4,000, which is a subscriber's limit. */
const CONTENT_LIMIT = 2_000;
/** Characters of all embeds of a message together. */
const EMBED_TOTAL_LIMIT = 6_000;
/** Characters of all texts of a Components-V2 message together. */
const LAYOUT_TEXT_LIMIT = 4_000;
/** Components of a Components-V2 message, nested ones included. */
const LAYOUT_COUNT_LIMIT = 40;

const image = z.object({ url: z.string().max(2048) });
const embed = z.object({
  title: z.string().max(256).nullish(),
  description: z.string().max(4096).nullish(),
  url: z.string().max(2048).nullish(),
  timestamp: z.string().nullish(),
  color: z.int().min(0).max(0xffffff).nullish(),
  footer: z.object({ text: z.string().max(2048), icon_url: z.string().nullish() }).nullish(),
  author: z
    .object({
      name: z.string().max(256),
      url: z.string().nullish(),
      icon_url: z.string().nullish(),
    })
    .nullish(),
  image: image.nullish(),
  thumbnail: image.nullish(),
  fields: z
    .array(
      z.object({
        name: z.string().min(1).max(256),
        value: z.string().min(1).max(1024),
        inline: z.boolean().optional(),
      }),
    )
    .max(25)
    .nullish(),
});

const body = z.object({
  content: z.string().max(CONTENT_LIMIT).nullish(),
  embeds: z.array(embed).max(10).nullish(),
  components: z.array(z.unknown()).nullish(),
  flags: z.int().nullish(),
  tts: z.boolean().nullish(),
  nonce: z.union([z.string().max(25), z.int()]).nullish(),
  enforce_nonce: z.boolean().nullish(),
  allowed_mentions: z
    .object({
      parse: z.array(z.enum(["users", "roles", "everyone"])).nullish(),
      users: z.array(z.string()).max(100).nullish(),
      roles: z.array(z.string()).max(100).nullish(),
      replied_user: z.boolean().nullish(),
    })
    .nullish(),
  message_reference: z
    .object({
      type: z.int().nullish(),
      message_id: z.string().nullish(),
      channel_id: z.string().nullish(),
      guild_id: z.string().nullish(),
      fail_if_not_exists: z.boolean().nullish(),
    })
    .nullish(),
  attachments: z
    .array(
      z.object({
        id: z.union([z.string(), z.int()]).transform(String),
        filename: z.string().max(1024).optional(),
        description: z.string().max(1024).nullish(),
      }),
    )
    .max(10)
    .nullish(),
});

/** A checked message body; components are checked, and keep the shape that they were sent in. */
export type MessageInput = z.infer<typeof body>;

/**
 * Checks a body against `schema`.
 * @throws DiscordError 50035 that names each wrong field
 */
export function parseBody<T>(schema: z.ZodType<T>, given: unknown): T {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const complaints = parsed.error.issues.map((issue) => ({ path: issue.path, ...describe(issue) }));
  throw new DiscordError("invalidFormBody", { errors: nestErrors(complaints) });
}

/** Checks a message's body. @throws DiscordError 50035 */
export function parseMessage(given: unknown): MessageInput {
  const message = parseBody(body, given);
  checkEmbedTotal(message);
  const isLayout = ((message.flags ?? 0) & MessageFlags.IsComponentsV2) !== 0;
  if (isLayout) checkLayout(message);
  else
    parseBody(z.object({ components: classicComponents.nullish() }), {
      components: message.components,
    });
  checkCustomIds(message.components ?? []);
  return message;
}

function checkEmbedTotal(message: MessageInput): void {
  const total = (message.embeds ?? []).reduce((sum, each) => {
    const fields = (each.fields ?? []).map((field) => field.name + field.value);
    const parts = [each.title, each.description, each.footer?.text, each.author?.name, ...fields];
    return sum + parts.reduce((length, part) => length + (part?.length ?? 0), 0);
  }, 0);
  if (total <= EMBED_TOTAL_LIMIT) return;
  throw fieldError(
    ["embeds"],
    "MAX_EMBED_SIZE_EXCEEDED",
    `Embed size exceeds maximum size of ${EMBED_TOTAL_LIMIT}`,
  );
}

function checkLayout(message: MessageInput): void {
  for (const field of ["content", "embeds"] as const) {
    if (message[field] === undefined || message[field] === null || message[field].length === 0)
      continue;
    throw fieldError(
      [field],
      "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
      `The '${field}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2`,
    );
  }
  parseBody(z.object({ components: layoutComponents.nullish() }), {
    components: message.components,
  });
  const all = [...walk(message.components ?? [])];
  const text = all.reduce(
    (sum, each) => sum + (each["type"] === 10 ? String(each["content"]).length : 0),
    0,
  );
  if (all.length > LAYOUT_COUNT_LIMIT) {
    throw fieldError(
      ["components"],
      "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED",
      `The total number of components must be at most ${LAYOUT_COUNT_LIMIT}`,
    );
  }
  if (text > LAYOUT_TEXT_LIMIT) {
    throw fieldError(
      ["components"],
      "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED",
      `Total size of displayable text must be at most ${LAYOUT_TEXT_LIMIT}`,
    );
  }
}

function checkCustomIds(components: readonly unknown[]): void {
  const seen = new Set<unknown>();
  for (const each of walk(components)) {
    const id = each["custom_id"];
    if (id === undefined) continue;
    if (seen.has(id)) {
      throw fieldError(
        ["components"],
        "COMPONENT_CUSTOM_ID_DUPLICATED",
        "Component custom id cannot be duplicated",
      );
    }
    seen.add(id);
  }
}

/** Every component in a tree of components, outermost first. */
export function* walk(components: readonly unknown[]): Generator<Record<string, unknown>> {
  for (const each of components) {
    if (!isRecord(each)) continue;
    yield each;
    if (Array.isArray(each["components"])) yield* walk(each["components"]);
    yield* walk([each["accessory"], each["component"]]);
  }
}

/** Whether a value is an object with string keys (not an array). */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(issue: z.core.$ZodIssue): { code: string; message: string } {
  switch (issue.code) {
    case "custom":
      return { code: String(issue.params?.["code"] ?? "BASE_TYPE_BAD"), message: issue.message };
    case "too_big":
      return describeSize(
        issue.origin,
        `Must be ${issue.maximum} or fewer in length.`,
        "MAX_LENGTH",
        `less than or equal to ${issue.maximum}`,
      );
    case "too_small":
      return describeSize(
        issue.origin,
        `Must be ${issue.minimum} or more in length.`,
        "MIN_LENGTH",
        `greater than or equal to ${issue.minimum}`,
      );
    case "invalid_type":
      if (issue.input === undefined && /undefined/.test(issue.message)) {
        return { code: "BASE_TYPE_REQUIRED", message: "This field is required" };
      }
      return {
        code: `${issue.expected.toUpperCase()}_TYPE_CONVERT`,
        message: `Could not interpret the value as ${issue.expected}.`,
      };
    case "invalid_value":
      return {
        code: "BASE_TYPE_CHOICES",
        message: `Value must be one of {${issue.values.map((value) => JSON.stringify(value)).join(", ")}}.`,
      };
    default:
      return {
        code: "UNION_TYPE_CHOICES",
        message: `Value of this field is not of an accepted form: ${issue.message}`,
      };
  }
}

function describeSize(
  origin: string,
  lengthMessage: string,
  suffix: string,
  range: string,
): { code: string; message: string } {
  if (origin === "string") return { code: `BASE_TYPE_${suffix}`, message: lengthMessage };
  if (origin === "array") return { code: "BASE_TYPE_BAD_LENGTH", message: lengthMessage };
  return {
    code: `NUMBER_TYPE_${suffix === "MAX_LENGTH" ? "MAX" : "MIN"}`,
    message: `Value must be ${range}.`,
  };
}
