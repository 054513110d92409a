/**
 * Keeps pairs from teaching harm. A pair must not make moderated text likelier, nor prefer an answer
 * over a refusal where moderation or the bare model, asked as it is served, objects to the prompt.
 * It knows nothing of how those judge.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";
import { asQuestion } from "#trainer/judge/compare-judge.ts";
import { mapBounded } from "#trainer/judge/generation.ts";
import type { RefusalJudge } from "#trainer/judge/refusal-judge.ts";
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
  const objections = new Map<string, Promise<boolean>>();
  const objectsTo = (pair: EvidencedPair): Promise<boolean> => {
    const known = objections.get(pair.promptKey) ?? isObjectedTo(pair.prompt, screen);
    objections.set(pair.promptKey, known);
    return known;
  };
  const verdicts = await mapBounded(pairs, screen.atOnce, (pair) =>
    verdictOn(pair, screen, objectsTo),
  );
  return {
    pairs: pairs.filter((_, index) => verdicts[index] === "kept"),
    drops: pairs.flatMap((pair, index): Drop[] => {
      const verdict = verdicts[index];
      if (verdict === undefined || verdict === "kept") return [];
      return [{ reason: verdict, candidateIds: pair.evidence.candidateIds }];
    }),
  };
}

async function verdictOn(
  pair: EvidencedPair,
  screen: Screen,
  objectsTo: (pair: EvidencedPair) => Promise<boolean>,
): Promise<DropReason | "kept"> {
  if (!(await screen.allowsAnswer(pair.prompt, pair.chosen))) return "unsafe_chosen";
  if (await screen.refuses(asQuestion(pair.prompt), pair.chosen)) return "kept";
  return (await objectsTo(pair)) ? "prefers_compliance" : "kept";
}

async function isObjectedTo(prompt: readonly ChatMessage[], screen: Screen): Promise<boolean> {
  if (!(await screen.allowsPrompt(prompt))) return true;
  return screen.refuses(asQuestion(prompt), await screen.bareAnswer(prompt));
}
