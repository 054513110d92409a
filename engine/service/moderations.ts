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
import { imageProblem, MOST_IMAGES } from "./chat/chat-images.ts";
import { MOST_CHARACTERS } from "./chat/chat-messages.ts";
import { inCheckTurn } from "./check-turn.ts";
import type { FairQueue } from "./fair-queue.ts";
import { invalidField } from "./http-problem.ts";
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

/** OpenAI looks at pictures for these alone. */
const OF_PICTURES = /^(self-harm|sexual$|violence)/;

const EXPECTED = `expected a text, a list of up to ${MOST_INPUTS} of them, or a list of {type: "text", text} and {type: "image_url", image_url: {url}}, which is one input`;
const text = z.string({ error: EXPECTED });
const part = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("text"), text }),
    z.object({ type: z.literal("image_url"), image_url: z.object({ url: text }) }),
  ],
  { error: EXPECTED },
);
const schema = z.object(
  {
    input: z.union(
      [text, z.array(text).min(1).max(MOST_INPUTS), z.array(part).min(1).max(MOST_INPUTS)],
      {
        error: EXPECTED,
      },
    ),
    model: z.string({ error: "expected the name of a model" }).nullish(),
    metadata: metadataSchema,
  },
  { error: "expected a JSON object with input" },
);

type ModerationInput = { readonly text: string; readonly images: readonly string[] };

/** A checked request. */
type ModerationRequest = {
  /** Whose turn it is; empty strings when the caller names no one. */
  readonly owner: { readonly guild: string; readonly person: string };
  readonly inputs: readonly ModerationInput[];
  readonly policy: GuildPolicy;
};

/**
 * Checks a request's body.
 * @param seesImages whether there is a check of pictures
 * @throws HttpProblem 400 that names what is wrong
 */
export function parseModerationRequest(body: unknown, seesImages: boolean): ModerationRequest {
  const parsed = schema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const param = String(issue?.path[0] ?? "");
    throw invalidField(param, issue?.message ?? EXPECTED);
  }
  const { input, metadata } = parsed.data;
  const inputs = typeof input === "string" ? [toInput([input])] : toInputs(input);
  if (!seesImages && inputs.some(({ images }) => images.length > 0)) {
    throw invalidField(
      "input",
      "nothing here looks at pictures. The operator can name a server that does (IMAGE_CHECK_URL)",
    );
  }
  const owner = { guild: metadata?.guild ?? "", person: metadata?.person ?? "" };
  return { inputs, owner, policy: readPolicy(metadata) };
}

type Part = z.infer<typeof part>;

/** Texts are inputs of their own; parts make one together, as with OpenAI. */
function toInputs(given: readonly string[] | readonly Part[]): readonly ModerationInput[] {
  const parts = given.filter((one) => typeof one !== "string");
  if (parts.length > 0) return [toInput(parts)];
  return given.map((one) => toInput([one]));
}

function toInput(parts: readonly (string | Part)[]): ModerationInput {
  const texts = parts.flatMap((one) =>
    typeof one === "string" ? [one] : one.type === "text" ? [one.text] : [],
  );
  const images = parts.flatMap((one) =>
    typeof one !== "string" && one.type === "image_url" ? [one.image_url.url] : [],
  );
  const characters = texts.reduce((sum, { length }) => sum + length, 0);
  if (characters > MOST_CHARACTERS) {
    throw invalidField(
      "input",
      `expected at most ${MOST_CHARACTERS} characters, got ${characters}`,
    );
  }
  const problem = images.map((url) => imageProblem(url, "data")).find((one) => one !== undefined);
  if (problem !== undefined) throw invalidField("input", problem);
  if (images.length > MOST_IMAGES) {
    throw invalidField("input", `expected at most ${MOST_IMAGES} pictures, got ${images.length}`);
  }
  return { text: cleanInput(texts.join("\n")), images };
}

/**
 * Judges each input, in turn with what others ask.
 * @throws HttpProblem 429 where too many wait
 * @throws CodedError `guard_failed` when a layer cannot run: no result is not a good one
 */
export async function moderate(
  moderation: Moderation,
  { inputs, owner, policy }: ModerationRequest,
  options: {
    readonly requestId: string;
    readonly signal: AbortSignal;
    readonly checks: FairQueue;
  },
): Promise<object> {
  const results: object[] = [];
  const { requestId: id, signal, checks } = options;
  const claim = { id, owner, priority: "interactive" } as const;
  for (const input of inputs) {
    const check = () => assess(moderation, input, signal);
    const { lexical, found } = await inCheckTurn(checks, claim, { signal, check });
    const decisions = found.map((one) => moderation.decide(policy, one));
    const flagged = lexical !== undefined || decisions.some(({ action }) => action === "block");
    const { text: said, images } = input;
    const types = [
      ...(said === "" && images.length > 0 ? [] : ["text"]),
      ...(images.length > 0 ? ["image"] : []),
    ];
    results.push({ flagged, ...toScores(lexical, found, policy), ...toTypes(types) });
  }
  return { id: `modr-${id}`, model: moderation.layers.join("+"), results };
}

async function assess(
  moderation: Moderation,
  { text: said, images }: ModerationInput,
  signal: AbortSignal,
) {
  try {
    return await moderation.assess(said, signal, images);
  } catch (error) {
    signal.throwIfAborted();
    throw new CodedError("The safety check could not run. Try again in a moment.", {
      code: "guard_failed",
      cause: error,
    });
  }
}

/** Of what each category was looked for in. */
function toTypes(types: readonly string[]): object {
  const of = (name: string) => types.filter((type) => type === "text" || OF_PICTURES.test(name));
  const entries = Object.keys(CATEGORIES).map((name) => [name, of(name)]);
  return { category_applied_input_types: Object.fromEntries(entries) };
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
    hazards: Object.fromEntries(own.map((hazard) => [hazard, scores.get(hazard) ?? 0])),
    probabilities: found[0]?.probabilities ?? null,
  };
}
