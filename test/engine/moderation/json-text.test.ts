import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonTextReader, plainJsonText } from "#engine/moderation/json-text.ts";

describe("JSON as text", () => {
  it("has its escapes resolved, whatever they hide", () => {
    expect(plainJsonText(String.raw`{"a\u0062c":"x\n\"y\\ud83d\ude00"}`)).toBe(
      '{"abc":"x\n"y\\ud83d\ude00"}',
    );
    expect(plainJsonText(String.raw`"\ud83d\ude00"`)).toBe('"\u{1f600}"');
  });

  it("reads the same in pieces, however it is cut", () => {
    const pieces = fc.array(fc.constantFrom("\\", "u", "0061", '"', "n", "x", "\\u00e9"), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(pieces, (cut) => {
        const reader = new JsonTextReader();
        const read = cut.map((piece) => reader.push(piece)).join("") + reader.finish();
        expect(read).toBe(plainJsonText(cut.join("")));
      }),
    );
  });

  it("knows when a piece ends within an escape", () => {
    const reader = new JsonTextReader();
    expect([reader.push('"a\\'), reader.isWithinEscape]).toEqual(['"a', true]);
    expect([reader.push("u00"), reader.isWithinEscape]).toEqual(["", true]);
    expect([reader.push("62\\\\"), reader.isWithinEscape]).toEqual(["b\\", false]);
  });
});
