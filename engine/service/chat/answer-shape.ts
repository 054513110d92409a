/**
 * The fields of a chat request that say what the answer must look like: OpenAI's `response_format` and
 * llama.cpp's `grammar`.
 */
import { z } from "zod";
import type { AnswerShape } from "../../backends/backend.ts";
import { CodedError } from "../../base/errors.ts";
import { schemaToGrammar } from "../../llama/schema-grammar.ts";
import { invalidField } from "../http-problem.ts";

const GRAMMAR_CHARACTERS = 16_384;
/** Grammars that can leave no token at all to choose, which libllama does not survive. */
const UNSAFE_GRAMMAR = /<\[|!<|\[\^[^\]]*\\[xuU]/;

const responseFormat = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("text") }),
    z.object({ type: z.literal("json_object") }),
    z.object({
      type: z.literal("json_schema"),
      json_schema: z.object(
        { schema: z.unknown() },
        { error: "expected an object with name and schema" },
      ),
    }),
  ],
  { error: 'expected {type: "text"}, {type: "json_object"} or {type: "json_schema", json_schema}' },
);

/** The fields. */
export const answerShapeSchema = {
  response_format: responseFormat.nullish(),
  grammar: z
    .string({ error: "expected GBNF in a string" })
    .max(GRAMMAR_CHARACTERS, { error: `expected at most ${GRAMMAR_CHARACTERS} characters` })
    .nullish(),
};

/**
 * The shape that a request asks for.
 * @throws HttpProblem 400 for a schema that is not served, or a grammar beside a schema
 */
export function readAnswerShape(data: {
  readonly response_format?: z.infer<typeof responseFormat> | null | undefined;
  readonly grammar?: string | null | undefined;
}): AnswerShape | undefined {
  const { response_format: format, grammar } = data;
  if (grammar) {
    if (format && format.type !== "text")
      throw invalidField("grammar", "expected no response_format beside it");
    if (UNSAFE_GRAMMAR.test(grammar)) {
      throw invalidField("grammar", "token references and escapes in negated sets are not served");
    }
    return { type: "grammar", gbnf: grammar };
  }
  if (format?.type === "json_object") return { type: "json", schema: null };
  if (format?.type !== "json_schema") return undefined;
  const { schema } = format.json_schema;
  assertConverts(schema, "response_format.json_schema");
  return { type: "json", schema };
}

/**
 * Before anything waits: whoever wrote the schema should hear of it at once.
 * @param param where it stands in the request
 * @throws HttpProblem 400 for a schema that no grammar can hold
 */
export function assertConverts(schema: unknown, param: string): void {
  try {
    schemaToGrammar(schema);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw invalidField(param, error.message.replace(/\.$/, ""), error);
  }
}
