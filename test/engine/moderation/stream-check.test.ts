import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileLexicon, LexicalScanner, scanText } from "#engine/moderation/lexical.ts";
import { type PassageCheck, StreamCheck } from "#engine/moderation/stream-check.ts";

const lexicon = compileLexicon(["forbidden", "secret project"]);

/** Streams pieces; what was let out after each, and the category that ended it. */
async function stream(pieces: readonly string[], check?: PassageCheck) {
  const streaming = new StreamCheck({ scanner: new LexicalScanner(lexicon, "output"), check });
  const releases: string[] = [];
  for (const piece of pieces) {
    const release = await streaming.push(piece);
    releases.push(release.text);
    if (release.category !== undefined) return { releases, category: release.category };
  }
  const last = await streaming.finish();
  releases.push(last.text);
  return { releases, category: last.category };
}

const total = async (pieces: readonly string[], check?: PassageCheck) => {
  const { releases, category } = await stream(pieces, check);
  return { text: releases.join(""), category };
};

/** Text of harmless words, words that may begin a phrase, and things that must not stand. */
const WORDS = [
  ...[
    "hello",
    "world.",
    "the",
    "a\n",
    "你好",
    "🙂",
    "x".repeat(120),
    "child",
    "sexy",
    "story",
    "n",
  ],
  ...["about", "i", "g", "kill", "yourself", "secret", "you", "should", "illegal", "not", "—", "1"],
];
const BAD = ["forbidden", "f0rbidden!", "secret project", "n i g g e r", "child porn.", "kys"];
const texts = fc
  .array(fc.constantFrom(...WORDS, ...BAD), { minLength: 1, maxLength: 40 })
  .map((words) => words.join(" "));
/** The same text cut anywhere, inside surrogate pairs too. */
const cuts = (text: string) =>
  fc.array(fc.nat({ max: text.length }), { maxLength: 12 }).map((points) => {
    const sorted = [0, ...points.toSorted((a, b) => a - b), text.length];
    return sorted.slice(1).map((to, index) => text.slice(sorted[index], to));
  });
const cutTexts = texts.chain((text) => cuts(text).map((pieces) => ({ text, pieces })));

/** A guard model's stand-in with a taste of its own, which records what it was shown. */
function guard(forbids: RegExp) {
  const seen: { text: string; context: string }[] = [];
  const check: PassageCheck = async (text, context) => {
    seen.push({ text, context });
    return forbids.test(context + text) ? "S5" : null;
  };
  return { check, seen };
}

describe("with the lexical layer alone", () => {
  it("what is let out never depends on how the text was cut, and is never anything blocked", async () => {
    await fc.assert(
      fc.asyncProperty(cutTexts, async ({ text, pieces }) => {
        const cut = await total(pieces);
        expect(cut).toEqual(await total([text]));
        expect(text.startsWith(cut.text)).toBe(true);
        expect(scanText(lexicon, "output", cut.text)).toBeUndefined();
        expect(cut.category).toBe(scanText(lexicon, "output", text));
        if (cut.category === undefined) expect(cut.text).toBe(text);
      }),
      { numRuns: 400 },
    );
  });

  it("lets out each word as soon as the next begins", async () => {
    const { releases } = await stream(["Once ", "upon ", "a ", "ti", "me"]);
    expect(releases).toEqual(["Once", " upon", " a", "", "", " time"]);
  });

  it("holds a phrase that may still come true, and no more", async () => {
    const { releases } = await stream(["my secret ", "garden "]);
    expect(releases).toEqual(["my ", "secret garden", " "]);
  });

  it("gives out nothing after a block", async () => {
    const { releases, category } = await stream(["fine. ", "forbidden ", "more"]);
    expect(category).toBe("blocklist");
    expect(releases.join("")).toBe("fine.");
  });

  it("stops at a blocked word that ends the text", async () => {
    expect(await total(["this is forbidden"])).toEqual({
      text: "this is",
      category: "blocklist",
    });
  });

  it("counts what was let out", async () => {
    const check = new StreamCheck({
      scanner: new LexicalScanner(lexicon, "output"),
      check: undefined,
    });
    await check.push("one two");
    expect(check.released).toBe(3);
    await check.finish();
    expect(check.released).toBe(7);
  });
});

describe("with a passage check plugged in", () => {
  it("lets out only passages that it passed, the same however the text was cut", async () => {
    const long = fc
      .array(fc.constantFrom("alpha", "beta", "gamma.", "delta", "omega"), {
        minLength: 5,
        maxLength: 400,
      })
      .map((words) => words.join(" "));
    const cut = long.chain((text) => cuts(text).map((pieces) => ({ text, pieces })));
    await fc.assert(
      fc.asyncProperty(cut, async ({ text, pieces }) => {
        const forbids = /omega omega/;
        const whole = await total([text], guard(forbids).check);
        expect(await total(pieces, guard(forbids).check)).toEqual(whole);
        expect(forbids.test(whole.text)).toBe(false);
        expect(whole.category === undefined).toBe(whole.text === text);
      }),
      { numRuns: 60 },
    );
  });

  it("reads a small passage first, then larger ones, each with what came before", async () => {
    const { check, seen } = guard(/never/);
    const text = "word ".repeat(800);
    expect(await total([text], check)).toEqual({ text, category: undefined });
    const lengths = seen.map((passage) => passage.text.length);
    expect(lengths[0]).toBeLessThan(110);
    expect(lengths[1]).toBeGreaterThan(190);
    expect(Math.max(...lengths)).toBeLessThan(810);
    expect(seen[0]?.context).toBe("");
    expect(seen.slice(2).every((passage) => passage.context.length === 200)).toBe(true);
    expect(seen.map((passage) => passage.text).join("")).toBe(text);
  });

  it("lets out nothing of the passage that it forbids", async () => {
    const { check } = guard(/omega/);
    const { text, category } = await total(["alpha ".repeat(60), "omega beta"], check);
    expect(category).toBe("S5");
    expect(text).not.toContain("omega");
    expect(text.length).toBeGreaterThan(90);
  });
});
