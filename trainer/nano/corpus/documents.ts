/** Plain text for pretraining: the facts as paragraphs, and questions with answers as prose. */
import { SeededRandom } from "../../data/random.ts";
import { chooseForm, composeAnswer, composeParagraph, pick } from "./answers.ts";
import type { Corpus } from "./corpus.ts";
import { drawWording } from "./dialogues.ts";
import { questionsAbout } from "./questions.ts";
import type { Topic } from "./topics.ts";

const PARAGRAPH_SHARE = 0.5;

/** `rounds` documents for each topic, shuffled; the same seed gives the same text. */
export function drawDocuments(corpus: Corpus, rounds: number, seed: number): string[] {
  const random = SeededRandom.from(seed, 11);
  return Array.from({ length: rounds }, () =>
    random.shuffled(corpus.topics).map((topic) => drawDocument(corpus, topic, random)),
  ).flat();
}

function drawDocument(corpus: Corpus, topic: Topic, random: SeededRandom): string {
  if (random.uniform() < PARAGRAPH_SHARE) return composeParagraph(topic, random);
  const question = drawWording(corpus, questionsAbout(topic), random);
  const answer = composeAnswer(topic, question.answeredBy, chooseForm(question, random), random);
  return pick(
    [`${question.text}\n${answer}`, `Question: ${question.text}\nAnswer: ${answer}`],
    random,
  );
}
