/**
 * Whole answers and first-token probabilities from a backend in this process, many at a time.
 * It knows nothing of prompts' meaning, people or adapters' merits.
 */
import type { Backend, ChatMessage, GenerateEvent } from "#engine/backends/backend.ts";
import { isCoded } from "#engine/base/errors.ts";

/** The part of a backend that answers. */
export type Answering = Pick<Backend, "generate"> & {
  /** How many answers at once are worth asking for. */
  readonly info: Pick<Backend["info"], "streams">;
};

/** What to generate. */
export type AnswerRequest = {
  readonly messages: readonly ChatMessage[];
  /** An adapter loaded into the backend; null for the bare weights. */
  readonly adapter: string | null;
  /** 0 is greedy; otherwise the service's default nucleus applies, too. */
  readonly temperature: number;
  readonly seed: number;
  readonly maxTokens: number;
};

/** A whole answer. */
export type GeneratedAnswer = {
  readonly text: string;
  /** Whether the model ended it; false where `maxTokens` did. */
  readonly ended: boolean;
  readonly tokens: number;
};

type Verdicts = { readonly yes: string; readonly no: string };

/** As people get their answers: the defaults of the service. */
export const SERVED_TEMPERATURE = 0.7;
const SERVED_NUCLEUS = { topP: 0.95, topK: 50, minP: 0 };
const ALL_TOKENS = { topP: 1, topK: 0, minP: 0 };
const NO_ANSWER: GeneratedAnswer = { text: "", ended: false, tokens: 0 };
const TOP_LOGPROBS = 20;
/** Below this share of probability on the two verdicts together, the model gave neither. */
const VERDICT_MASS = 0.05;

/**
 * Generates one answer; a prompt that is too long for the context gets none.
 * @throws CodedError as `Backend.generate` otherwise
 */
export async function generateAnswer(
  backend: Answering,
  request: AnswerRequest,
  signal: AbortSignal,
): Promise<GeneratedAnswer> {
  return unlessTooLong(() => readAnswer(backend, request, signal), NO_ANSWER);
}

async function readAnswer(
  backend: Answering,
  request: AnswerRequest,
  signal: AbortSignal,
): Promise<GeneratedAnswer> {
  let text = "";
  for await (const event of run(backend, request, signal)) {
    if (event.type === "text") text += event.text;
    if (event.type !== "end") continue;
    signal.throwIfAborted();
    return { text: text.trim(), ended: event.reason === "stop", tokens: event.completionTokens };
  }
  throw new Error("the backend ended without an end event");
}

/**
 * How likely the first token of the bare model's answer says `yes` rather than `no`.
 * @param question the whole judge's prompt, as one user turn
 * @returns P(yes) / (P(yes) + P(no)); undefined when the model starts with neither, or the question
 *   is too long for it
 */
export async function firstTokenOdds(
  backend: Answering,
  question: string,
  verdicts: Verdicts,
  signal: AbortSignal,
): Promise<number | undefined> {
  return unlessTooLong(() => readOdds(backend, question, verdicts, signal), undefined);
}

async function readOdds(
  backend: Answering,
  question: string,
  verdicts: Verdicts,
  signal: AbortSignal,
): Promise<number | undefined> {
  const request: AnswerRequest = {
    messages: [{ role: "user", content: question }],
    adapter: null,
    temperature: 0,
    seed: 0,
    maxTokens: 1,
  };
  for await (const event of run(backend, request, signal, TOP_LOGPROBS)) {
    const first = event.type === "text" ? event.logprobs?.[0] : undefined;
    if (first !== undefined) return oddsOf(first.top, verdicts);
  }
  signal.throwIfAborted();
  return undefined;
}

/** Applies `work` to each item, at most `limit` at once, and keeps the order. The first failure ends it. */
export async function mapBounded<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      const item = items[index];
      if (item !== undefined) results[index] = await work(item, index);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  } finally {
    next = items.length;
  }
  return results;
}

async function unlessTooLong<Result, Otherwise>(
  work: () => Promise<Result>,
  otherwise: Otherwise,
): Promise<Result | Otherwise> {
  try {
    return await work();
  } catch (error) {
    if (isCoded(error, "prompt_too_long")) return otherwise;
    throw error;
  }
}

function run(
  backend: Answering,
  { messages, adapter, temperature, seed, maxTokens }: AnswerRequest,
  signal: AbortSignal,
  topLogprobs?: number,
): AsyncIterable<GenerateEvent> {
  return backend.generate({
    messages,
    adapter,
    maxTokens,
    signal,
    stop: [],
    sampling: { temperature, ...(temperature === 0 ? ALL_TOKENS : SERVED_NUCLEUS), seed },
    ...(topLogprobs === undefined ? {} : { topLogprobs }),
  });
}

function oddsOf(
  top: readonly { readonly token: string; readonly logprob: number }[],
  { yes, no }: Verdicts,
): number | undefined {
  const mass = (verdict: string, other: string) =>
    top
      .filter(({ token }) => begins(verdict, token) && !begins(other, token))
      .reduce((total, { logprob }) => total + Math.exp(logprob), 0);
  const [forYes, forNo] = [mass(yes, no), mass(no, yes)];
  return forYes + forNo < VERDICT_MASS ? undefined : forYes / (forYes + forNo);
}

/** Whether a token is the verdict or its beginning, as `y` or ` yes` are of `yes`. */
function begins(verdict: string, token: string): boolean {
  const said = token.trim().toLowerCase();
  return said !== "" && verdict.toLowerCase().startsWith(said);
}
