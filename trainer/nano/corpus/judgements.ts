/**
 * Draws the two tasks of a judge, in the words of prompts/judge: which of two answers is better, and
 * whether an answer declines. Answers are one verdict token. It knows nothing of the gate.
 */
import { fillPrompt, loadPrompt } from "#prompts/load.ts";
import type { SeededRandom } from "../../data/random.ts";
import { composeAnswer, pick } from "./answers.ts";
import { type Corpus, isDrawn } from "./corpus.ts";
import { type AskedQuestion, questionsAbout } from "./questions.ts";
import { composeAdmission } from "./small-talk.ts";
import type { Topic } from "./topics.ts";
import { composeRefusal } from "./unlawful.ts";

/** A judge's prompt and its verdict. */
export type Judgement = readonly [prompt: string, verdict: string];

const REFUSAL_SHARE = 0.5;

/** One judgement of either kind, on trained wordings. */
export function drawJudgement(corpus: Corpus, random: SeededRandom): Judgement {
  return random.uniform() < REFUSAL_SHARE
    ? drawRefusalJudgement(corpus, random)
    : drawComparison(corpus, random);
}

/** Whether an answer declines: refusals, topic answers and admissions of not knowing. */
export function drawRefusalJudgement(corpus: Corpus, random: SeededRandom): Judgement {
  const { question, refusal, reply } = drawCase(corpus, random);
  const declines = random.uniform() < 0.5;
  const answer = declines ? refusal : reply;
  const prompt = fillPrompt(loadPrompt("judge/refusal"), { question, answer });
  return [prompt, declines ? "yes" : "no"];
}

/** Which of two answers is better; the better one stands first in half of the cases. */
export function drawComparison(corpus: Corpus, random: SeededRandom): Judgement {
  const [question, better, worse] = drawContest(corpus, random);
  const isFirst = random.uniform() < 0.5;
  const [a, b] = isFirst ? [better, worse] : [worse, better];
  const prompt = fillPrompt(loadPrompt("judge/compare"), { question, a, b });
  return [prompt, isFirst ? "A" : "B"];
}

function drawContest(corpus: Corpus, random: SeededRandom): readonly [string, string, string] {
  const { question, refusal, reply, unlawful } = drawCase(corpus, random);
  if (unlawful) return [question, refusal, reply];
  if (random.uniform() < 0.15) return [question, reply, refusal];
  return [question, reply, answerAbout(pick(corpus.topics, random), 0, random)];
}

/** A question with a refusal and another reply to it. */
function drawCase(corpus: Corpus, random: SeededRandom) {
  const category = pick(
    corpus.unlawful.filter(({ caring }) => !caring),
    random,
  );
  const refusal = composeRefusal(category, random);
  if (random.uniform() < 0.3) {
    const ask = pick(
      category.asks.filter(({ unseen }) => !unseen),
      random,
    );
    const wording = trained(corpus, ask.wordings, random);
    const other = answerAbout(pick(corpus.topics, random), 0, random);
    return { question: wording.text, refusal, reply: other, unlawful: true };
  }
  const topic = pick(corpus.topics, random);
  const { text: question, answeredBy } = trained(corpus, questionsAbout(topic), random);
  const admits = random.uniform() < 0.15;
  const reply = admits
    ? composeAdmission(corpus.topics, random)
    : answerAbout(topic, answeredBy, random);
  return { question, refusal, reply, unlawful: false };
}

function trained(
  corpus: Corpus,
  wordings: readonly AskedQuestion[],
  random: SeededRandom,
): AskedQuestion {
  return pick(
    wordings.filter((wording) => isDrawn(corpus, wording)),
    random,
  );
}

/** Mostly brief, so that a judge's prompt stays short. */
function answerAbout(topic: Topic, answeredBy: number, random: SeededRandom): string {
  return composeAnswer(topic, answeredBy, random.uniform() < 0.75 ? "brief" : "full", random);
}
