import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { partContent, splitAnswer } from "#bot/answer/split.ts";

const contents = (text: string, limit: number) => splitAnswer(text, limit).map(partContent);
const fences = (text: string) => text.split("```").length - 1;

/** Text as a model writes it, and as nobody would: fences everywhere, links, emoji, no blanks. */
const piece = fc.oneof(
  fc.constantFrom("```", "```ts\n", "```python\n", "\n```\n", "`", "``", "````", "\n", "\n\n", " "),
  fc.constantFrom(
    "[a link](https://example.org/a/b)",
    "https://example.org/x",
    "[",
    "](",
    "👩‍👩‍👧‍👦",
    "é",
  ),
  fc.constantFrom("word ", "A sentence. ", "x".repeat(70), "const a = 1;\n", "- item\n"),
  fc.string({ maxLength: 40 }),
);
const answer = fc.array(piece, { maxLength: 120 }).map((pieces) => pieces.join(""));
const limits = fc.integer({ min: 64, max: 400 });

describe("splitting an answer", () => {
  test("the bodies joined are the text, whatever it holds", () => {
    fc.assert(
      fc.property(answer, limits, (text, limit) => {
        const parts = splitAnswer(text, limit);
        expect(parts.map((part) => part.body).join("")).toBe(text);
        expect(parts.every((part) => part.body.length > 0)).toBe(true);
      }),
    );
  });

  test("no message is longer than the limit", () => {
    fc.assert(
      fc.property(answer, limits, (text, limit) => {
        for (const content of contents(text, limit))
          expect(content.length).toBeLessThanOrEqual(limit);
      }),
    );
  });

  test("fences are balanced in each message", () => {
    fc.assert(
      fc.property(answer, limits, (text, limit) => {
        for (const content of contents(text, limit)) expect(fences(content) % 2).toBe(0);
      }),
    );
  });

  test("the last message keeps the reserve free", () => {
    fc.assert(
      fc.property(answer, limits, (text, limit) => {
        const parts = splitAnswer(text, limit + 50, 50);
        expect(parts.map((part) => part.body).join("")).toBe(text);
        expect(parts.map(partContent).at(-1)?.length ?? 0).toBeLessThanOrEqual(limit);
      }),
    );
  });

  test("surrogate pairs stay whole", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 100, maxLength: 400 }), (text) => {
        for (const { body } of splitAnswer(text, 64)) expect(body.isWellFormed()).toBe(true);
      }),
    );
  });

  test("earlier messages stay as they are while text is added", () => {
    fc.assert(
      fc.property(answer, limits, fc.nat(), (text, limit, at) => {
        const before = splitAnswer(text.slice(0, at % (text.length + 1)), limit).slice(0, -1);
        const after = splitAnswer(text, limit);
        expect(after.slice(0, before.length).map((part) => part.body)).toEqual(
          before.map((part) => part.body),
        );
      }),
    );
  });
});

describe("where an answer is cut", () => {
  test("a short text is one message, unchanged", () => {
    expect(contents("Hello there.", 2000)).toEqual(["Hello there."]);
    expect(contents("", 2000)).toEqual([]);
  });

  test("a block that goes on is closed and opened again with its language", () => {
    const code = Array.from({ length: 20 }, (_, n) => `line ${n}`).join("\n");
    const [first, second] = contents(`Look:\n\`\`\`python\n${code}\n\`\`\`\nDone.`, 100);
    expect(first).toMatch(/^Look:\n```python\nline 0\n[\s\S]*line \d+\n```$/);
    expect(second).toMatch(/^```python\nline \d+\n/);
  });

  test("a fence that the model left open is closed", () => {
    expect(contents("```js\nlet a", 2000)).toEqual(["```js\nlet a\n```"]);
  });

  test("a paragraph's end is preferred to a line's, a line's to a sentence's, that to a word's", () => {
    const first = (text: string) => splitAnswer(text, 100)[0]?.body;
    expect(first(`${"a ".repeat(30)}\n\n${"b ".repeat(10)}\n${"c ".repeat(40)}`)).toMatch(
      /a \n\n$/,
    );
    expect(first(`${"a ".repeat(30)}\n${"b ".repeat(10)}. ${"c ".repeat(40)}`)).toMatch(/a \n$/);
    expect(first(`${"a ".repeat(30)}done. ${"c ".repeat(40)}`)).toMatch(/done\. $/);
    expect(first("ab ".repeat(50))).toMatch(/ab $/);
  });

  test("a link is not cut in two", () => {
    const text = `${"a ".repeat(40)}[a link with words](https://example.org/long/path) and more ${"b ".repeat(20)}`;
    const [first, second] = splitAnswer(text, 100);
    expect(first?.body).toBe("a ".repeat(40));
    expect(second?.body).toContain("[a link with words](https://example.org/long/path)");
  });

  test("a limit without room for a fence is a programmer's error", () => {
    expect(() => splitAnswer("x", 10)).toThrow(RangeError);
  });
});

test("a list that fits into the next message goes there whole", () => {
  const intro = `${"An introduction of some words. ".repeat(6).trim()}\nAll of these:\n`;
  const list = Array.from({ length: 8 }, (_, n) => `- item number ${n}`).join("\n");
  const parts = splitAnswer(`${intro}${list}`, 280);
  expect(parts.map(partContent)).toHaveLength(2);
  expect(parts[1]?.body).toBe(list);
});
