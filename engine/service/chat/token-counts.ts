/**
 * `POST /v1/tokenize`: how many tokens conversations take with the served model's vocabulary and template,
 * so that a client can fit its window. It computes nothing and keeps nothing.
 */
import { z } from "zod";
import type { Backend, ChatMessage } from "../../backends/backend.ts";
import { HttpProblem } from "../http-problem.ts";

const MOST_CONVERSATIONS = 256;

const message = z.object({
  role: z.enum(["system", "user", "assistant"], { error: "expected system, user or assistant" }),
  content: z.string({ error: "expected a text" }),
});
const EXPECTED = `expected 1 to ${MOST_CONVERSATIONS} lists of messages {role, content}`;
const schema = z.object(
  {
    conversations: z
      .array(z.array(message, { error: EXPECTED }).min(1, { error: EXPECTED }), { error: EXPECTED })
      .min(1, { error: EXPECTED })
      .max(MOST_CONVERSATIONS, { error: EXPECTED }),
  },
  { error: "expected a JSON object with conversations" },
);

/**
 * Counts each conversation as it would be rendered, BOS and generation prompt included.
 * @throws HttpProblem 400 that names what is wrong
 */
export function countTokens(backend: Pick<Backend, "countTokens">, body: unknown): object {
  const counts = parse(body).map((conversation) => backend.countTokens(conversation));
  return { object: "list", counts };
}

function parse(body: unknown): readonly (readonly ChatMessage[])[] {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data.conversations;
  const [issue] = parsed.error.issues;
  throw new HttpProblem(`${issue?.path.join(".") || "the body"}: ${issue?.message}.`, {
    status: 400,
    code: "invalid_request",
    param: String(issue?.path[0] ?? "conversations"),
  });
}
