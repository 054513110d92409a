import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readingsOf, WordReader } from "#engine/moderation/words.ts";

function read(pieces: readonly string[]) {
  const reader = new WordReader();
  return [...pieces.flatMap((piece) => [...reader.push(piece)]), ...reader.finish()];
}

const words = (text: string) =>
  read([text]).flatMap((event) => (event.type === "word" ? [event.raw] : []));

describe("WordReader", () => {
  it("cuts at spaces and marks the ends of sentences", () => {
    expect(read(["Hi there. Yes\nno"])).toEqual([
      { type: "word", start: 0, end: 2, raw: "Hi" },
      { type: "word", start: 3, end: 9, raw: "there." },
      { type: "break", end: 9 },
      { type: "word", start: 10, end: 13, raw: "Yes" },
      { type: "break", end: 14 },
      { type: "word", start: 14, end: 16, raw: "no" },
      { type: "break", end: 16 },
    ]);
  });

  it("gives each character of a script without spaces by itself", () => {
    expect(words("你好 abc世")).toEqual(["你", "好", "abc", "世"]);
  });

  it("reads a long run in windows that overlap", () => {
    const windows = words("x".repeat(300));
    expect(windows.length).toBeGreaterThan(3);
    expect(Math.max(...windows.map((window) => window.length))).toBe(96);
  });

  it("gives the same words however the text is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" }), { maxLength: 10 }), (pieces) => {
        expect(read(pieces)).toEqual(read([pieces.join("")]));
      }),
    );
  });
});

describe("readingsOf", () => {
  it("splits at punctuation, drops apostrophes and reads leet both ways", () => {
    expect(readingsOf("well-known,")).toEqual([["well"], ["known"]]);
    expect(readingsOf("Can’t!")).toEqual([["cant"]]);
    expect(readingsOf("h4te")).toEqual([["h4te", "hate"]]);
    expect(readingsOf("h@te!")).toEqual([["hate"]]);
    expect(readingsOf("1984")).toEqual([["1984"]]);
    expect(readingsOf("—")).toEqual([]);
  });
});
