/**
 * From the rated answers of one prompt to pairs, by people's word alone. Pure.
 * It knows nothing of fresh answers, judges, moderation or caps.
 */
import type { RatedAnswer, RatedPrompt } from "./answers.ts";
import { type Drop, type DropReason, type EvidencedPair, pairId } from "./pair.ts";

/** Points between two answers from which one counts as better: 👍 against 👎, or two stars. */
const PREFERENCE_GAP = 2;
/** Pairs that one prompt may give, so that a popular one does not fill the data set. */
const PAIRS_PER_PROMPT = 8;
/** An answer that scores this or less is disliked, and worth a comparison with a fresh one. */
const DISLIKED = -1;
/** Answers of one prompt that are compared, the best and the worst half; bounds the work. */
const ANSWERS_PER_PROMPT = 64;

/** A disliked answer that no other answer of people's could be compared with. */
export type DislikedAnswer = { readonly prompt: RatedPrompt; readonly answer: RatedAnswer };

type Comparison = {
  readonly better: RatedAnswer;
  readonly worse: RatedAnswer;
  readonly gap: number;
};

/** Compares the answers of each prompt. What is neither in a pair nor disliked is a drop with its reason. */
export function compareAnswers(prompts: readonly RatedPrompt[]): {
  pairs: EvidencedPair[];
  disliked: DislikedAnswer[];
  drops: Drop[];
} {
  const pairs: EvidencedPair[] = [];
  const disliked: DislikedAnswer[] = [];
  const drops: Drop[] = [];
  for (const prompt of prompts) {
    const comparisons = clearComparisons(prompt.answers);
    const chosen = chooseEvenly(comparisons);
    pairs.push(...chosen.map((comparison) => toPair(prompt, comparison)));
    const used = new Set(chosen.flatMap(({ better, worse }) => [better, worse]));
    const comparable = new Set(comparisons.flatMap(({ better, worse }) => [better, worse]));
    for (const answer of prompt.answers) {
      if (used.has(answer)) continue;
      if (!comparable.has(answer) && answer.score <= DISLIKED) disliked.push({ prompt, answer });
      else drops.push(dropOf(answer, prompt, comparable.has(answer)));
    }
  }
  return { pairs, disliked, drops };
}

function dropOf(answer: RatedAnswer, prompt: RatedPrompt, isComparable: boolean): Drop {
  const alone: DropReason = prompt.answers.length > 1 ? "gap_too_small" : "no_counterpart";
  return { reason: isComparable ? "prompt_full" : alone, candidateIds: answer.candidateIds };
}

function clearComparisons(answers: readonly RatedAnswer[]): Comparison[] {
  const half = ANSWERS_PER_PROMPT / 2;
  const considered =
    answers.length <= ANSWERS_PER_PROMPT
      ? answers
      : [...answers.slice(0, half), ...answers.slice(-half)];
  return considered.flatMap((better) =>
    considered
      .map((worse) => ({ better, worse, gap: better.score - worse.score }))
      .filter(({ gap }) => gap >= PREFERENCE_GAP),
  );
}

/** Greedily takes the comparison whose answers are used least so far; the widest gap first. */
function chooseEvenly(comparisons: readonly Comparison[]): Comparison[] {
  const uses = new Map<RatedAnswer, number>();
  const usesOf = ({ better, worse }: Comparison) =>
    (uses.get(better) ?? 0) + (uses.get(worse) ?? 0);
  const left = [...comparisons].sort((a, b) => b.gap - a.gap);
  const chosen: Comparison[] = [];
  while (left.length > 0 && chosen.length < PAIRS_PER_PROMPT) {
    const least = left.reduce((best, one) => (usesOf(one) < usesOf(best) ? one : best));
    left.splice(left.indexOf(least), 1);
    chosen.push(least);
    for (const answer of [least.better, least.worse]) uses.set(answer, (uses.get(answer) ?? 0) + 1);
  }
  return chosen;
}

function toPair(prompt: RatedPrompt, { better, worse }: Comparison): EvidencedPair {
  const raterKeys = ratersOf(better, worse);
  return {
    id: pairId(prompt.key, better.text, worse.text),
    prompt: prompt.messages,
    promptKey: prompt.key,
    chosen: better.text,
    rejected: worse.text,
    weight: weightOf(raterKeys),
    origin: "feedback",
    personKeys: [...new Set([...better.personKeys, ...worse.personKeys])].sort(),
    evidence: {
      candidateIds: [...better.candidateIds, ...worse.candidateIds],
      exchangeIds: [...new Set([...better.exchangeIds, ...worse.exchangeIds])],
      raterKeys,
    },
    atMs: Math.max(better.atMs, worse.atMs),
    votedAtMs: firstVoteMs(better, worse),
  };
}

/** Whose opinions went into these answers, sorted. */
export function ratersOf(...answers: readonly RatedAnswer[]): string[] {
  return [...new Set(answers.flatMap((a) => a.opinions.map(({ raterKey }) => raterKey)))].sort();
}

/** When the first opinion of these answers was given. */
export function firstVoteMs(...answers: readonly RatedAnswer[]): number {
  return Math.min(...answers.flatMap(({ opinions }) => opinions.map(({ atMs }) => atMs)));
}

/** One person's word counts half of what two people share; more than two add nothing. */
export function weightOf(raterKeys: readonly string[]): number {
  return Math.min(1, raterKeys.length / 2);
}
