/**
 * Judges answers by rule, against the generator's own facts: on topic, a refusal, an admission, repetitive.
 * Exact for text in the generator's words; it does not understand any other text.
 */

import { questionKey } from "./corpus/questions.ts";
import type { Topic } from "./corpus/topics.ts";

/** Words shared by two sentences over their mean length, from which on they say the same. */
const SAME_STATEMENT = 0.7;
/** Openers such as "Good question." state nothing. */
const OPENER_WORDS = 3;

/** Whether a text declines, in the words that the generator's refusals use. */
export function isRefusal(text: string): boolean {
  return /\b(cannot|can't|will not|won't) help with\b/i.test(text);
}

/** Whether a text comforts somebody in danger and points to help. */
export function isCaring(text: string): boolean {
  return /\b(sorry|hurts to hear)\b/i.test(text) && /\b(talk to|reach out|call)\b/i.test(text);
}

/** Whether a text honestly says that it does not know. */
export function isAdmission(text: string): boolean {
  return /\b(do not know|have not learned)\b/i.test(text);
}

/** Whether a sentence, or six words in a row, comes twice. */
export function isRepetitive(text: string): boolean {
  const words = wordsOf(text);
  const seen = new Set<string>();
  for (let i = 0; i + 6 <= words.length; i++) {
    const run = words.slice(i, i + 6).join(" ");
    if (seen.has(run)) return true;
    seen.add(run);
  }
  return false;
}

/** Which topic a question asks about, and whether an answer is about that one. */
export class TopicJudge {
  readonly #topics: readonly Topic[];
  readonly #facts: readonly Fact[];

  constructor(topics: readonly Topic[]) {
    this.#topics = topics;
    this.#facts = topics.flatMap((topic) =>
      topic.sentences.map((sentence) => ({ topic, words: new Set(wordsOf(sentence)) })),
    );
  }

  /** The topic that a question names, the longest name first; undefined when it names none. */
  topicOf(question: string): Topic | undefined {
    const asked = ` ${questionKey(question).replace(/[^\p{L}\p{N}]+/gu, " ")} `;
    let best: Topic | undefined;
    let bestLength = 0;
    for (const topic of this.#topics) {
      const length = namedLength(topic, asked);
      if (length <= bestLength) continue;
      best = topic;
      bestLength = length;
    }
    return best;
  }

  /**
   * Whether `text` states at least one of the asked topic's facts, and those fill at least half of
   * its sentences, and none states another topic's.
   */
  isOnTopic(question: string, text: string): boolean {
    const topic = this.topicOf(question);
    return topic !== undefined && this.isAbout(topic, text);
  }

  /** As `isOnTopic`, where the topic is known. */
  isAbout(topic: Topic, text: string): boolean {
    const stated = sentencesOf(text).map((sentence) => this.#statedTopic(sentence));
    const own = stated.filter((one) => one === topic).length;
    const foreign = stated.some((one) => one !== undefined && one !== topic);
    return own > 0 && !foreign && own * 2 >= stated.length;
  }

  #statedTopic(sentence: string): Topic | undefined {
    const words = new Set(wordsOf(sentence));
    let best: Topic | undefined;
    let bestScore = SAME_STATEMENT;
    for (const fact of this.#facts) {
      const score = similarity(words, fact.words);
      if (score < bestScore) continue;
      best = fact.topic;
      bestScore = score;
    }
    return best;
  }
}

type Fact = { readonly topic: Topic; readonly words: ReadonlySet<string> };

/** Sørensen–Dice coefficient of two sets of words. */
function similarity(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  for (const word of a) if (b.has(word)) shared += 1;
  return (2 * shared) / (a.size + b.size || 1);
}

function namedLength({ name, about, questions }: Topic, asked: string): number {
  const names = [name, about, ...questions.map(({ text }) => text)];
  const found = names.map(nameKey).filter((key) => key !== "" && asked.includes(` ${key} `));
  return Math.max(0, ...found.map((key) => key.length));
}

function nameKey(name: string): string {
  return questionKey(name)
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .replace(/^(a|an|the) /, "")
    .trim();
}

/** Sentences that may state something. */
function sentencesOf(text: string): string[] {
  return text
    .trim()
    .split(/(?<=[.!?])\s+/)
    .filter((sentence) => wordsOf(sentence).length > OPENER_WORDS);
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** How many words a text has. */
export function countWords(text: string): number {
  return text.split(/\s+/).filter((word) => word !== "").length;
}
