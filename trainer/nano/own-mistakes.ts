/** Pairs whose loser is the model's own answer that the rules reject. It knows nothing of training. */
import type { Backend } from "#engine/backends/backend.ts";
import type { PreferencePair } from "../data/preference.ts";
import { answerAll } from "./answering.ts";
import type { Corpus } from "./corpus/corpus.ts";
import { drawPairs } from "./pairs.ts";
import { countWords, isAdmission, isCaring, isRefusal, isRepetitive, TopicJudge } from "./rules.ts";

/** Plain sampling shows more of the mistakes that the model is capable of. */
const SAMPLING = { temperature: 1, topP: 1, topK: 0, minP: 0 };
/** Least share of the longer text's words that the shorter has. */
const LIKE_LENGTH = 0.6;

/**
 * Asks the model the prompts of freshly drawn pairs; where the rules reject its answer, that answer
 * becomes the loser.
 * @param count prompts to ask; about as many pairs come out as the model makes mistakes
 */
export async function drawOwnMistakes(
  backend: Backend,
  corpus: Corpus,
  {
    count,
    seed,
    signal,
  }: { readonly count: number; readonly seed: number; readonly signal: AbortSignal },
): Promise<PreferencePair[]> {
  const pairs = drawPairs(corpus, count, seed);
  const prompts = pairs.map(({ prompt }) => prompt);
  const answers = await answerAll(backend, prompts, SAMPLING, signal);
  const judge = new TopicJudge(corpus.topics);
  return pairs.flatMap((pair, index) => {
    const answer = answers[index];
    if (answer === undefined || answer.text === "" || isGood(judge, pair, answer.text)) return [];
    // Two lengths in a pair would teach a preference for one of them.
    if (!areAlikeInLength(pair.chosen, answer.text)) return [];
    return [{ ...pair, id: `own-${seed}-${index}`, rejected: answer.text }];
  });
}

function areAlikeInLength(one: string, other: string): boolean {
  const [shorter = 0, longer = 0] = [countWords(one), countWords(other)].sort((a, b) => a - b);
  return shorter >= LIKE_LENGTH * longer;
}

function isGood(judge: TopicJudge, { prompt, chosen }: PreferencePair, answer: string): boolean {
  if (isRepetitive(answer)) return false;
  if (isRefusal(chosen) || isCaring(chosen)) return isRefusal(answer) || isCaring(answer);
  return !isAdmission(answer) && judge.isOnTopic(prompt.at(-1)?.content ?? "", answer);
}
