/**
 * Disliked answers against fresh ones. A fresh answer comes from the bare weights, never from an
 * adapter: what an adapter learnt from somebody who has since deleted it must not come back this way.
 * It knows nothing of how answers are generated or judged.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { CompareJudge } from "#trainer/judge/compare-judge.ts";
import { type GeneratedAnswer, mapBounded } from "#trainer/judge/generation.ts";
import { type DislikedAnswer, firstVoteMs, ratersOf } from "./compare.ts";
import { type Drop, type DropReason, type EvidencedPair, pairId } from "./pair.ts";
import { isPlainlyBetter } from "./plain-evidence.ts";

/** What the comparison needs of the world. */
export type FreshAnswers = {
  /** An answer of the bare weights, the same for the same seed. */
  readonly sample: (messages: readonly ChatMessage[], seed: number) => Promise<GeneratedAnswer>;
  readonly judge: CompareJudge;
  /** Comparisons a night. */
  readonly limit: number;
  readonly atOnce: number;
};

/** That a fresh answer is better weighs less by a judge's word, or by plain evidence, than by people's. */
const FRESH_WEIGHT = 0.5;

/** Pairs each disliked answer with a fresh one that is plainly better or that the judge prefers; newest first, up to the limit. */
export async function compareWithFresh(
  disliked: readonly DislikedAnswer[],
  fresh: FreshAnswers,
): Promise<{ pairs: EvidencedPair[]; drops: Drop[] }> {
  const newestFirst = [...disliked].sort((a, b) => b.answer.atMs - a.answer.atMs);
  const outcomes = await mapBounded(newestFirst.slice(0, fresh.limit), fresh.atOnce, (one) =>
    compareOne(one, fresh),
  );
  const beyond = newestFirst
    .slice(fresh.limit)
    .map(({ answer }): Drop => ({ reason: "fresh_limit", candidateIds: answer.candidateIds }));
  return {
    pairs: outcomes.filter((outcome) => "id" in outcome),
    drops: [...outcomes.filter((outcome) => "reason" in outcome), ...beyond],
  };
}

async function compareOne(
  { prompt, answer }: DislikedAnswer,
  fresh: FreshAnswers,
): Promise<EvidencedPair | Drop> {
  const drop = (reason: DropReason): Drop => ({ reason, candidateIds: answer.candidateIds });
  const sampled = await fresh.sample(prompt.messages, seedOf(prompt.key));
  if (!sampled.ended || sampled.text === "" || sampled.text === answer.text) {
    return drop("fresh_same");
  }
  const isPlain = isPlainlyBetter(sampled.text, answer.text);
  const isPreferred =
    isPlain || (await fresh.judge(prompt.messages, sampled.text, answer.text)) === "first";
  if (!isPreferred) return drop("fresh_not_preferred");
  return {
    id: pairId(prompt.key, sampled.text, answer.text),
    prompt: prompt.messages,
    promptKey: prompt.key,
    chosen: sampled.text,
    rejected: answer.text,
    weight: FRESH_WEIGHT,
    origin: isPlain ? "plain" : "judged",
    personKeys: answer.personKeys,
    evidence: {
      candidateIds: answer.candidateIds,
      exchangeIds: answer.exchangeIds,
      raterKeys: ratersOf(answer),
    },
    atMs: answer.atMs,
    votedAtMs: firstVoteMs(answer),
  };
}

/** The same prompt gets the same draw each night, so that a dataset can be made again. */
function seedOf(promptKey: string): number {
  return Number.parseInt(promptKey.slice(0, 7), 16);
}
