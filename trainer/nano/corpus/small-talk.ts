/** Small talk, and what the model does not know: tables of prompts with fitting answers. */
import { readFileSync } from "node:fs";
import type { SeededRandom } from "../../data/random.ts";
import { pick } from "./answers.ts";
import { type AskedQuestion, questionsAboutThing, requestsFor, stableHash } from "./questions.ts";
import type { Topic } from "./topics.ts";

/** What people say that means the same, and answers each of which fits. */
export type SmallTalk = {
  readonly prompts: readonly { readonly text: string; readonly heldOut: boolean }[];
  readonly replies: readonly string[];
};

/** A question that the facts do not answer. */
export type UnknownSubject = {
  readonly name: string;
  /** Kept from training in every wording. */
  readonly unseen: boolean;
  readonly wordings: readonly AskedQuestion[];
};

/** In blocks of several phrasings, one in this many is kept from training. */
const HELD_OUT_PHRASINGS = 5;

/** All small talk. @throws Error when a block lacks prompts or replies */
export function loadSmallTalk(): readonly SmallTalk[] {
  return readTable("small-talk.txt")
    .split(/\n{2,}/)
    .map((block) => {
      const lines = block.split("\n").filter((line) => !line.startsWith("#"));
      const said = lines.filter((line) => line.startsWith("? ")).map((line) => line.slice(2));
      const replies = lines.filter((line) => !line.startsWith("? "));
      if (said.length === 0 || replies.length === 0) {
        throw new Error(`small-talk.txt: a block needs prompts and replies: ${block}`);
      }
      const prompts = said.map((text, index) => ({
        text,
        // The first phrasing stays in training, so that each meaning is learned.
        heldOut: index > 0 && stableHash(`talk ${text}`) % HELD_OUT_PHRASINGS === 0,
      }));
      return { prompts, replies };
    });
}

/** Subjects without facts. */
export function loadUnknown(): readonly UnknownSubject[] {
  return readTable("unknown.txt")
    .split("\n")
    .filter((line) => /^[->] /.test(line))
    .map((line) => {
      const unseen = line.slice(2).startsWith("~ ");
      const name = line.slice(unseen ? 4 : 2);
      const wordings = line.startsWith("-") ? questionsAboutThing(name) : requestsFor(name);
      return { name, unseen, wordings };
    });
}

const ADMISSIONS = [
  "I am a small model, and I do not know about that.",
  "Sorry, I do not know that. I am only a small demonstration model.",
  "I do not know enough about that to answer well.",
  "That is something I have not learned, so I would rather not guess.",
];
const OFFERS = [
  (about: string) => `Ask me about ${about} instead.`,
  (about: string) => `You could ask me about ${about}.`,
  (about: string) => `I can tell you about ${about}, if you like.`,
];

/** Says honestly that it does not know, and what it does know about. */
export function composeAdmission(topics: readonly Topic[], random: SeededRandom): string {
  const things = topics.filter(({ kind }) => kind === "thing");
  return `${pick(ADMISSIONS, random)} ${pick(OFFERS, random)(pick(things, random).about)}`;
}

function readTable(file: string): string {
  return readFileSync(new URL(`./${file}`, import.meta.url), "utf8").trim();
}
