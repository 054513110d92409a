import { expect, test } from "vitest";
import { fitWords, wordMargin } from "./bag-of-words.ts";

const pair = (chosen: string, rejected: string) => ({ chosen, rejected });

test("the words that make an answer better get weight, those of both sides none", () => {
  const given = ["tea", "rain", "moss"].flatMap((topic) => [
    pair(`Sorry, ${topic} is wrong`, `Sure, ${topic} is easy`),
    pair(`Sorry, no ${topic}`, `Sure, no ${topic}`),
  ]);
  const weights = fitWords(given, 0.01);
  expect(weights.get("sorry")).toBeGreaterThan(0.5);
  expect(weights.get("sure")).toBeCloseTo(-(weights.get("sorry") ?? 0), 9);
  expect(weights.get("is")).toBeUndefined();
  expect(weights.get("tea")).toBeUndefined();
  expect(wordMargin(weights, pair("Sorry!", "SURE."))).toBeGreaterThan(1);
  expect(wordMargin(weights, pair("unknown", "words"))).toBe(0);
});

test("the fit stands at the minimum worked out by hand", () => {
  // One word, in the chosen answer of three pairs of four: the slope λw = ¾σ(−w) − ¼σ(w).
  const given = [pair("yes", "x"), pair("yes", "y"), pair("yes", "z"), pair("v", "yes")];
  const w = fitWords(given, 0.1).get("yes") ?? Number.NaN;
  const sigma = (x: number) => 1 / (1 + Math.exp(-x));
  expect(0.1 * w).toBeCloseTo(0.75 * sigma(-w) - 0.25 * sigma(w), 6);
});
