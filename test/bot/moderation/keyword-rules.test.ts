import { describe, expect, test } from "vitest";
import { brokenRule, compileRule, type KeywordRule } from "#bot/moderation/keyword-rules.ts";

function rule(changes: Partial<KeywordRule>): KeywordRule {
  return {
    id: "1",
    name: "words",
    keywords: [],
    patterns: [],
    allowed: [],
    exemptChannelIds: [],
    ...changes,
  };
}
const breaks = (changes: Partial<KeywordRule>, text: string) =>
  compileRule(rule(changes)).matches(text);

// https://discord.com/developers/docs/resources/auto-moderation#auto-moderation-rule-object-keyword-matching-strategies
describe("keywords match as Discord's documentation says", () => {
  test.each([
    ["cat*", "catch", true],
    ["cat*", "Catapult", true],
    ["cat*", "CAt", true],
    ["cat*", "tomcat", false],
    ["tra*", "train", true],
    ["the mat*", "the matrix", true],
    ["*cat", "wildcat", true],
    ["*cat", "copyCat", true],
    ["*cat", "catch", false],
    ["*the mat", "breathe mat", true],
    ["*cat*", "location", true],
    ["*cat*", "eduCation", true],
    ["cat", "cat", true],
    ["cat", "a CAT.", true],
    ["cat", "category", false],
    ["the mat", "The mat", true],
    ["the mat", "the  mat", true],
    ["the mat", "the matrix", false],
    ["c++", "I like C++ a lot", true],
    ["größe", "die Größe", true],
  ])("%s in %j: %s", (keyword, text, expected) => {
    expect(breaks({ keywords: [keyword] }, text)).toBe(expected);
  });
});

describe("a rule", () => {
  test("lets stand what its allow list names", () => {
    const changes = { keywords: ["*cat*"], allowed: ["education"] };
    expect(breaks(changes, "Education matters")).toBe(false);
    expect(breaks(changes, "education of a cat")).toBe(true);
  });

  test("applies patterns, without regard to case, and tells which it cannot read", () => {
    expect(breaks({ patterns: ["b[a4]d"] }, "so B4D")).toBe(true);
    expect(breaks({ patterns: ["(?s)b.d"] }, "b\nd")).toBe(true);
    const compiled = compileRule(rule({ patterns: ["(", "(a+)+$", "ok"] }));
    expect(compiled.unreadable).toEqual(["(", "(a+)+$"]);
    expect(compiled.matches("ok")).toBe(true);
  });

  test("without words and patterns breaks nothing", () => {
    expect(breaks({ keywords: ["", "*", " "] }, "anything")).toBe(false);
  });

  test("does not hold in exempt channels, nor in what lies below them", () => {
    const compiled = [compileRule(rule({ keywords: ["cat"], exemptChannelIds: ["c1"] }))];
    expect(brokenRule(compiled, "a cat", ["t1", "c2"])?.id).toBe("1");
    expect(brokenRule(compiled, "a cat", ["t1", "c1"])).toBeUndefined();
  });
});
