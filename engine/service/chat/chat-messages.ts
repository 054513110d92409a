/**
 * The messages of a chat request, by OpenAI's schema: text, pictures, calls of functions and what came of them. Text
 * is cleaned on the way, so that nothing in it reads as a template's own mark.
 */
import { z } from "zod";
import { type ContentPart, countImages, type PromptMessage } from "../../backends/prompt.ts";
import { cleanInput } from "../../moderation/normalise.ts";
import { invalidField } from "../http-problem.ts";
import { type ImageUrls, imageProblem, MOST_IMAGES } from "./chat-images.ts";
import { toolName } from "./chat-tools.ts";

/** As much as a body without pictures holds. */
export const MOST_CHARACTERS = 1 << 20;

const textPart = z.object({ type: z.literal("text"), text: z.string() });
const imagePart = z.object({
  type: z.literal("image_url"),
  image_url: z.object(
    {
      url: z.string({ error: "expected the address of a picture" }),
      detail: z
        .enum(["auto", "low", "high"], { error: 'expected "auto", "low" or "high"' })
        .nullish(),
    },
    { error: "expected an object with url" },
  ),
});
const content = z.union([z.string(), z.array(textPart)], {
  error:
    'expected a string, or a list of {type: "text", text}; only people\'s messages hold pictures',
});
const personsContent = z.union(
  [z.string(), z.array(z.discriminatedUnion("type", [textPart, imagePart]))],
  {
    error:
      'expected a string, or a list of {type: "text", text} and {type: "image_url", image_url: {url}}; audio and files are not supported',
  },
);
const CALL = 'expected {id, type: "function", function: {name, arguments}}';
const call = z.object(
  {
    id: z.string({ error: CALL }).min(1).max(128),
    function: z.object({ name: toolName, arguments: z.string({ error: CALL }) }, { error: CALL }),
  },
  { error: CALL },
);
const message = z.discriminatedUnion(
  "role",
  [
    z.object({ role: z.enum(["system", "developer"]), content }),
    z.object({ role: z.literal("user"), content: personsContent }),
    z.object({
      role: z.literal("assistant"),
      content: content.nullish(),
      tool_calls: z.array(call, { error: "expected a list of calls" }).nullish(),
    }),
    z.object({
      role: z.literal("tool"),
      content,
      tool_call_id: z.string({ error: "expected the id of a call" }).min(1).max(128),
    }),
  ],
  {
    error:
      "expected a message {role, content} with role system, developer, user, assistant or tool",
  },
);

/** The field. */
export const messagesSchema = z
  .array(message, { error: "expected a list of messages" })
  .min(1, { error: "expected at least one message" });

/**
 * The messages as backends take them.
 * @throws HttpProblem 400 for pictures that may not be sent, and answers to calls that were never made
 */
export function readMessages(
  given: z.infer<typeof messagesSchema>,
  imageUrls: ImageUrls,
): readonly PromptMessage[] {
  // Bodies with pictures are large; words by the million would hold up everyone while they are cleaned.
  const characters = given.reduce((sum, each) => sum + charactersIn(each), 0);
  if (characters > MOST_CHARACTERS) {
    throw invalidField(
      "messages",
      `expected at most ${MOST_CHARACTERS} characters, got ${characters}`,
    );
  }
  const messages = given.map((each, index) => toMessage(each, index, imageUrls));
  const images = messages.reduce((sum, each) => sum + countImages(each), 0);
  if (images > MOST_IMAGES) {
    throw invalidField("messages", `expected at most ${MOST_IMAGES} pictures, got ${images}`);
  }
  assertCallsWereMade(messages);
  return messages;
}

function charactersIn(given: z.infer<typeof message>): number {
  const parts = given.content ?? "";
  const calls = given.role === "assistant" ? (given.tool_calls ?? []) : [];
  const written = calls.reduce((sum, { function: called }) => sum + called.arguments.length, 0);
  if (typeof parts === "string") return written + parts.length;
  return parts.reduce((sum, part) => sum + (part.type === "text" ? part.text.length : 0), written);
}

/** Templates pair calls with their answers, and fail in ways of their own where they can't. */
function assertCallsWereMade(messages: readonly PromptMessage[]): void {
  const made = new Set<string>();
  for (const [index, one] of messages.entries()) {
    if (one.role === "assistant") for (const { id } of one.toolCalls ?? []) made.add(id);
    if (one.role === "tool" && !made.has(one.toolCallId)) {
      const param = `messages[${index}].tool_call_id`;
      throw invalidField(
        param,
        "expected the id of a call that an assistant's message before it made",
      );
    }
  }
}

function toMessage(
  given: z.infer<typeof message>,
  index: number,
  imageUrls: ImageUrls,
): PromptMessage {
  if (given.role === "user") return toPersons(given.content, index, imageUrls);
  const text = textOf(given.content ?? "");
  if (given.role === "tool") return { role: "tool", content: text, toolCallId: given.tool_call_id };
  if (given.role !== "assistant") return { role: "system", content: text };
  const calls = (given.tool_calls ?? []).map(({ id, function: { name, arguments: args } }) => ({
    id,
    name,
    arguments: cleanInput(args),
  }));
  return { role: "assistant", content: text, ...(calls.length > 0 ? { toolCalls: calls } : {}) };
}

function toPersons(
  given: z.infer<typeof personsContent>,
  index: number,
  imageUrls: ImageUrls,
): PromptMessage {
  if (typeof given === "string") return { role: "user", content: cleanInput(given) };
  const texts = given.flatMap((part) => (part.type === "text" ? [part.text] : []));
  const text = cleanInput(texts.join("\n"));
  if (texts.length === given.length) return { role: "user", content: text };
  const parts = given.map((part, at): ContentPart => {
    if (part.type === "text") return { type: "text", text: cleanInput(part.text) };
    const { url, detail } = part.image_url;
    const problem = imageProblem(url, imageUrls);
    const param = `messages[${index}].content[${at}].image_url.url`;
    if (problem !== undefined) throw invalidField(param, problem);
    return { type: "image", url, ...(detail ? { detail } : {}) };
  });
  return { role: "user", content: text, parts };
}

function textOf(given: z.infer<typeof content>): string {
  return cleanInput(typeof given === "string" ? given : given.map((part) => part.text).join("\n"));
}
