import { describe, expect, it } from "vitest";
import { compilePhrases, PhraseReader, type PhraseRule } from "#engine/moderation/phrases.ts";

/** Feeds single-letter-offset words; returns what matched and the open point after each word. */
function read(rule: Omit<PhraseRule, "category">, text: string) {
  const reader = new PhraseReader(compilePhrases([{ category: "X", ...rule }]));
  const open: number[] = [];
  for (const [index, word] of text.split(" ").entries()) {
    const match = word === "." ? reader.endSentence() : reader.read([word], index, index + 1);
    if (match !== undefined) return { match, open };
    open.push(reader.openFrom);
  }
  return { match: reader.endSentence(), open };
}

const found = (rule: Omit<PhraseRule, "category">, text: string) => read(rule, text).match;

describe("phrase patterns", () => {
  it("match alternatives, stems, optional words and gaps", () => {
    const rule = { patterns: ["red|blue ?small car* ~2 fast"] };
    for (const text of ["a red car fast", "blue small cars go very fast", "red red car fast"]) {
      expect(found(rule, text), text).toMatchObject({ category: "X" });
    }
    for (const text of ["red car", "red big car fast", "red car a b c fast", "green car fast"]) {
      expect(found(rule, text), text).toBeUndefined();
    }
  });

  it("tell where the match began and ended", () => {
    expect(found({ patterns: ["b ~1 d"] }, "a b c d")).toMatchObject({ start: 1, end: 4 });
  });

  it("know ages below eighteen", () => {
    const rule = { patterns: ["@age years", "@ageyo"] };
    expect(found(rule, "twelve years")).toBeDefined();
    expect(found(rule, "17 years")).toBeDefined();
    expect(found(rule, "12yo")).toBeDefined();
    expect(found(rule, "18 years")).toBeUndefined();
    expect(found(rule, "18yo")).toBeUndefined();
  });

  it("do not span two sentences", () => {
    expect(found({ patterns: ["a b"] }, "a . b")).toBeUndefined();
  });

  it("are refused when they have no words", () => {
    expect(() => compilePhrases([{ category: "X", patterns: [" "] }])).toThrow("without words");
  });
});

describe("the open point", () => {
  it("is where a phrase may still come true, and Infinity where none may", () => {
    const none = Number.POSITIVE_INFINITY;
    expect(read({ patterns: ["b c d"] }, "a b c x").open).toEqual([none, 1, 1, none]);
  });

  it("stays through a gap for as long as the gap may last", () => {
    const none = Number.POSITIVE_INFINITY;
    expect(read({ patterns: ["a ~2 z"] }, "a x x x").open).toEqual([0, 0, 0, none]);
  });
});

describe("exemptions", () => {
  const rule = { patterns: ["bad thing"], unless: ["illegal", "report*"] };

  it("count before and after the phrase, within its sentence", () => {
    expect(found(rule, "reporting a bad thing .")).toBeUndefined();
    expect(found(rule, "a bad thing is illegal .")).toBeUndefined();
    expect(found(rule, "a bad thing . is illegal")).toBeDefined();
  });

  it("hold the text until the sentence decides", () => {
    expect(read(rule, "x bad thing is illegal").open.slice(1, 4)).toEqual([1, 1, 1]);
    expect(read(rule, "x bad thing is illegal").open.at(-1)).toBe(Number.POSITIVE_INFINITY);
  });

  it("cannot hold a sentence without end for ever", () => {
    const endless = `bad thing ${"word ".repeat(100)}illegal`;
    expect(found(rule, endless)).toBeDefined();
  });
});
