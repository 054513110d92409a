import { expect, test } from "vitest";
import type { PreferencePair } from "#trainer/data/preference.ts";
import { ratedCompletions } from "#trainer/pairs/completions.ts";

const pairOf = (chosen: string, rejected: string, weight: number): PreferencePair => ({
  id: `${chosen}>${rejected}`,
  prompt: [{ role: "user", content: "Why?" }],
  chosen,
  rejected,
  weight,
});

test("each answer comes once, liked where it was chosen, with the greatest weight of its pairs", () => {
  const rated = ratedCompletions([
    pairOf("a", "b", 0.5),
    pairOf("a", "c", 1),
    pairOf("b", "c", 0.5),
  ]);
  expect(
    rated.map(({ completion, isDesirable, weight }) => [completion, isDesirable, weight]),
  ).toEqual([
    ["a", true, 1],
    ["b", false, 0.5],
    ["c", false, 1],
    ["b", true, 0.5],
  ]);
  expect(new Set(rated.map(({ id }) => id)).size).toBe(4);
});
