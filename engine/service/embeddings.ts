/**
 * `POST /v1/embeddings` in OpenAI's shape (https://platform.openai.com/docs/api-reference/embeddings).
 * The vectors are the chat model's own: good enough to find what is alike, no match for a model made for it.
 */
import { z } from "zod";
import type { Backend } from "../backends/backend.ts";
import { HttpProblem } from "./http-problem.ts";

const MOST_INPUTS = 256;
const EXPECTED = `expected a text, or a list of 1 to ${MOST_INPUTS} of them`;
const text = z.string({ error: EXPECTED }).min(1, { error: EXPECTED });
const schema = z.object(
  {
    input: z.union([text, z.array(text).min(1).max(MOST_INPUTS)], { error: EXPECTED }),
    model: z.string({ error: "expected the name of a model" }).nullish(),
    encoding_format: z
      .enum(["float", "base64"], { error: "expected float or base64" })
      .default("float"),
  },
  { error: "expected a JSON object with input" },
);

/** A checked request. */
type EmbeddingsRequest = z.infer<typeof schema>;

/** Checks a request's body. @throws HttpProblem 400 that names what is wrong */
export function parseEmbeddingsRequest(body: unknown): EmbeddingsRequest {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const param = String(issue?.path[0] ?? "");
  throw new HttpProblem(`${param || "The body"}: ${issue?.message ?? EXPECTED}.`, {
    status: 400,
    code: "invalid_request",
    param,
  });
}

/**
 * Embeds each text.
 * @throws HttpProblem 400 where the backend has no embeddings; CodedError what the backend throws
 */
export async function embedTexts(
  backend: Backend,
  { input, encoding_format: format }: EmbeddingsRequest,
  signal: AbortSignal,
): Promise<object> {
  if (backend.embed === undefined) {
    throw new HttpProblem("What is served here has no embeddings.", {
      status: 400,
      code: "invalid_request",
      param: "model",
    });
  }
  const texts = typeof input === "string" ? [input] : input;
  const { vectors, tokens } = await backend.embed(texts, signal);
  return {
    object: "list",
    model: backend.info.id,
    data: vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: format === "base64" ? toBase64(vector) : [...vector],
    })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** 32-bit floats, the low byte first, as OpenAI's clients read them. */
function toBase64(vector: readonly number[] | Float32Array): string {
  const floats = Float32Array.from(vector);
  return Buffer.from(floats.buffer).toString("base64");
}
