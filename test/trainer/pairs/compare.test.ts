import { describe, expect, test } from "vitest";
import { ratedPrompts } from "#trainer/pairs/answers.ts";
import { compareAnswers } from "#trainer/pairs/compare.ts";
import { feedbackOf, type Said } from "./feedback-fixture.ts";

function compare(said: readonly Said[], learnFromDiscord = false) {
  const rated = ratedPrompts(feedbackOf(said, learnFromDiscord));
  const compared = compareAnswers(rated.prompts);
  return {
    pairs: compared.pairs.map(({ chosen, rejected }) => `${chosen} > ${rejected}`),
    weights: compared.pairs.map(({ weight }) => weight),
    disliked: compared.disliked.map(({ answer }) => answer.text),
    drops: [...rated.drops, ...compared.drops].map(({ reason }) => reason),
  };
}

const asked = "What is tea?";

describe("answers to the same prompt", () => {
  test("give a pair when one is liked and another disliked, whoever asked", () => {
    const { pairs, drops } = compare([
      { asked, answer: "good", says: { ann: "👍" } },
      { asked: ` ${asked}\n`, answer: "bad", says: { ben: "👎" } },
    ]);
    expect(pairs).toEqual(["good > bad"]);
    expect(drops).toEqual([]);
  });

  test("give none across prompts: the like is dropped, the dislike waits for a fresh answer", () => {
    const { pairs, disliked, drops } = compare([
      { asked, answer: "good", says: { ann: "👍" } },
      { asked: "What is milk?", answer: "bad", says: { ann: "👎" } },
    ]);
    expect(pairs).toEqual([]);
    expect(disliked).toEqual(["bad"]);
    expect(drops).toEqual(["no_counterpart"]);
  });

  test("are ties when both are liked", () => {
    const { pairs, drops } = compare([
      { asked, answer: "one", says: { ann: "👍" } },
      { asked, answer: "two", says: { ben: "👍" } },
    ]);
    expect(pairs).toEqual([]);
    expect(drops).toEqual(["gap_too_small", "gap_too_small"]);
  });

  test("compare by ratings from two stars on", () => {
    const two = compare([
      { asked, answer: "five", says: { ann: 5 } },
      { asked, answer: "three", says: { ann: 3 } },
    ]);
    expect(two.pairs).toEqual(["five > three"]);
    const one = compare([
      { asked, answer: "five", says: { ann: 5 } },
      { asked, answer: "four", says: { ann: 4 } },
    ]);
    expect(one.pairs).toEqual([]);
  });

  test("compare a strict person's 3 above a mild person's 3, by each one's own mean", () => {
    const strict = [1, 1, 1, 1, 1, 1].map((stars, index) => ({
      asked: `strict ${index}`,
      answer: "x",
      says: { strict: stars },
    }));
    const mild = [5, 5, 5, 5, 5, 5].map((stars, index) => ({
      asked: `mild ${index}`,
      answer: "x",
      says: { mild: stars },
    }));
    const { pairs } = compare([
      ...strict,
      ...mild,
      { asked, answer: "liked by the strict", says: { strict: 3 } },
      { asked, answer: "disliked by the mild", says: { mild: 3 } },
    ]);
    expect(pairs).toEqual(["liked by the strict > disliked by the mild"]);
  });

  test("with the same text are one answer, and disagreement about it is no preference", () => {
    const { pairs, drops } = compare([
      { asked, answer: "same", says: { ann: "👍" } },
      { asked, answer: "same ", says: { ben: "👎" } },
      { asked, answer: "other", says: { cat: "👎" } },
    ]);
    expect(pairs).toEqual([]);
    expect(drops).toContain("gap_too_small");
  });

  test("weigh twice as much when two people decided", () => {
    const alone = compare([
      { asked, answer: "good", says: { ann: "👍" } },
      { asked, answer: "bad", says: { ann: "👎" } },
    ]);
    const together = compare([
      { asked, answer: "good", says: { ann: "👍", ben: "👍" } },
      { asked, answer: "bad", says: { ann: "👎" } },
    ]);
    expect([alone.weights, together.weights]).toEqual([[0.5], [1]]);
  });

  test("give at most eight pairs a prompt, spread over the answers", () => {
    const said = Array.from({ length: 20 }, (_, index) => ({
      asked,
      answer: `${index % 2 === 0 ? "good" : "bad"} ${index}`,
      says: { [`rater ${index}`]: index % 2 === 0 ? ("👍" as const) : ("👎" as const) },
    }));
    const { pairs, drops } = compare(said);
    expect(pairs).toHaveLength(8);
    expect(new Set(pairs.flatMap((pair) => pair.split(" > "))).size).toBe(16);
    expect(drops).toEqual(["prompt_full", "prompt_full", "prompt_full", "prompt_full"]);
  });
});

describe("feedback is not used", () => {
  const good = { asked, answer: "good", says: { ann: "👍" } } as const;
  const bad = { asked, answer: "bad", says: { ann: "👎" } } as const;

  test.each([
    ["deleted", { deleted: true }],
    ["from_discord", { source: "discord" }],
    ["not_finished", { finishReason: "content_filter" }],
    ["not_finished", { finishReason: "aborted" }],
    ["not_finished", { answer: "  " }],
  ] as const)("as %s: %o", (reason, change) => {
    const { pairs, drops } = compare([good, { ...bad, ...change }]);
    expect(pairs).toEqual([]);
    expect(drops).toContain(reason);
  });

  test("except from Discord where it is allowed", () => {
    const said = [good, { ...bad, source: "discord" as const }];
    expect(compare(said, true).pairs).toEqual(["good > bad"]);
  });
});
