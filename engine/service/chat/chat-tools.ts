/** The fields of a chat request that offer functions to the model, by OpenAI's schema. It calls none. */
import { z } from "zod";
import type { Tools } from "../../backends/prompt.ts";
import { invalidField } from "../http-problem.ts";

const MOST_TOOLS = 128;
/** OpenAI's rule for names: https://platform.openai.com/docs/api-reference/chat/create */
export const toolName = z.string().regex(/^[\w-]{1,64}$/, {
  error: "expected a name of letters, digits, _ and -, at most 64",
});

const tool = z.object(
  {
    type: z.literal("function", { error: 'expected "function"' }),
    function: z.object(
      {
        name: toolName,
        description: z.string({ error: "expected a text" }).nullish(),
        parameters: z
          .record(z.string(), z.unknown(), { error: "expected a JSON schema as an object" })
          .nullish(),
        strict: z.boolean({ error: "expected true or false" }).nullish(),
      },
      { error: "expected an object with name, description and parameters" },
    ),
  },
  { error: 'expected {type: "function", function: {name, description, parameters}}' },
);

/** The fields. */
export const toolsSchema = {
  tools: z
    .array(tool, { error: "expected a list of tools" })
    .max(MOST_TOOLS, { error: `expected at most ${MOST_TOOLS} tools` })
    .nullish(),
  tool_choice: z
    .union(
      [
        z.enum(["auto", "none", "required"]),
        z.object({ type: z.literal("function"), function: z.object({ name: toolName }) }),
      ],
      {
        error:
          'expected "auto", "none", "required", or {type: "function", function: {name}} of one of the tools',
      },
    )
    .nullish(),
  parallel_tool_calls: z.boolean({ error: "expected true or false" }).nullish(),
};

/**
 * The functions that a request offers; undefined where it offers none.
 * @throws HttpProblem 400 for a choice of a function that is not offered, or two of one name
 */
export function readTools(data: {
  readonly tools?: readonly z.infer<typeof tool>[] | null | undefined;
  readonly tool_choice?: z.infer<typeof toolsSchema.tool_choice>;
  readonly parallel_tool_calls?: boolean | null | undefined;
}): Tools | undefined {
  const functions = (data.tools ?? []).map(({ function: offered }) => ({
    name: offered.name,
    ...(offered.description ? { description: offered.description } : {}),
    ...(offered.parameters ? { parameters: offered.parameters } : {}),
    ...(typeof offered.strict === "boolean" ? { strict: offered.strict } : {}),
  }));
  const names = functions.map(({ name }) => name);
  const choice = data.tool_choice ?? "auto";
  if (functions.length === 0) {
    if (choice === "auto" || choice === "none") return undefined;
    throw invalidField("tool_choice", "expected tools beside it");
  }
  if (new Set(names).size < names.length) throw invalidField("tools", "two have the same name");
  if (typeof choice !== "string" && !names.includes(choice.function.name)) {
    throw invalidField("tool_choice", `none of the tools is named ${choice.function.name}`);
  }
  return {
    functions,
    choice: typeof choice === "string" ? choice : choice.function,
    ...(typeof data.parallel_tool_calls === "boolean"
      ? { isParallel: data.parallel_tool_calls }
      : {}),
  };
}
