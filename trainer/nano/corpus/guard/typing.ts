/**
 * How people type who hurry or shout: what a guard has to see through. Capitals, digits for letters and letters
 * apart are undone before the small guard is asked, so they are not among it. It knows no verdicts.
 */
import type { SeededRandom } from "../../../data/random.ts";
import { pick } from "../answers.ts";

type Change = (text: string, random: SeededRandom) => string;

/** Shorter words lose their meaning with a letter. */
const LONG_WORD = /\b[a-z]{5,}\b/gi;

const CHANGES: readonly Change[] = [
  (text) => text.replaceAll(/[.,?!:']/g, ""),
  (text, random) =>
    `${text.replace(/[.?!]+$/, "")}${pick(["!!!", "???", "...", " ?", " pls"], random)}`,
  (text) => text.replaceAll(" ", "  "),
  (text, random) => inOneWord(text, random, dropLetter),
  (text, random) => inOneWord(text, random, swapLetters),
  (text, random) => inOneWord(text, random, doubleLetter),
];

/** The text in one of these ways. */
export function carelessly(text: string, random: SeededRandom): string {
  return pick(CHANGES, random)(text, random);
}

function inOneWord(
  text: string,
  random: SeededRandom,
  change: (word: string, at: number) => string,
): string {
  const words = [...text.matchAll(LONG_WORD)];
  if (words.length === 0) return text;
  const { 0: word, index } = pick(words, random);
  const changed = change(word, 1 + random.below(word.length - 2));
  return text.slice(0, index) + changed + text.slice(index + word.length);
}

function dropLetter(word: string, at: number): string {
  return word.slice(0, at) + word.slice(at + 1);
}

function swapLetters(word: string, at: number): string {
  return `${word.slice(0, at)}${word.charAt(at + 1)}${word.charAt(at)}${word.slice(at + 2)}`;
}

function doubleLetter(word: string, at: number): string {
  return word.slice(0, at) + word.charAt(at).repeat(2) + word.slice(at);
}
