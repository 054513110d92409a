/**
 * A call that a caller insists on (`tool_choice: "required"`, or a function by name), from models whose templates have
 * no place for tools: the functions stand in the system prompt, and a grammar leaves nothing but a call of one of them.
 * Whether to call at all is not left to such a model, which never learnt it.
 */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { GenerateEvent } from "../../backends/backend.ts";
import { type PromptMessage, type Tools, tellsOfCalls } from "../../backends/prompt.ts";
import { invalidField } from "../http-problem.ts";
import { assertConverts } from "./answer-shape.ts";
import type { ChatParameters } from "./chat-request.ts";

type ToolFunction = Tools["functions"][number];

/** OpenAI's meaning of a function without parameters. */
const NO_PARAMETERS = { type: "object", properties: {}, required: [], additionalProperties: false };
const callSchema = z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) });

/** Whether a request insists on a call, and tells of none before, which such a model could not read. */
export function insistsOnCall({
  messages,
  tools,
}: Pick<ChatParameters, "messages" | "tools">): boolean {
  const choice = tools?.choice ?? "auto";
  return choice !== "auto" && choice !== "none" && !tellsOfCalls(messages);
}

/**
 * The same request for a model without tools.
 * @throws HttpProblem 400 for a function whose parameters no grammar can hold, and for another shape beside tools
 */
export function forceCall(parameters: ChatParameters): ChatParameters {
  const { tools, messages } = parameters;
  if (tools === undefined) return parameters;
  if (parameters.shape !== undefined) {
    throw invalidField("response_format", "expected none beside tools that must be called");
  }
  const { choice, functions } = tools;
  const callable =
    typeof choice === "string" ? functions : functions.filter(({ name }) => name === choice.name);
  const schema = { anyOf: callable.map(schemaOf) };
  assertConverts(schema, "tools");
  return {
    ...parameters,
    messages: withFunctions(messages, callable),
    tools: undefined,
    shape: { type: "json", schema },
    isCallForced: true,
  };
}

/** The text of an answer as the call that it spells. What is cut off is no call. */
export async function* readForcedCall(
  events: AsyncIterable<GenerateEvent>,
): AsyncGenerator<GenerateEvent> {
  let text = "";
  for await (const event of events) {
    if (event.type === "text") text += event.text;
    else if (event.type !== "end") yield event;
    else {
      const called = callSchema.safeParse(parseJson(text)).data;
      if (called === undefined) yield event;
      else {
        const { name, arguments: args } = called;
        const id = `call_${randomUUID().replaceAll("-", "")}`;
        yield { type: "tool", call: 0, id, name, arguments: JSON.stringify(args) };
        yield event.reason === "stop" ? { ...event, reason: "tool_calls" } : event;
      }
    }
  }
}

function schemaOf({ name, parameters = NO_PARAMETERS }: ToolFunction): object {
  return {
    type: "object",
    properties: { name: { const: name }, arguments: parameters },
    required: ["name", "arguments"],
    additionalProperties: false,
  };
}

function withFunctions(
  messages: readonly PromptMessage[],
  functions: readonly ToolFunction[],
): readonly PromptMessage[] {
  const lines = functions.map(({ name, description, parameters = NO_PARAMETERS }) =>
    [
      `- ${name}`,
      ...(description === undefined ? [] : [description]),
      JSON.stringify(parameters),
    ].join(": "),
  );
  const text = [
    'Answer by calling a function, as JSON alone: {"name": "…", "arguments": {…}}. The functions, with the JSON schema of their arguments:',
    ...lines,
  ].join("\n");
  const [first, ...rest] = messages;
  if (first?.role !== "system") return [{ role: "system", content: text }, ...messages];
  return [{ role: "system", content: `${first.content}\n\n${text}` }, ...rest];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
