/**
 * Composes answers from a topic's sentences: a brief form of one sentence, a full form of all four.
 * Wording varies by a seeded draw; what is said does not.
 */
import type { SeededRandom } from "../../data/random.ts";
import type { AskedQuestion } from "./questions.ts";
import type { Topic } from "./topics.ts";

/** Share of brief answers where the question leaves the length open. */
export const BRIEF_SHARE = 0.22;
const OPENER_SHARE = 0.12;
const OPENERS = ["Sure!", "Good question.", "Gladly!", "Of course."];
const ORDERLY_SHARE = 0.9;

/** Which of the two forms an answer has. */
export type AnswerForm = "brief" | "full";

/** The form that a question asks for, or a draw where it leaves that open. */
export function chooseForm({ wish }: AskedQuestion, random: SeededRandom): AnswerForm {
  if (wish !== "any") return wish;
  return random.uniform() < BRIEF_SHARE ? "brief" : "full";
}

/**
 * The answer in the given form: about 12 to 18 words, or 40 to 60.
 * @param answeredBy the sentence that goes first
 */
export function composeAnswer(
  topic: Topic,
  answeredBy: number,
  form: AnswerForm,
  random: SeededRandom,
): string {
  const first = topic.sentences[answeredBy] ?? "";
  const opener = random.uniform() < OPENER_SHARE ? [pick(OPENERS, random)] : [];
  if (form === "brief") return [...opener, first].join(" ");
  return [...opener, first, ...following(topic, answeredBy, random)].join(" ");
}

/** What there is left to say after one sentence was said. */
export function composeRest(topic: Topic, answeredBy: number, random: SeededRandom): string {
  return following(topic, answeredBy, random).join(" ");
}

/** The topic's sentences as a paragraph, for pretraining. */
export function composeParagraph(topic: Topic, random: SeededRandom): string {
  const order =
    random.uniform() < ORDERLY_SHARE ? topic.sentences : random.shuffled(topic.sentences);
  return order.join(" ");
}

/** One of a list. @throws RangeError when it is empty */
export function pick<T>(items: readonly T[], random: SeededRandom): T {
  const item = items[random.below(Math.max(1, items.length))];
  if (item === undefined) throw new RangeError("expected at least one item to pick from");
  return item;
}

/** The definition comes early, since the other sentences may call their subject "it". */
function following(topic: Topic, answeredBy: number, random: SeededRandom): string[] {
  const [definition, ...details] = topic.sentences.filter((_, index) => index !== answeredBy);
  if (definition === undefined) return [];
  if (random.uniform() < ORDERLY_SHARE) return [definition, ...details];
  return answeredBy === 0
    ? random.shuffled([definition, ...details])
    : [definition, ...random.shuffled(details)];
}
