/**
 * Keeps pairs from teaching harm. A pair must not make moderated text likelier, nor prefer an answer
 * over a refusal where moderation or the bare model, asked as it is served, objects to the prompt.
 * It knows nothing of how those judge.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";
import { asQuestion } from "#trainer/judge/compare-judge.ts";
import { mapBounded } from "#trainer/judge/generation.ts";
import type { RefusalJudge } from "#trainer/judge/refusal-judge.ts";
import type { LoneAnswer } from "./lone.ts";
import type { Drop, DropReason, EvidencedPair } from "./pair.ts";

/** What the screen needs of the world. */
export type Screen = {
  /** Whether moderation lets this text stand as an answer to the prompt. */
  readonly allowsAnswer: (messages: readonly ChatMessage[], answer: string) => Promise<boolean>;
  /** Whether moderation lets the prompt itself pass. */
  readonly allowsPrompt: (messages: readonly ChatMessage[]) => Promise<boolean>;
  /** The bare model's likeliest answer with the system prompt as served. */
  readonly bareAnswer: (messages: readonly ChatMessage[]) => Promise<string>;
  readonly refuses: RefusalJudge;
  readonly atOnce: number;
};

/** Drops the pairs that must not be learnt from. */
export async function screenPairs(
  pairs: readonly EvidencedPair[],
  screen: Screen,
): Promise<{ pairs: EvidencedPair[]; drops: Drop[] }> {
  const objectsTo = rememberObjections(screen);
  const { kept, drops } = await screenAll(pairs, screen, async (pair) => {
    if (!(await screen.allowsAnswer(pair.prompt, pair.chosen))) return "unsafe_chosen";
    if (await screen.refuses(asQuestion(pair.prompt), pair.chosen)) return "kept";
    return (await objectsTo(pair)) ? "prefers_compliance" : "kept";
  });
  return { pairs: kept, drops };
}

/**
 * Drops the single answers that must not be learnt from: a liked one as a pair's better answer would be, and a
 * disliked refusal where refusing was right.
 */
export async function screenLone(
  lone: readonly LoneAnswer[],
  screen: Screen,
): Promise<{ lone: LoneAnswer[]; drops: Drop[] }> {
  const objectsTo = rememberObjections(screen);
  const { kept, drops } = await screenAll(lone, screen, async (answer) => {
    const { prompt, completion, isDesirable } = answer;
    if (isDesirable && !(await screen.allowsAnswer(prompt, completion))) return "unsafe_chosen";
    const isRefusal = await screen.refuses(asQuestion(prompt), completion);
    if (isRefusal === isDesirable) return "kept";
    return (await objectsTo(answer)) ? "prefers_compliance" : "kept";
  });
  return { lone: kept, drops };
}

/** What is screened, and what a prompt is known by. */
type Screened = Pick<EvidencedPair, "prompt" | "promptKey" | "evidence">;

async function screenAll<T extends Screened>(
  items: readonly T[],
  { atOnce }: Screen,
  verdictOn: (item: T) => Promise<DropReason | "kept">,
): Promise<{ kept: T[]; drops: Drop[] }> {
  const verdicts = await mapBounded(items, atOnce, verdictOn);
  return {
    kept: items.filter((_, index) => verdicts[index] === "kept"),
    drops: items.flatMap((item, index): Drop[] => {
      const verdict = verdicts[index];
      if (verdict === undefined || verdict === "kept") return [];
      return [{ reason: verdict, candidateIds: item.evidence.candidateIds }];
    }),
  };
}

/** Whether moderation or the bare model objects to a prompt, asked once for each. */
function rememberObjections(screen: Screen): (item: Screened) => Promise<boolean> {
  const objections = new Map<string, Promise<boolean>>();
  return ({ prompt, promptKey }) => {
    const known = objections.get(promptKey) ?? isObjectedTo(prompt, screen);
    objections.set(promptKey, known);
    return known;
  };
}

async function isObjectedTo(prompt: readonly ChatMessage[], screen: Screen): Promise<boolean> {
  if (!(await screen.allowsPrompt(prompt))) return true;
  return screen.refuses(asQuestion(prompt), await screen.bareAnswer(prompt));
}
