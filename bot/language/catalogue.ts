/**
 * Reads one language's messages from a file's text. What is wrong with one message is told and leaves
 * the others alone: where a message can't be taken, English stands. It knows nothing of where files are.
 */
import { z } from "zod";
import { ENGLISH, isMessageKey, type MessageKey } from "./english.ts";
import type { Catalogue } from "./language.ts";
import { limitProblem } from "./limits.ts";
import { type Message, PLURAL_FORMS, placeholdersOf, textsOf } from "./message.ts";

const messageSchema = z.union(
  [z.string(), z.strictObject({ ...optionalForms(), other: z.string() })],
  { error: `expected a text, or one for each plural form (${PLURAL_FORMS.join(", ")})` },
);
const fileSchema = z.record(z.string(), z.unknown(), {
  error: "expected an object of messages by their keys",
});

/** A file's messages, and what is wrong with it. */
export type ReadCatalogue = {
  readonly messages: Catalogue;
  /** One line each, beginning with the key. */
  readonly problems: readonly string[];
  /** Keys that English has and the file has not. */
  readonly missing: readonly MessageKey[];
};

/** @param text JSON: an object of messages by their keys */
export function readCatalogue(text: string): ReadCatalogue {
  const keys = Object.keys(ENGLISH).filter(isMessageKey);
  const parsed = fileSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    return {
      messages: {},
      problems: [parsed.error.issues[0]?.message ?? "unreadable"],
      missing: keys,
    };
  }
  const messages: Partial<Record<MessageKey, Message>> = {};
  const problems: string[] = [];
  for (const [key, given] of Object.entries(parsed.data)) {
    const read = readMessage(key, given);
    if ("problem" in read) problems.push(`${key}: ${read.problem}`);
    else messages[read.key] = read.message;
  }
  return { messages, problems, missing: keys.filter((key) => !Object.hasOwn(parsed.data, key)) };
}

type ReadMessage =
  | { readonly key: MessageKey; readonly message: Message }
  | { readonly problem: string };

function readMessage(key: string, given: unknown): ReadMessage {
  if (!isMessageKey(key)) return { problem: "the bot has no message of this key" };
  const parsed = messageSchema.safeParse(given);
  if (!parsed.success) return { problem: parsed.error.issues[0]?.message ?? "unreadable" };
  const message = withoutAbsent(parsed.data);
  const problem = placeholderProblem(ENGLISH[key], message) ?? textProblem(key, message);
  return problem === undefined ? { key, message } : { problem };
}

/** Each text has to have the placeholders of the English one; `count` may be left to the plural form. */
function placeholderProblem(english: Message, message: Message): string | undefined {
  const expected = placeholdersOf(english);
  if (typeof english === "string" && typeof message !== "string") {
    return "it has no number to choose a plural form by: expected one text";
  }
  for (const text of textsOf(message)) {
    const given = placeholdersOf(text);
    const unknown = given.filter((name) => !expected.includes(name));
    if (unknown.length > 0)
      return `unknown placeholder ${list(unknown)}; there is ${list(expected)}`;
    const missing = expected.filter((name) => name !== "count" && !given.includes(name));
    if (missing.length > 0) return `missing placeholder ${list(missing)}`;
    if (/[{}]/.test(text.replaceAll(/\{[A-Za-z]+\}/g, ""))) return "a brace without its other one";
  }
  return undefined;
}

function textProblem(key: MessageKey, message: Message): string | undefined {
  return textsOf(message)
    .map((text) => limitProblem(key, text))
    .find((problem) => problem !== undefined);
}

function withoutAbsent(message: z.infer<typeof messageSchema>): Message {
  if (typeof message === "string") return message;
  const { other, ...rest } = message;
  const present = Object.entries(rest).filter(([, text]) => text !== undefined);
  return { ...Object.fromEntries(present), other };
}

function optionalForms() {
  const text = z.string().optional();
  return { zero: text, one: text, two: text, few: text, many: text };
}

function list(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.map((name) => `{${name}}`).join(", ");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
