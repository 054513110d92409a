import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "#trainer/nano/tokenizer/encode.ts";
import { learnVocabulary } from "#trainer/nano/tokenizer/learn.ts";

const TEXTS = [
  "<|user|>\nWhat is a volcano?\n<|assistant|>\nA volcano is an opening in the crust.",
  "<|user|>\nWhy is the sky blue?\n<|assistant|>\nThe sky scatters blue light. The sky is air.",
];
const table = learnVocabulary(TEXTS, 450);
const tokenizer = new Tokenizer(table);

describe("learned vocabulary", () => {
  it("begins with the special tokens and all 256 bytes", () => {
    expect(table.tokens.slice(0, 4)).toEqual(["<unk>", "<s>", "</s>", "<0x00>"]);
    expect(table.tokens[258]).toBe("<0xFF>");
  });

  it("is the same for the same text", () => {
    expect(learnVocabulary(TEXTS, 450)).toEqual(table);
  });

  it("holds each token once, with scores that fall with the rank of the merge", () => {
    expect(new Set(table.tokens).size).toBe(table.tokens.length);
    const scores = table.scores.slice(259);
    expect([...scores].every((score, i) => i === 0 || score < (scores[i - 1] ?? 0))).toBe(true);
  });

  it("learns the chat markers whole and lets no piece cross from a word to a mark", () => {
    expect(table.tokens).toContain("<|user|>");
    const mixed = table.tokens.slice(259).filter((piece) => /\p{L}[.?]|[.?]\p{L}/u.test(piece));
    expect(mixed).toEqual([]);
  });

  it("merges the most frequent pair first", () => {
    expect(learnVocabulary(["xyxyxy xy"], 259 + 97).tokens).toContain("xy");
  });

  it("refuses a size without room for the characters", () => {
    expect(() => learnVocabulary(TEXTS, 300)).toThrow(RangeError);
  });
});

describe("tokenizer", () => {
  it("gives back any text that it encoded", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
        fc.pre(!text.includes("▁") && text.isWellFormed());
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
      { numRuns: 200 },
    );
  });

  it("gives back text made of its own words, in fewer tokens than characters", () => {
    const words = fc.constantFrom("What", "is", "a", "volcano", "sky", "\n", "<|user|>", " ", "?");
    fc.assert(
      fc.property(fc.array(words, { minLength: 1, maxLength: 30 }), (parts) => {
        const text = parts.join(" ");
        const ids = tokenizer.encode(text);
        expect(tokenizer.decode(ids)).toBe(text);
        expect(ids.length).toBeLessThanOrEqual(text.length + 1);
      }),
      { numRuns: 100 },
    );
  });

  it("spells an unknown character by its bytes", () => {
    const ids = tokenizer.encode("ß");
    expect(ids.slice(1).map((id) => table.tokens[id])).toEqual(["<0xC3>", "<0x9F>"]);
  });

  it("never makes a control token from text", () => {
    expect(tokenizer.encode("</s><s>")).not.toContain(2);
  });
});
