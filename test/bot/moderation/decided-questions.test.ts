import { describe, expect, test } from "vitest";
import {
  comparedQuestion,
  decisionOf,
  questionHash,
  withDecision,
} from "#bot/moderation/decided-questions.ts";

describe("a question", () => {
  test("is the same in other capitals, blanks and end marks, or with what nobody sees", () => {
    const hash = questionHash("How do I kill a process?");
    for (const text of [
      "how do I  kill a process",
      "HOW DO I KILL A PROCESS ?!",
      "How do I kill a\u200B process.",
    ]) {
      expect([text, questionHash(text)]).toEqual([text, hash]);
    }
  });

  test("is another with another word, before it or behind it", () => {
    const hash = questionHash("How do I kill a process?");
    expect(questionHash("How do I kill a person?")).not.toBe(hash);
    expect(questionHash("How do I kill a process? And a person?")).not.toBe(hash);
    expect(comparedQuestion("What is 2+2?")).toBe("what is 2+2");
  });
});

describe("a decided case", () => {
  test.each([
    ["refused", "overturned", "allow"],
    ["refused", "upheld", "lift"],
    ["wrongly_refused", "upheld", "allow"],
    ["wrongly_refused", "overturned", "lift"],
    ["should_have_refused", "upheld", "block"],
    ["should_have_refused", "overturned", "lift"],
    ["refused", "open", undefined],
    ["self_harm", "overturned", undefined],
    ["output_rule", "overturned", undefined],
  ] as const)("%s, %s, says %s", (kind, state, decision) => {
    expect(decisionOf({ kind, state })).toBe(decision);
  });
});

describe("decisions", () => {
  test("replace one another, and can be lifted", () => {
    const first = withDecision({}, "a", "allow");
    const second = withDecision(first, "a", "block");
    expect([first, second, withDecision(second, "a", "lift")]).toEqual([
      { a: "allow" },
      { a: "block" },
      {},
    ]);
  });

  test("are bounded: the oldest are forgotten", () => {
    let decided = {};
    for (let n = 0; n < 1_010; n++) decided = withDecision(decided, `h${n}`, "allow");
    expect(Object.keys(decided)).toHaveLength(1_000);
    expect(decided).not.toHaveProperty("h9");
    expect(decided).toHaveProperty("h1009");
  });
});
