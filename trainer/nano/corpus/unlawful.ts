/**
 * Requests that break the law, and refusals that say why and offer a lawful way. Some asks are kept
 * from training altogether. It knows nothing of requests that only look so.
 */
import { readFileSync } from "node:fs";
import type { SeededRandom } from "../../data/random.ts";
import { pick } from "./answers.ts";
import { type AskedQuestion, requestsFor, stableHash, wordingsOf } from "./questions.ts";

/** A kind of unlawful request. */
export type UnlawfulCategory = {
  readonly name: string;
  /** What cannot be helped with. */
  readonly phrases: readonly string[];
  readonly reasons: readonly string[];
  /** Whole sentences; for a caring category, whole answers. */
  readonly alternatives: readonly string[];
  /** Whether people in danger ask: they are comforted and shown to help, not lectured. */
  readonly caring: boolean;
  readonly asks: readonly UnlawfulAsk[];
};

/** One request in all its wordings. */
type UnlawfulAsk = {
  readonly text: string;
  /** Kept from training in every wording. */
  readonly unseen: boolean;
  readonly wordings: readonly AskedQuestion[];
};

const LEADS = [
  "I cannot help with",
  "I can't help with",
  "Sorry, I cannot help with",
  "I am sorry, but I cannot help with",
  "I will not help with",
];
const PRESSURE_LEADS = ["I still cannot help with", "I understand, but I cannot help with"];
/** One ask in this many is never trained on, to see whether refusing carries over. */
const UNSEEN_ASKS = 12;

/** All categories with their asks. @throws Error when the table is malformed */
export function loadUnlawful(): readonly UnlawfulCategory[] {
  const table = readFileSync(new URL("./unlawful.txt", import.meta.url), "utf8");
  return table
    .split(/^== /m)
    .slice(1)
    .map((block) => parseCategory(block.trim().split("\n")));
}

function parseCategory([name = "", ...lines]: readonly string[]): UnlawfulCategory {
  const marked = (mark: string) =>
    lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length));
  const tasks = lines.filter((line) => /^[a-z]/i.test(line));
  const category = {
    name,
    phrases: marked("- "),
    reasons: marked("= "),
    alternatives: marked("+ "),
    caring: lines.includes("? caring"),
    asks: [
      ...tasks.map((task) => askOf(task, requestsFor(task))),
      ...marked("! ").map((ask) => askOf(ask, wordingsOf(ask))),
    ],
  };
  if (category.alternatives.length === 0 || category.asks.length === 0) {
    throw new Error(`unlawful.txt: category "${name}" lacks asks or alternatives`);
  }
  return category;
}

function askOf(text: string, wordings: readonly AskedQuestion[]): UnlawfulAsk {
  return { text, wordings, unseen: stableHash(`ask ${text}`) % UNSEEN_ASKS === 0 };
}

/** A refusal in two sentences, or a caring answer. */
export function composeRefusal(
  category: UnlawfulCategory,
  random: SeededRandom,
  leads: readonly string[] = LEADS,
): string {
  const alternative = pick(category.alternatives, random);
  if (category.caring) return alternative;
  const phrase = pick(category.phrases, random);
  return `${pick(leads, random)} ${phrase}, because ${pick(category.reasons, random)}. ${alternative}`;
}

/** The refusal of somebody who insists. */
export function composeSteadyRefusal(category: UnlawfulCategory, random: SeededRandom): string {
  return composeRefusal(category, random, PRESSURE_LEADS);
}
