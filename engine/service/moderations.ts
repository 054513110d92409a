/**
 * `POST /v1/moderations` in OpenAI's shape (https://platform.openai.com/docs/api-reference/moderations),
 * answered by the engine's own layers. What OpenAI has no name for stands in `hazards`, by Llama Guard's
 * codes. It knows the wire and the policy, not the models.
 */
import { z } from "zod";
import { CodedError } from "../base/errors.ts";
import { HAZARD_CODES } from "../moderation/categories.ts";
import type { GuildPolicy } from "../moderation/guild-policy.ts";
import type { Assessment, Moderation } from "../moderation/moderator.ts";
import { cleanInput } from "../moderation/normalise.ts";
import { HttpProblem } from "./http-problem.ts";
import { metadataSchema, readPolicy } from "./request-metadata.ts";

/** OpenAI's categories, each with the hazards and words that it stands for. */
const CATEGORIES: Readonly<Record<string, readonly string[]>> = {
  harassment: ["S5", "slur"],
  "harassment/threatening": [],
  hate: ["S10", "slur"],
  "hate/threatening": [],
  illicit: ["S2", "S14"],
  "illicit/violent": ["S1", "S9"],
  "self-harm": ["S11"],
  "self-harm/intent": [],
  "self-harm/instructions": [],
  sexual: ["S3", "S4", "S12"],
  "sexual/minors": ["S4"],
  violence: ["S1", "S3"],
  "violence/graphic": [],
};
const OWN_CATEGORIES = ["slur", "blocklist", "jailbreak", "unspecified"];
const MOST_INPUTS = 64;

const EXPECTED = `expected a text, or a list of up to ${MOST_INPUTS} of them; images are not supported`;
const text = z.string({ error: EXPECTED });
const part = z.object({ type: z.literal("text"), text }, { error: EXPECTED });
const schema = z.object(
  {
    input: z.union(
      [
        text,
        z
          .array(z.union([text, part]))
          .min(1)
          .max(MOST_INPUTS),
      ],
      {
        error: EXPECTED,
      },
    ),
    model: z.string({ error: "expected the name of a model" }).nullish(),
    metadata: metadataSchema,
  },
  { error: "expected a JSON object with input" },
);

/** A checked request. */
type ModerationRequest = { readonly inputs: readonly string[]; readonly policy: GuildPolicy };

/** Checks a request's body. @throws HttpProblem 400 that names what is wrong */
export function parseModerationRequest(body: unknown): ModerationRequest {
  const parsed = schema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const param = String(issue?.path[0] ?? "");
    const place = param === "" ? "The body" : param;
    throw new HttpProblem(`${place}: ${issue?.message ?? EXPECTED}.`, {
      status: 400,
      code: "invalid_request",
      param,
    });
  }
  const { input, metadata } = parsed.data;
  const inputs = typeof input === "string" ? [input] : input;
  return {
    inputs: inputs.map((one) => cleanInput(typeof one === "string" ? one : one.text)),
    policy: readPolicy(metadata),
  };
}

/**
 * Judges each text.
 * @throws CodedError `guard_failed` when a layer cannot run: no result is not a good one
 */
export async function moderate(
  moderation: Moderation,
  { inputs, policy }: ModerationRequest,
  options: { readonly requestId: string; readonly signal: AbortSignal },
): Promise<object> {
  const results: object[] = [];
  for (const input of inputs) {
    const { lexical, found } = await assess(moderation, input, options.signal);
    const decisions = found.map((one) => moderation.decide(policy, one));
    const flagged = lexical !== undefined || decisions.some(({ action }) => action === "block");
    results.push({ flagged, ...toScores(lexical, found, policy) });
  }
  return { id: `modr-${options.requestId}`, model: moderation.layers.join("+"), results };
}

async function assess(moderation: Moderation, input: string, signal: AbortSignal) {
  try {
    return await moderation.assess(input, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new CodedError("The safety check could not run. Try again in a moment.", {
      code: "guard_failed",
      cause: error,
    });
  }
}

function toScores(
  lexical: string | undefined,
  found: readonly Assessment[],
  policy: GuildPolicy,
): object {
  const scores = new Map<string, number>();
  const raise = (hazard: string, score: number) =>
    scores.set(hazard, Math.max(score, scores.get(hazard) ?? 0));
  if (lexical !== undefined) raise(lexical, 1);
  for (const { hazards, probabilities } of found) {
    const named = hazards.length === 0 ? ["unspecified"] : hazards;
    for (const hazard of named) raise(hazard, 1 - probabilities.safe);
  }
  const isNamed = (hazard: string) => (scores.get(hazard) ?? 0) >= policy.threshold;
  const scoreOf = (hazards: readonly string[]) =>
    Math.max(0, ...hazards.map((hazard) => scores.get(hazard) ?? 0));
  const entries = Object.entries(CATEGORIES);
  const own = [...HAZARD_CODES, ...OWN_CATEGORIES];
  return {
    categories: Object.fromEntries(entries.map(([name, of]) => [name, of.some(isNamed)])),
    category_scores: Object.fromEntries(entries.map(([name, of]) => [name, scoreOf(of)])),
    category_applied_input_types: Object.fromEntries(entries.map(([name]) => [name, ["text"]])),
    hazards: Object.fromEntries(own.map((hazard) => [hazard, scores.get(hazard) ?? 0])),
    probabilities: found[0]?.probabilities ?? null,
  };
}
