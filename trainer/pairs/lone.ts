/**
 * Answers that were liked or disliked with nothing to compare them to: KTO learns from them, DPO cannot. Pure.
 * It knows nothing of what may be learnt.
 */
import type { RatedCompletion } from "../data/preference.ts";
import type { RatedAnswer, RatedPrompt } from "./answers.ts";
import { ratersOf, weightOf } from "./compare.ts";
import { type Drop, type EvidencedPair, pairId } from "./pair.ts";

/** A rated answer with what it rests on. */
export type LoneAnswer = RatedCompletion &
  Pick<EvidencedPair, "promptKey" | "personKeys" | "evidence" | "atMs">;

/** Points from which an answer counts as liked, and below which with a minus as disliked: one thumb. */
const CLEAR = 1;

/** The clearly rated answers that stand in none of the pairs. */
export function loneAnswers(
  prompts: readonly RatedPrompt[],
  pairs: readonly EvidencedPair[],
): readonly LoneAnswer[] {
  const paired = new Set(pairs.flatMap(({ evidence }) => evidence.candidateIds));
  return prompts.flatMap((prompt) =>
    prompt.answers
      .filter(({ score }) => Math.abs(score) >= CLEAR)
      .filter(({ candidateIds }) => !candidateIds.some((id) => paired.has(id)))
      .map((answer) => toLone(prompt, answer)),
  );
}

/** The drops that none of these answers has made good. */
export function dropsBeside(drops: readonly Drop[], lone: readonly LoneAnswer[]): readonly Drop[] {
  const used = new Set(lone.flatMap(({ evidence }) => evidence.candidateIds));
  return drops.filter(({ candidateIds }) => !candidateIds.some((id) => used.has(id)));
}

function toLone(prompt: RatedPrompt, answer: RatedAnswer): LoneAnswer {
  const raterKeys = ratersOf(answer);
  const isDesirable = answer.score > 0;
  return {
    id: pairId(prompt.key, answer.text, isDesirable ? "liked" : "disliked"),
    prompt: prompt.messages,
    promptKey: prompt.key,
    completion: answer.text,
    isDesirable,
    weight: weightOf(raterKeys),
    personKeys: answer.personKeys,
    evidence: { candidateIds: answer.candidateIds, exchangeIds: answer.exchangeIds, raterKeys },
    atMs: answer.atMs,
  };
}
