/**
 * The body of `POST /v1/chat/completions`, by OpenAI's schema with llama.cpp's top_k and min_p added.
 * It knows shapes and ranges, not what is served. Unknown fields are ignored.
 */
import { randomInt } from "node:crypto";
import { z } from "zod";
import type { AnswerShape, Sampling } from "../../backends/backend.ts";
import type { PromptMessage, Tools } from "../../backends/prompt.ts";
import type { GuildPolicy } from "../../moderation/guild-policy.ts";
import type { Priority } from "../fair-queue.ts";
import { type HttpProblem, invalidField } from "../http-problem.ts";
import { metadataSchema, readPolicy } from "../request-metadata.ts";
import { answerShapeSchema, readAnswerShape } from "./answer-shape.ts";
import type { ImageUrls } from "./chat-images.ts";
import { messagesSchema, readMessages } from "./chat-messages.ts";
import { readTools, toolsSchema } from "./chat-tools.ts";

/** A checked request; what the caller left out has its default. */
export type ChatParameters = {
  readonly model: string | undefined;
  readonly messages: readonly PromptMessage[];
  /** What the model may call; undefined: nothing. */
  readonly tools: Tools | undefined;
  /** Whether the answer is a call that the model spells by its shape, as `forceCall` asks it to. */
  readonly isCallForced?: boolean;
  /** The seed is that of the first choice; choice i uses seed + i. */
  readonly sampling: Sampling;
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  /** How many choices, 1 to 16. */
  readonly n: number;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** 0 to 20; undefined: no log-probabilities. */
  readonly topLogprobs: number | undefined;
  /** `background` when the caller asked for the tier `flex`. */
  readonly priority: Priority;
  /** From arrival to the last token, waiting included; undefined: the service's own. */
  readonly deadlineMs: number | undefined;
  /** Whose turn it is in the queue; empty strings when the caller names no one. */
  readonly owner: { readonly guild: string; readonly person: string };
  /** What the answer must look like; undefined: anything. */
  readonly shape: AnswerShape | undefined;
  /** What the place of the conversation does about verdicts. */
  readonly policy: GuildPolicy;
};

/** Zephyr's own recommendation (model card of zephyr-7b-beta), where OpenAI's would be 1, 1 and none. */
const DEFAULTS = { temperature: 0.7, topP: 0.95, topK: 50, minP: 0 };
const SEED_RANGE = 2 ** 32;
const MAX_DEADLINE_MS = 86_400_000;

const within = (low: number, high: number) => {
  const error = `expected a number from ${low} to ${high}`;
  return z.number({ error }).min(low, { error }).max(high, { error }).nullish();
};
const whole = (low: number, high: number) => {
  const error = `expected a whole number from ${low} to ${high}`;
  return z.int({ error }).min(low, { error }).max(high, { error }).nullish();
};
const flag = z.boolean({ error: "expected true or false" }).nullish();
const stopText = z
  .string()
  .min(1, { error: "expected a text of 1 to 256 characters" })
  .max(256, { error: "expected a text of 1 to 256 characters" });

const schema = z.object(
  {
    model: z.string({ error: "expected the name of a model" }).nullish(),
    messages: messagesSchema,
    temperature: within(0, 2),
    top_p: z
      .number({ error: "expected a number above 0, up to 1" })
      .gt(0, { error: "expected a number above 0, up to 1" })
      .max(1, { error: "expected a number above 0, up to 1" })
      .nullish(),
    top_k: whole(0, 1_000_000),
    min_p: within(0, 1),
    seed: z.int({ error: "expected a whole number" }).nullish(),
    max_tokens: whole(1, 1_000_000),
    max_completion_tokens: whole(1, 1_000_000),
    stop: z
      .union([stopText, z.array(stopText).max(16)], {
        error: "expected a text of 1 to 256 characters, or a list of up to 16 of them",
      })
      .nullish(),
    n: whole(1, 16),
    stream: flag,
    stream_options: z
      .object(
        { include_usage: flag },
        { error: "expected an object such as {include_usage: true}" },
      )
      .nullish(),
    logprobs: flag,
    top_logprobs: whole(0, 20),
    service_tier: z
      .enum(["auto", "default", "flex", "priority", "scale"], {
        error: 'expected "auto", "default" or "flex" (background work)',
      })
      .nullish(),
    deadline_ms: whole(1, MAX_DEADLINE_MS),
    ...answerShapeSchema,
    ...toolsSchema,
    metadata: metadataSchema,
  },
  { error: "expected a JSON object" },
);

/**
 * Checks a request's body and cleans its messages' text.
 * @param imageUrls how pictures may come
 * @throws HttpProblem 400 that names the field, what was expected and what came
 */
export function parseChatRequest(body: unknown, imageUrls: ImageUrls = "data"): ChatParameters {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw explain(parsed.error, body);
  const data = parsed.data;
  if (typeof data.top_logprobs === "number" && data.logprobs !== true) {
    throw invalidField("top_logprobs", "expected logprobs: true beside it");
  }
  return {
    model: data.model ?? undefined,
    messages: readMessages(data.messages, imageUrls),
    tools: readTools(data),
    sampling: toSampling(data),
    maxTokens: data.max_completion_tokens ?? data.max_tokens ?? undefined,
    stop: typeof data.stop === "string" ? [data.stop] : (data.stop ?? []),
    n: data.n ?? 1,
    stream: data.stream === true,
    includeUsage: data.stream_options?.include_usage === true,
    priority: data.service_tier === "flex" ? "background" : "interactive",
    deadlineMs: data.deadline_ms ?? undefined,
    topLogprobs: data.logprobs === true ? (data.top_logprobs ?? 0) : undefined,
    owner: { guild: data.metadata?.guild ?? "", person: data.metadata?.person ?? "" },
    shape: readAnswerShape(data),
    policy: readPolicy(data.metadata),
  };
}

/** Any integer as one of the 2^32 seeds that llama.cpp's sampler takes. */
export function toSeed(seed: number): number {
  return ((seed % SEED_RANGE) + SEED_RANGE) % SEED_RANGE;
}

function toSampling(data: z.infer<typeof schema>): Sampling {
  return {
    temperature: data.temperature ?? DEFAULTS.temperature,
    topP: data.top_p ?? DEFAULTS.topP,
    topK: data.top_k ?? DEFAULTS.topK,
    minP: data.min_p ?? DEFAULTS.minP,
    seed: toSeed(data.seed ?? randomInt(SEED_RANGE)),
  };
}

function explain(error: z.ZodError, body: unknown): HttpProblem {
  const issue = error.issues[0];
  const path = issue?.path ?? [];
  const came = describe(path.reduce(step, body));
  return invalidField(
    formatPath(path),
    `${issue?.message ?? "expected another value"}; got ${came}`,
  );
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
}

function step(value: unknown, part: PropertyKey): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([name]) => name === String(part))?.[1];
}

function summary(value: unknown): unknown {
  if (Array.isArray(value)) return "[…]";
  return typeof value === "object" && value !== null ? "{…}" : value;
}

function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  // Lists within lists by the thousand can be parsed, but not written: JSON.stringify runs out of stack.
  const text = JSON.stringify(value, function (this: unknown, key, inner: unknown) {
    return key === "" || this === value ? inner : summary(inner);
  });
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
