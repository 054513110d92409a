/** A prompt, and what may be called, as OpenAI's wire has them. Pure. */
import type { PromptMessage, Tools } from "./prompt.ts";

/** A turn. */
export function toWireMessage(message: PromptMessage): Record<string, unknown> {
  const { role, content } = message;
  if (role === "tool") return { role, content, tool_call_id: message.toolCallId };
  if (role === "user" && message.parts !== undefined) {
    return { role, content: message.parts.map(toWirePart) };
  }
  if (role !== "assistant" || message.toolCalls === undefined) return { role, content };
  return {
    role,
    content: content === "" ? null : content,
    tool_calls: message.toolCalls.map(({ id, name, arguments: args }) => ({
      id,
      type: "function",
      function: { name, arguments: args },
    })),
  };
}

/** The fields that offer functions. */
export function toWireTools({ functions, choice, isParallel }: Tools): Record<string, unknown> {
  return {
    tools: functions.map((offered) => ({ type: "function", function: offered })),
    tool_choice:
      typeof choice === "string" ? choice : { type: "function", function: { name: choice.name } },
    ...(isParallel === undefined ? {} : { parallel_tool_calls: isParallel }),
  };
}

function toWirePart(
  part: NonNullable<Extract<PromptMessage, { role: "user" }>["parts"]>[number],
): Record<string, unknown> {
  if (part.type === "text") return part;
  const { url, detail } = part;
  return { type: "image_url", image_url: { url, ...(detail === undefined ? {} : { detail }) } };
}
