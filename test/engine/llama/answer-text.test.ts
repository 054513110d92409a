import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AnswerText } from "#engine/llama/answer-text.ts";

const utf8 = new TextEncoder();

/** Feeds the text byte by byte in the given pieces; gives what was shown and the tokens named with it. */
function show(text: string, stop: readonly string[], cuts: readonly number[] = []) {
  const bytes = utf8.encode(text);
  const edges = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const answer = new AnswerText<number>(stop);
  const shown: string[] = [];
  const tokens: number[] = [];
  let start = 0;
  for (const [token, end] of [...edges, bytes.length].entries()) {
    const release = answer.push(token, bytes.subarray(start, end));
    start = end;
    shown.push(release.text);
    tokens.push(...release.tokens);
    if (release.stopped) return { shown, tokens, stopped: true };
  }
  const rest = answer.finish();
  return { shown: [...shown, rest.text], tokens: [...tokens, ...rest.tokens], stopped: false };
}

describe("AnswerText", () => {
  const cutsOf = fc.array(fc.nat(200), { maxLength: 30 });

  test("however tokens cut the bytes, the shown pieces are whole characters and join to the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), cutsOf, (text, cuts) => {
        const { shown } = show(text, [], cuts);
        expect(shown.join("")).toBe(text);
        expect(shown.every((piece) => piece.isWellFormed())).toBe(true);
      }),
    );
  });

  test("however tokens cut it, the text ends before the first stop string", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "é"), maxLength: 30 });
    const stops = fc.array(
      fc.string({ unit: fc.constantFrom("a", "b", "é"), minLength: 1, maxLength: 4 }),
      {
        maxLength: 3,
      },
    );
    fc.assert(
      fc.property(letters, stops, cutsOf, (text, stop, cuts) => {
        const places = stop.map((candidate) => text.indexOf(candidate)).filter((at) => at >= 0);
        const expected = places.length === 0 ? text : text.slice(0, Math.min(...places));
        // A later, longer stop string may begin earlier than one that is complete already.
        const { shown, stopped } = show(text, stop, cuts);
        expect(stopped).toBe(places.length > 0);
        if (stop.length < 2) expect(shown.join("")).toBe(expected);
        else expect(stop.every((candidate) => !shown.join("").includes(candidate))).toBe(true);
      }),
    );
  });

  test("text that may begin a stop string waits, and comes when it does not", () => {
    const answer = new AnswerText<string>(["###"]);
    expect(answer.push("one", utf8.encode("end #"))).toMatchObject({ text: "end " });
    expect(answer.push("two", utf8.encode("#1"))).toEqual({
      text: "##1",
      tokens: ["two"],
      stopped: false,
    });
  });

  test("each token is named once, with the first text that it adds to", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), cutsOf, (text, cuts) => {
        const { tokens } = show(text, ["zz"], cuts);
        expect(tokens).toEqual([...new Set(tokens)]);
        expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
      }),
    );
  });

  test("bytes of a character that never became whole are not shown", () => {
    const answer = new AnswerText<number>([]);
    expect(answer.push(1, utf8.encode("€").subarray(0, 2)).text).toBe("");
    expect(answer.finish()).toEqual({ text: "", tokens: [1], stopped: false });
  });

  test("an empty stop string stops nothing", () => {
    expect(show("abc", [""]).shown.join("")).toBe("abc");
  });
});
