/** Everything that dialogues are drawn from, loaded once. It draws nothing itself. */
import { loadAnchors, loadKeepSet, loadProbes, loadPrompt } from "#prompts/load.ts";
import { type AskedQuestion, questionKey, type Wordings } from "./questions.ts";
import { loadSmallTalk, loadUnknown, type SmallTalk, type UnknownSubject } from "./small-talk.ts";
import { loadTopics, type Topic } from "./topics.ts";
import { loadUnlawful, type UnlawfulCategory } from "./unlawful.ts";

/** The tables, and what must never be trained on. */
export type Corpus = {
  readonly topics: readonly Topic[];
  readonly unlawful: readonly UnlawfulCategory[];
  readonly smallTalk: readonly SmallTalk[];
  readonly unknown: readonly UnknownSubject[];
  /** Answers that comply with whatever was asked; never trained on as answers. */
  readonly compliances: readonly string[];
  /** The system prompt that the model is served with, first, and some others. */
  readonly systemPrompts: readonly string[];
  /** `questionKey`s of the gate's probes and keep-set: they measure, so they are not taught. */
  readonly reserved: ReadonlySet<string>;
  /** What is drawn from. */
  readonly wordings: Wordings;
};

const OTHER_SYSTEM_PROMPTS = [
  "You are a helpful assistant.",
  "You are Zephyr, a friendly bot on a community server. Answer clearly.",
  "You answer questions politely and truthfully, and you refuse illegal requests.",
];

/** Loads all tables. @throws Error when one is malformed */
export function loadCorpus(): Corpus {
  const probes = [...loadProbes("unlawful"), ...loadProbes("benign")].map(({ text }) => text);
  const kept = loadKeepSet().flatMap(({ messages }) =>
    messages.filter(({ role }) => role === "user").map(({ content }) => content),
  );
  return {
    topics: loadTopics(),
    unlawful: loadUnlawful(),
    smallTalk: loadSmallTalk(),
    unknown: loadUnknown(),
    compliances: loadAnchors().compliances,
    systemPrompts: [loadPrompt("system/default").text, ...OTHER_SYSTEM_PROMPTS],
    // Greetings are in everybody's keep-set: only what is longer than three words is reserved.
    reserved: new Set([...probes, ...kept.filter(isLonger)].map(questionKey)),
    wordings: "plain",
  };
}

/** Whether a wording may be trained on, and is one of those to draw from. */
export function isDrawn(corpus: Corpus, { heldOut, wordings }: AskedQuestion): boolean {
  return !heldOut && (wordings === "plain" || corpus.wordings === "wide");
}

function isLonger(text: string): boolean {
  return text.split(" ").length > 3;
}
