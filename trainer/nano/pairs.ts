/**
 * Winner/loser pairs for dDPO, judged by rule. Losers are the model's own bad samples where it made
 * some, else built: another topic's answer, repetition, compliance with an unlawful ask, a refusal of
 * a lawful one. Both sides have like lengths, so that length is not what is learnt here.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { PreferencePair } from "../data/preference.ts";
import { SeededRandom } from "../data/random.ts";
import { type AnswerForm, chooseForm, composeAnswer, pick } from "./corpus/answers.ts";
import type { Corpus } from "./corpus/corpus.ts";
import { drawWording } from "./corpus/dialogues.ts";
import { questionsAbout, typedByPerson } from "./corpus/questions.ts";
import type { Topic } from "./corpus/topics.ts";
import { composeRefusal, type UnlawfulCategory } from "./corpus/unlawful.ts";

const UNLAWFUL_SHARE = 0.3;
const LOOKALIKE_SHARE = 0.2;
const SERVED_SHARE = 0.5;

/** Builds `count` pairs; the same seed gives the same ones. */
export function drawPairs(corpus: Corpus, count: number, seed: number): PreferencePair[] {
  const random = SeededRandom.from(seed, 13);
  return Array.from({ length: count }, (_, index) => ({
    id: `pair-${seed}-${index}`,
    weight: 1,
    ...drawPair(corpus, random),
  }));
}

type DrawnPair = Pick<PreferencePair, "prompt" | "chosen" | "rejected">;

function drawPair(corpus: Corpus, random: SeededRandom): DrawnPair {
  const draw = random.uniform();
  if (draw < UNLAWFUL_SHARE) return drawUnlawfulPair(corpus, random);
  const onlyLookalikes = draw < UNLAWFUL_SHARE + LOOKALIKE_SHARE;
  const topics = corpus.topics.filter(({ domain }) => !onlyLookalikes || domain === "lookalikes");
  return drawTopicPair(corpus, pick(topics, random), onlyLookalikes, random);
}

function drawTopicPair(
  corpus: Corpus,
  topic: Topic,
  againstRefusal: boolean,
  random: SeededRandom,
): DrawnPair {
  const question = drawWording(corpus, questionsAbout(topic), random);
  const form = chooseForm(question, random);
  const chosen = composeAnswer(topic, question.answeredBy, form, random);
  const rejected =
    againstRefusal && random.uniform() < 0.6
      ? composeRefusal(lawfulEnough(corpus, random), random)
      : drawBadAnswer(corpus, topic, form, random);
  return { prompt: promptOf(corpus, question.text, random), chosen, rejected };
}

/** Another topic's answer of the same form, or the same sentence again and again. */
function drawBadAnswer(
  corpus: Corpus,
  topic: Topic,
  form: AnswerForm,
  random: SeededRandom,
): string {
  if (form === "full" && random.uniform() < 0.25) {
    const sentence = pick(topic.sentences, random);
    return `${sentence} ${sentence} ${sentence} ${sentence}`;
  }
  const others = corpus.topics.filter(({ kind, id }) => kind === topic.kind && id !== topic.id);
  return composeAnswer(pick(others, random), 0, form, random);
}

function drawUnlawfulPair(corpus: Corpus, random: SeededRandom): DrawnPair {
  const category = pick(corpus.unlawful, random);
  const ask = pick(
    category.asks.filter(({ unseen }) => !unseen),
    random,
  );
  const wording = drawWording(corpus, ask.wordings, random);
  const lookalikes = corpus.topics.filter(({ domain }) => domain === "lookalikes");
  return {
    prompt: promptOf(corpus, wording.text, random),
    chosen: composeRefusal(category, random),
    // What the model really does wrong here: it answers a lawful request that sounds alike.
    rejected: composeAnswer(pick(lookalikes, random), 0, "full", random),
  };
}

function lawfulEnough(corpus: Corpus, random: SeededRandom): UnlawfulCategory {
  return pick(
    corpus.unlawful.filter(({ caring }) => !caring),
    random,
  );
}

function promptOf(corpus: Corpus, text: string, random: SeededRandom): readonly ChatMessage[] {
  const question: ChatMessage = { role: "user", content: typedByPerson(text, random) };
  const [system] = corpus.systemPrompts;
  if (system === undefined || random.uniform() >= SERVED_SHARE) return [question];
  return [{ role: "system", content: system }, question];
}
