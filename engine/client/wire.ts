/**
 * The engine's answers as they come over HTTP, checked before use.
 * Fields that this client does not need are left unparsed, so a newer engine is no trouble.
 */
import { z } from "zod";
import { CodedError, ERROR_CODES, type ErrorCode } from "../base/errors.ts";

const usageSchema = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
});

const verdictSchema = z.object({
  stage: z.enum(["input", "output"]),
  category: z.string(),
  reason: z.string(),
});

/** Why text was withheld: at which check, which category (Llama Guard's S1–S14 or ours), a sentence for people. */
export type WireVerdict = z.infer<typeof verdictSchema>;

const finishReason = z.enum(["stop", "length", "content_filter"]);

/** One `data:` event of a stream. */
export const chunkSchema = z.object({
  id: z.string().default(""),
  model: z.string().default(""),
  adapter: z.string().nullable().default(null),
  choices: z.array(
    z.object({
      index: z.number(),
      delta: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }),
      finish_reason: finishReason.nullish(),
      verdict: verdictSchema.optional(),
    }),
  ),
  usage: usageSchema.nullish(),
});

/** A parsed chunk. */
export type WireChunk = z.infer<typeof chunkSchema>;

/** `/v1/models`. */
export const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });

/** `/v1/tokenize`. */
export const tokenCountsSchema = z.object({ counts: z.array(z.number()) });

/** `/v1/moderations`; OpenAI's own categories are left out, `hazards` has more. */
export const moderationsSchema = z.object({
  results: z.array(z.object({ flagged: z.boolean(), hazards: z.record(z.string(), z.number()) })),
});

/** The adapter on trial with a share of the guilds; older engines know of none. */
const canarySchema = z.object({ name: z.string(), share: z.number() }).nullable().default(null);

/** `/health`. */
export const healthSchema = z.looseObject({
  status: z.enum(["ok", "degraded", "draining"]),
  problems: z.array(z.string()),
  model: z.object({
    id: z.string(),
    sha256: z.string(),
    parameters: z.number(),
    context_tokens: z.number(),
    streams: z.number(),
    device: z.string(),
    /** How memory is divided; null where another server decides that. */
    memory: z.string().nullish(),
    /** `text`, and `image` where it sees; engines before there were pictures tell nothing. */
    input_modalities: z.array(z.string()).default(["text"]),
  }),
  /** The one that answers where none is on trial or named; null for the bare weights. */
  adapter: z.string().nullable(),
  canary: canarySchema,
  /** Changes when it judges by other rules; older engines do not say. */
  policy: z.string().default(""),
  queue: z.object({ waiting: z.number(), running: z.number(), limit: z.number() }),
});

/** `/v1/adapters`. */
export const adaptersSchema = z.object({
  active: z.string().nullable(),
  canary: canarySchema,
  adapters: z.array(
    z.looseObject({
      name: z.string(),
      active: z.boolean(),
      loaded: z.boolean(),
      sha256: z.string().optional(),
      created_at: z.string().optional(),
      parent: z.string().nullish(),
      gate_passed: z.boolean().optional(),
      problem: z.string().optional(),
    }),
  ),
});

/** `/v1/adapters/{name}/activate` and `/deactivate`. */
export const activationSchema = z.object({
  active: z.string().nullable(),
  previous: z.string().nullable(),
  canary: canarySchema,
});

const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    code: z.string().nullish(),
    type: z.string().nullish(),
  }),
});

/** The names that OpenAI's clients know in place of the project's own. */
const OPENAI_CODES = new Map<ErrorCode, string>([
  ["model_unknown", "model_not_found"],
  ["prompt_too_long", "context_length_exceeded"],
  ["api_key_invalid", "invalid_api_key"],
]);

/** The code that stands in an HTTP answer for one of ours. */
export function toWireCode(code: ErrorCode): string {
  return OPENAI_CODES.get(code) ?? code;
}

/** The engine's error as a `CodedError`, or undefined when `body` is none. */
export function parseWireError(body: unknown): CodedError | undefined {
  const parsed = errorSchema.safeParse(body);
  if (!parsed.success) return undefined;
  const { message, code, type } = parsed.data.error;
  return new CodedError(message, { code: fromWireCode(code ?? "", type ?? "") });
}

/** Refusals of the HTTP layer alone (a body too large, no such path) are malformed requests to us. */
function fromWireCode(code: string, type: string): ErrorCode {
  for (const [ours, theirs] of OPENAI_CODES) if (theirs === code) return ours;
  if (isErrorCode(code)) return code;
  return type === "invalid_request_error" ? "invalid_request" : "internal_error";
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
